"""Recurrent cells: their parameters, beside what they compute."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl.functional import _check
from jdl.functional._dropout import sequences
from jdl.functional._gru import GRU, MGU
from jdl.functional._lru import LRU
from jdl.functional._lstm import CONV_LSTM, LSTM
from jdl.functional._min_gru import MIN_GRU
from jdl.functional._rnn import simple
from jdl.functional._window import check_sizes, expand
from jdl.layers._fan import fan_in
from jdl.layers._parameter import parameter
from jdl.layers._recurrent import Cell

_ORTHOGONAL = initializers.orthogonal()
_HALF, _TWICE = (initializers.variance_scaling(scale, "fan_in", "normal") for scale in (0.5, 2.0))


def rnn_cell(
    features: int,
    *,
    activation: Callable[[jax.Array], jax.Array] = jnp.tanh,
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    recurrent_init: initializers.Initializer = _ORTHOGONAL,
    bias_init: initializers.Initializer = initializers.zeros,
) -> Cell:
    """The cell of a simple recurrent network: `h = activation(x W + h U + b)`.

    Args:
      features: of the hidden state, which is the output.
      activation: such as `jnp.tanh` or `jax.nn.relu`; for the latter, `initializers.identity()` is a good `recurrent_init`.
      bias: whether to add one.
      kernel_init: makes the kernel, `(in, features)`.
      recurrent_init: makes the recurrent kernel, `(features, features)`.
      bias_init: makes the bias, `(features,)`.

    Returns:
      A Cell with params `kernel`, `recurrent_kernel` and `bias`; its carry is `h`, `(batch, features)`.

    Raises:
      ValueError: if `features` is not a positive integer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = jax.eval_shape(L.recurrent(L.rnn_cell(4)).init, jax.random.key(0), jnp.ones((2, 5, 3)))
      >>> params["kernel"].shape, params["recurrent_kernel"].shape
      ((3, 4), (4, 4))

    Source: Elman, "Finding Structure in Time", https://doi.org/10.1207/s15516709cog1402_1; identity: Le, Jaitly and Hinton, "A
    Simple Way to Initialize Recurrent Networks of Rectified Linear Units", https://arxiv.org/abs/1504.00941.
    """
    _check.positive("rnn_cell", features=features)
    inits = kernel_init, recurrent_init, bias_init if bias else None
    return Cell(lambda key, x: _gated(key, sequences("rnn", x), 1, features, inits), simple(activation))


def lstm_cell(
    features: int,
    *,
    peephole: bool = False,
    projection: int | None = None,
    coupled: bool = False,
    layer_norm: bool = False,
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    recurrent_init: initializers.Initializer = _ORTHOGONAL,
    bias_init: initializers.Initializer = initializers.zeros,
) -> Cell:
    """The cell of an LSTM: `c = sigmoid(f) c + sigmoid(i) tanh(g)`, `h = sigmoid(o) tanh(c)`, of `[i, f, g, o] = x W + h U + b`.

    Args:
      features: of the memory c.
      peephole: whether i, f and o see the memory.
      projection: features of the hidden state, where a matrix makes it smaller; without it, those of the memory.
      coupled: whether to forget as much as is added, so that there is no f.
      layer_norm: whether `x W`, `h U`, and c where it is shown, are normalised.
      bias: whether to add one.
      kernel_init: makes the kernel of each gate, `(in, features)`, and the projection.
      recurrent_init: makes the recurrent kernel of each gate, `(features, features)`.
      bias_init: makes the bias of all gates, `(4 * features,)`; `initializers.forget_bias()` is 1 where they forget. If coupled,
        the bias of i is that of i less that of f, so that as much is forgotten as f would let go.

    Returns:
      A Cell with params `kernel`, `recurrent_kernel`, `bias`, and of its options `peephole`, `projection`, `kernel_scale`,
      `recurrent_scale`, `memory_scale` and `memory_bias`, as in `functional.lstm`. Its carry is `(h, c)`.

    Raises:
      ValueError: if a size is not a positive integer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = jax.eval_shape(L.recurrent(L.lstm_cell(4)).init, jax.random.key(0), jnp.ones((2, 5, 3)))
      >>> params["kernel"].shape, params["recurrent_kernel"].shape
      ((3, 16), (4, 16))

    Source: Hochreiter and Schmidhuber, "Long Short-Term Memory", https://doi.org/10.1162/neco.1997.9.8.1735; options: see
    `functional.lstm`.
    """
    outputs, gates = features if projection is None else projection, 3 if coupled else 4
    _check.positive("lstm_cell", features=features, projection=outputs)
    biases = _coupled(bias_init) if coupled else bias_init
    inits = kernel_init, recurrent_init, biases if bias else None

    def init(key: jax.Array, x: Any) -> dict:
        x = sequences("lstm", x)
        params = _gated(key, x, gates, features, inits, outputs)
        make = lambda name, initializer, *shape: {name: parameter(key, name, initializer, shape, x)}
        if peephole:
            params |= make("peephole", initializers.zeros, (gates - 1) * features)
        if projection is not None:
            params |= make("projection", kernel_init, features, projection)
        if layer_norm:
            sizes = {"kernel_scale": gates * features, "recurrent_scale": gates * features, "memory_scale": features}
            for name, size in sizes.items():
                params |= make(name, initializers.ones, size)
            params |= make("memory_bias", initializers.zeros, features)
        return params

    return Cell(init, LSTM[coupled])


def gru_cell(
    features: int,
    *,
    reset_after: bool = True,
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    recurrent_init: initializers.Initializer = _ORTHOGONAL,
    bias_init: initializers.Initializer = initializers.zeros,
) -> Cell:
    """The cell of a GRU: `h = z h + (1 - z) n`, with gates r and z, and a candidate n.

    Args:
      features: of the hidden state, which is the output.
      reset_after: whether the reset gate works after the product with the recurrent kernel, as in PyTorch and cuDNN; before it, as
        in the paper.
      bias: whether to add one.
      kernel_init: makes the kernel of each gate, `(in, features)`.
      recurrent_init: makes the recurrent kernel of each gate, `(features, features)`.
      bias_init: makes the bias of all gates, `(3 * features,)`, and, with `reset_after`, that of the product, `(features,)`.

    Returns:
      A Cell with params `kernel`, `recurrent_kernel`, `bias` and `recurrent_bias`, as in `functional.gru`. Its carry is `h`.

    Raises:
      ValueError: if `features` is not a positive integer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = jax.eval_shape(L.recurrent(L.gru_cell(4)).init, jax.random.key(0), jnp.ones((2, 5, 3)))
      >>> params["kernel"].shape, params["recurrent_bias"].shape
      ((3, 12), (4,))

    Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation",
    https://arxiv.org/abs/1406.1078.
    """
    _check.positive("gru_cell", features=features)
    inits = kernel_init, recurrent_init, bias_init if bias else None

    def init(key: jax.Array, x: Any) -> dict:
        params = _gated(key, sequences("gru", x), 3, features, inits)
        if bias and reset_after:
            params["recurrent_bias"] = parameter(key, "recurrent_bias", bias_init, (features,), x)
        return params

    return Cell(init, GRU[reset_after])


def mgu_cell(
    features: int,
    *,
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    recurrent_init: initializers.Initializer = _ORTHOGONAL,
    bias_init: initializers.Initializer = initializers.zeros,
) -> Cell:
    """The cell of a minimal gated unit: `h = (1 - f) h + f n`, with one gate f and a candidate n.

    Args:
      features: of the hidden state, which is the output.
      bias: whether to add one.
      kernel_init: makes the kernel of the gate and of the candidate, `(in, features)`.
      recurrent_init: makes the recurrent kernel of each, `(features, features)`.
      bias_init: makes the bias of both, `(2 * features,)`.

    Returns:
      A Cell with params `kernel`, `recurrent_kernel` and `bias`, as in `functional.mgu`. Its carry is `h`.

    Raises:
      ValueError: if `features` is not a positive integer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = jax.eval_shape(L.recurrent(L.mgu_cell(4)).init, jax.random.key(0), jnp.ones((2, 5, 3)))
      >>> params["kernel"].shape
      (3, 8)

    Source: Zhou et al., "Minimal Gated Unit for Recurrent Neural Networks", https://arxiv.org/abs/1603.09420.
    """
    _check.positive("mgu_cell", features=features)
    inits = kernel_init, recurrent_init, bias_init if bias else None
    return Cell(lambda key, x: _gated(key, sequences("mgu", x), 2, features, inits), MGU)


def min_gru_cell(
    features: int,
    *,
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Cell:
    """The cell of a minGRU: `h = (1 - z) h + z n`, whose gate and candidate see the input alone. It runs in logarithmic depth.

    Args:
      features: of the hidden state, which is the output.
      bias: whether to add one.
      kernel_init: makes the kernel of the gate and of the candidate, `(in, features)`.
      bias_init: makes the bias of both, `(2 * features,)`.

    Returns:
      A Cell with params `kernel` and `bias`, as in `functional.min_gru`. Its carry is `h`.

    Raises:
      ValueError: if `features` is not a positive integer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = jax.eval_shape(L.recurrent(L.min_gru_cell(4)).init, jax.random.key(0), jnp.ones((2, 5, 3)))
      >>> params["kernel"].shape
      (3, 8)

    Source: Feng et al., "Were RNNs All We Needed?", https://arxiv.org/abs/2410.01201.
    """
    _check.positive("min_gru_cell", features=features)

    def init(key: jax.Array, x: Any) -> dict:
        return _gated(key, sequences("min_gru", x), 2, features, (kernel_init, None, bias_init if bias else None))

    return Cell(init, MIN_GRU)


def lru_cell(
    features: int,
    *,
    radius: tuple[float, float] = (0.0, 1.0),
    phase: float = 6.283185307179586,
    kernel_init: initializers.Initializer = _HALF,
    out_kernel_init: initializers.Initializer = _TWICE,
) -> Cell:
    """The cell of a linear recurrent unit: `h = lambda h + gamma (x B)`, `y = Re(h C) + D x`. It runs in logarithmic depth.

    Eigenvalues are drawn uniformly from a ring of the complex plane, and scales so that states begin with the size of inputs.

    Args:
      features: how many complex numbers a state has; the output has the features of `x`.
      radius: of the ring, from and to, within [0, 1]; near 1 for long sequences.
      phase: the largest angle, in radians, above 0.
      kernel_init: makes the kernel, `(in, 2 * features)`, real parts and then imaginary ones; by default they have variance
        1 / (2 * in), so that complex numbers have 1 / in.
      out_kernel_init: makes the output's kernel, `(2 * features, in)`; by default parts have variance 1 / features.

    Returns:
      A Cell with params `kernel`, `out_kernel`, `log_decay`, `log_phase`, `log_scale` and `skip`, as in `functional.lru`. Its carry
      is `h`, complex `(batch, features)`.

    Raises:
      ValueError: if `features` is not a positive integer, or the ring or the phase out of range.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = jax.eval_shape(L.recurrent(L.lru_cell(4)).init, jax.random.key(0), jnp.ones((2, 5, 3)))
      >>> params["kernel"].shape, params["out_kernel"].shape
      ((3, 8), (8, 3))

    Source: Orvieto et al., "Resurrecting Recurrent Neural Networks for Long Sequences", https://arxiv.org/abs/2303.06349.
    """
    _check.positive("lru_cell", features=features)
    low, high = radius
    _check.within("lru_cell", 0, 1, radius=low)
    _check.within("lru_cell", low, 1, radius=high)
    _check.above_zero("lru_cell", radius=high, phase=phase)

    def decay_init(key: jax.Array, shape: Any, dtype: Any) -> jax.Array:
        smallest, largest = (min(max(size**2, 1e-12), 1 - 1e-6) for size in radius)  # logarithms stay finite
        square = jax.random.uniform(key, shape, dtype, minval=smallest, maxval=largest)
        return jnp.log(-0.5 * jnp.log(square))

    def phase_init(key: jax.Array, shape: Any, dtype: Any) -> jax.Array:
        return jnp.log(jax.random.uniform(key, shape, dtype, minval=1e-6, maxval=1) * phase)

    def init(key: jax.Array, x: Any) -> dict:
        x = sequences("lru", x)
        width = x.shape[-1]
        make = lambda name, initializer, *shape: parameter(key, name, initializer, shape, x)
        params = {
            "kernel": make("kernel", kernel_init, width, 2 * features),
            "out_kernel": make("out_kernel", out_kernel_init, 2 * features, width),
            "log_decay": make("log_decay", decay_init, features),
            "log_phase": make("log_phase", phase_init, features),
            "skip": make("skip", initializers.normal(1.0), width),
        }
        size = jnp.exp(-2 * jnp.exp(params["log_decay"]))  # of the squared eigenvalues
        return params | {"log_scale": 0.5 * jnp.log(1 - size)}

    return Cell(init, LRU)


def conv_lstm_cell(
    features: int,
    kernel_size: int | Sequence[int],
    *,
    peephole: bool = False,
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    recurrent_init: initializers.Initializer = _ORTHOGONAL,
    bias_init: initializers.Initializer = initializers.zeros,
) -> Cell:
    """The cell of an LSTM whose products are convolutions that keep the size, for sequences of 1- to 3-dimensional images.

    Args:
      features: channels of memory and hidden state.
      kernel_size: size of the window, one for all spatial axes or one each.
      peephole: whether gates see the memory, with a weight for every place; sizes are then fixed.
      bias: whether to add one.
      kernel_init: makes the kernel of each gate, as a matrix `(prod(kernel_size) * in, features)`.
      recurrent_init: makes the recurrent kernel of each gate, as a matrix `(prod(kernel_size) * features, features)`.
      bias_init: makes the bias of all gates, `(4 * features,)`; `initializers.forget_bias()` is 1 where they forget.

    Returns:
      A Cell with params `kernel`, `recurrent_kernel`, `bias` and `peephole`, as in `functional.conv_lstm`. Its carry is `(h, c)`,
      `(batch, *spatial, features)`.

    Raises:
      ValueError: if a size is not a positive integer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> layer, x = L.recurrent(L.conv_lstm_cell(4, 3)), jnp.ones((2, 5, 8, 8, 3))
      >>> params, state = jax.eval_shape(layer.init, jax.random.key(0), x)
      >>> params["kernel"].shape, params["recurrent_kernel"].shape
      ((3, 3, 3, 16), (3, 3, 4, 16))

    Source: Shi et al., "Convolutional LSTM Network", https://arxiv.org/abs/1506.04214.
    """
    _check.positive("conv_lstm_cell", features=features)
    check_sizes("conv_lstm_cell", kernel_size=kernel_size)
    inits = kernel_init, recurrent_init, bias_init if bias else None

    def init(key: jax.Array, x: Any) -> dict:
        x = _check.floating("conv_lstm", x)
        _check.rank("conv_lstm", x, (4, 5, 6), "(batch, time, 1 to 3 spatial axes, channels)")
        window = expand("conv_lstm", "kernel_size", kernel_size, x.ndim - 3)
        params = _gated(key, x, 4, features, inits, window=window)
        if peephole:
            params["peephole"] = parameter(key, "peephole", initializers.zeros, (*x.shape[2:-1], 3 * features), x)
        return params

    return Cell(init, CONV_LSTM)


def _coupled(bias_init: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """The biases of i, g, o from those of i, f, g, o."""

    def init(key: jax.Array, shape: Any, dtype: Any) -> jax.Array:
        i, f, g, o = jnp.split(bias_init(key, (shape[0] // 3 * 4,), dtype), 4)
        return jnp.concatenate([i - f, g, o])  # adding and keeping have the odds exp(i) : exp(f)

    return init


def _gated(key: jax.Array, x: Any, gates: int, features: int, inits: Any, outputs: int | None = None, window: Any = ()) -> dict:
    """Kernels, each gate's made by itself, and a bias; whichever of `inits`, of kernel, recurrent kernel and bias, are there."""
    kernel_init, recurrent_init, bias_init = inits

    def blocks(name: str, initializer: Any, rows: int) -> dict:
        shape, axes = (*window, rows, gates, features), range(len(window) + 1)
        each = lambda key, flat, dtype: fan_in(initializer, axes, (len(axes),))(key, shape, dtype).reshape(flat)
        return {name: parameter(key, name, each, (*window, rows, gates * features), x)}

    params = blocks("kernel", kernel_init, x.shape[-1])
    if recurrent_init is not None:
        params |= blocks("recurrent_kernel", recurrent_init, features if outputs is None else outputs)
    return params | ({} if bias_init is None else {"bias": parameter(key, "bias", bias_init, (gates * features,), x)})
