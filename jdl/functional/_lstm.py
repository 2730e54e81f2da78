"""The LSTM and its variants, on sequences of vectors and of images."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional._conv import conv
from jdl.functional._dense import dense
from jdl.functional._gates import expose, remember
from jdl.functional._layer_norm import layer_norm
from jdl.functional._lstm_cudnn import fused
from jdl.functional._numbers import widen
from jdl.functional._recurrent import Backend, Recurrence, check_kernels, check_shapes, recurrent

_NORM = "kernel_scale", "recurrent_scale", "memory_scale", "memory_bias"


def lstm(
    x: jax.Array,
    kernel: jax.Array,
    recurrent_kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    peephole: jax.Array | None = None,
    projection: jax.Array | None = None,
    norm: dict[str, jax.Array] | None = None,
    coupled: bool = False,
    carry: tuple[jax.Array, jax.Array] | None = None,
    lengths: jax.Array | None = None,
    mask: jax.Array | None = None,
    reverse: bool = False,
    backend: Backend = "xla",
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """Applies an LSTM to a sequence: `c = sigmoid(f) c + sigmoid(i) tanh(g)` and `h = sigmoid(o) tanh(c)`.

    Here `[i, f, g, o] = x W + h U + b`, as in PyTorch, whose two biases are one here.

    Args:
      x: input, `(batch, time, in)`, floating point.
      kernel: `(in, 4 * features)`, blocks in the order i, f, g, o.
      recurrent_kernel: `(features, 4 * features)`, or `(out, 4 * features)` with a projection.
      bias: `(4 * features,)`.
      peephole: `(3 * features,)`, weights with which i and f see the old memory and o the new, in this order; without f if it is
        coupled.
      projection: `(features, out)`, a matrix that makes the hidden state smaller: `h = (sigmoid(o) tanh(c)) P`.
      norm: of layer norms, `kernel_scale` and `recurrent_scale`, `(4 * features,)`, for `x W` and `h U`, and `memory_scale` and
        `memory_bias`, `(features,)`, for c where it is shown.
      coupled: whether to forget as much as is added, `sigmoid(f) = 1 - sigmoid(i)`: there is no f in any block.
      carry: `(h, c)` to begin with, `(batch, features)`; zeros if not given.
      lengths: integers `(batch,)`, how many steps count in each sample; out of 0..time, it is NaN under jit.
      mask: bools `(batch, time)`, which of them count.
      reverse: whether to begin at the last step.
      backend: `"cudnn"`, the kernel of NVIDIA GPUs where it can do this, else the loop, as in `functional.recurrent`.

    Returns:
      `(y, (h, c))`: outputs `(batch, time, features)`, or `(batch, time, out)`, and the last carry, in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if shapes don't fit, or lengths lie outside 0..time.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> y, (h, c) = functional.lstm(jnp.ones((2, 5, 3)), jnp.ones((3, 16)), jnp.ones((4, 16)))
      >>> y.shape, h.shape, c.shape
      ((2, 5, 4), (2, 4), (2, 4))

    Source: Hochreiter and Schmidhuber, "Long Short-Term Memory", https://doi.org/10.1162/neco.1997.9.8.1735; peepholes and
    coupled gates: Greff et al., "LSTM: A Search Space Odyssey", https://arxiv.org/abs/1503.04069; projection: Sak et al., "Long
    Short-Term Memory Based Recurrent Neural Network Architectures for Large Vocabulary Speech Recognition",
    https://arxiv.org/abs/1402.1128; norms: Ba, Kiros and Hinton, "Layer Normalization", https://arxiv.org/abs/1607.06450.
    """
    params = {"kernel": kernel, "recurrent_kernel": recurrent_kernel, "bias": bias, "peephole": peephole, "projection": projection}
    if norm is not None:
        if norm.keys() != set(_NORM):
            raise ValueError(f"lstm: norm must have {', '.join(_NORM)}, got {', '.join(sorted(norm))}")
        params |= norm
    params = {name: a for name, a in params.items() if a is not None}
    return recurrent(LSTM[coupled], params, x, carry=carry, lengths=lengths, mask=mask, reverse=reverse, backend=backend)


def conv_lstm(
    x: jax.Array,
    kernel: jax.Array,
    recurrent_kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    peephole: jax.Array | None = None,
    carry: tuple[jax.Array, jax.Array] | None = None,
    lengths: jax.Array | None = None,
    mask: jax.Array | None = None,
    reverse: bool = False,
) -> tuple[jax.Array, tuple[jax.Array, jax.Array]]:
    """Applies an LSTM to a sequence of images, whose products are convolutions: `[i, f, g, o] = W * x + U * h + b`.

    Args:
      x: input, `(batch, time, *spatial, in)` with one to three spatial axes, floating point.
      kernel: `(*window, in, 4 * features)`, blocks in the order i, f, g, o.
      recurrent_kernel: `(*window, features, 4 * features)`.
      bias: `(4 * features,)`.
      peephole: `(*spatial, 3 * features)`, weights with which i and f see the old memory and o the new, in this order;
        `(3 * features,)` is the same at all places.
      carry: `(h, c)` to begin with, `(batch, *spatial, features)`; zeros if not given.
      lengths: integers `(batch,)`, how many steps count in each sample; out of 0..time, it is NaN under jit.
      mask: bools `(batch, time)`, which of them count.
      reverse: whether to begin at the last step.

    Returns:
      `(y, (h, c))`: outputs `(batch, time, *spatial, features)`, and the last carry, in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if shapes don't fit, or lengths lie outside 0..time.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> y, _ = functional.conv_lstm(jnp.ones((2, 5, 8, 8, 3)), jnp.ones((3, 3, 3, 16)), jnp.ones((3, 3, 4, 16)))
      >>> y.shape
      (2, 5, 8, 8, 4)

    Source: Shi et al., "Convolutional LSTM Network", https://arxiv.org/abs/1506.04214.
    """
    params = {"kernel": kernel, "recurrent_kernel": recurrent_kernel, "bias": bias, "peephole": peephole}
    params = {name: a for name, a in params.items() if a is not None}
    return recurrent(CONV_LSTM, params, x, carry=carry, lengths=lengths, mask=mask, reverse=reverse)


def _start(name: str, coupled: bool, params: dict, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    kernel, recurrent_kernel, gates = params["kernel"], params["recurrent_kernel"], 3 if coupled else 4
    check_kernels(name, gates, kernel, recurrent_kernel, x)
    features, batch = kernel.shape[-1] // gates, x.shape[0]
    outputs = params["projection"].shape[-1] if "projection" in params else features
    hidden, memory = ((batch, *x.shape[2:-1], size) for size in (outputs, features))
    every, seen = (gates * features,), (gates - 1) * features
    wants = {"recurrent_kernel": (*recurrent_kernel.shape[:-2], outputs, gates * features), "projection": (features, outputs)}
    wants |= {
        "bias": every,
        "kernel_scale": every,
        "recurrent_scale": every,
        "memory_scale": (features,),
        "memory_bias": (features,),
    }
    same = "peephole" in params and params["peephole"].ndim == 1
    check_shapes(name, params, wants | {"peephole": (seen,) if same else (*x.shape[2:-1], seen)}, x)
    dtype = jnp.promote_types(x.dtype, jnp.float32)
    return jnp.zeros(hidden, dtype), jnp.zeros(memory, dtype)


def _project(multiply: Callable[..., jax.Array], params: dict, x: jax.Array) -> jax.Array:
    z = multiply(x, params["kernel"])
    if "kernel_scale" in params:
        z = layer_norm(z, params["kernel_scale"])
    return z + jnp.expand_dims(params["bias"].astype(z.dtype), range(z.ndim - 1)) if "bias" in params else z


def _step(
    multiply: Callable[..., jax.Array], coupled: bool, params: dict, carry: Any, hidden: jax.Array, projected: jax.Array
) -> Any:
    _, c = carry
    z = widen(multiply(hidden, params["recurrent_kernel"]))
    if "recurrent_scale" in params:
        z = layer_norm(z, params["recurrent_scale"])
    gates = jnp.split(projected + z, 3 if coupled else 4, axis=-1)
    i, f, g, o = (gates[0], *gates) if coupled else gates
    of_o = None
    if "peephole" in params:
        weights = jnp.split(params["peephole"], 2 if coupled else 3, axis=-1)
        of_i, *of_f, of_o = (jnp.expand_dims(w, range(c.ndim - w.ndim)) for w in weights)
        i, f = i + of_i * c, f if coupled else f + of_f[0] * c
    c = remember(i, -i if coupled else f, g, c)  # 1 - sigmoid(i) = sigmoid(-i)
    o = o if of_o is None else o + of_o * c
    h = expose(o, layer_norm(c, params["memory_scale"], params["memory_bias"]) if "memory_scale" in params else c)
    return dense(h.astype(hidden.dtype), params["projection"]) if "projection" in params else h, c


def convolve(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """A convolution that keeps the size, with any leading axes."""
    images = x.reshape(-1, *x.shape[x.ndim - kernel.ndim + 1 :])
    y = conv(images, kernel)
    return y.reshape(*x.shape[: x.ndim - kernel.ndim + 1], *y.shape[1:])


def _recurrence(name: str, multiply: Callable[..., jax.Array], coupled: bool, fused: Any = None) -> Recurrence:
    part = functools.partial
    start, project, step = part(_start, name, coupled), part(_project, multiply), part(_step, multiply, coupled)
    return Recurrence(name, start, project, step, fused=fused)


LSTM = {True: _recurrence("lstm", dense, True), False: _recurrence("lstm", dense, False, fused)}
CONV_LSTM = _recurrence("conv_lstm", convolve, False)
