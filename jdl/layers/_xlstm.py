"""The recurrent cells of xLSTM."""

from typing import Any

import jax
from jax.nn import initializers

from jdl.functional import _check
from jdl.functional._dropout import sequences
from jdl.functional._mlstm import MLSTM
from jdl.functional._slstm import SLSTM, check_forget
from jdl.layers._fan import fan_in
from jdl.layers._parameter import parameter
from jdl.layers._recurrent import Cell

_ORTHOGONAL = initializers.orthogonal()


def slstm_cell(
    features: int,
    *,
    heads: int = 1,
    forget: str = "sigmoid",
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    recurrent_init: initializers.Initializer = _ORTHOGONAL,
    bias_init: initializers.Initializer = initializers.zeros,
) -> Cell:
    """The cell of an sLSTM: `c = f c + exp(i) tanh(z)`, `n = f n + exp(i)` and `h = sigmoid(o) c / n`.

    Here `[i, f, z, o] = x W + h U + b`. Exponential gates let what is new outweigh all that was, so that what was stored can be
    revised. In a block of xLSTM a causal convolution comes before it, and a group norm of heads after.

    Args:
      features: of the hidden state, which is the output; a multiple of `heads`.
      heads: how many groups of features see only themselves in the last step.
      forget: `"sigmoid"` or `"exp"`, the function of the gate f.
      bias: whether to add one.
      kernel_init: makes the kernel of each gate, `(in, features)`.
      recurrent_init: makes the recurrent kernel of each gate and head, `(width, width)`.
      bias_init: makes the bias of all gates, `(4 * features,)`; `initializers.forget_bias(3.0)` remembers longer at first.

    Returns:
      A Cell with params `kernel`, `recurrent_kernel` and `bias`, as in `functional.slstm`. Its carry is `(h, c / n, log n)`;
      zoneout is for h alone, `zoneout=(rate, 0.0, 0.0)`.

    Raises:
      ValueError: if a size is not a positive integer, `features` not a multiple of `heads`, or `forget` another.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = jax.eval_shape(L.recurrent(L.slstm_cell(6, heads=2)).init, jax.random.key(0), jnp.ones((2, 5, 3)))
      >>> params["kernel"].shape, params["recurrent_kernel"].shape
      ((3, 24), (2, 3, 12))

    Source: Beck et al., "xLSTM: Extended Long Short-Term Memory", https://arxiv.org/abs/2405.04517, sections 2.2 and A.2.
    """
    width = _width("slstm_cell", features, heads, forget)
    each_gate = fan_in(kernel_init, (0,), (1,))
    each_block = fan_in(recurrent_init, (1,), (0, 2))

    def init(key: jax.Array, x: Any) -> dict:
        x = sequences("slstm", x)
        kernel = lambda key, shape, dtype: each_gate(key, (shape[0], 4, features), dtype).reshape(shape)
        recurrent = lambda key, shape, dtype: each_block(key, (heads, width, 4, width), dtype).reshape(shape)
        params = {
            "kernel": parameter(key, "kernel", kernel, (x.shape[-1], 4 * features), x),
            "recurrent_kernel": parameter(key, "recurrent_kernel", recurrent, (heads, width, 4 * width), x),
        }
        return params | ({"bias": parameter(key, "bias", bias_init, (4 * features,), x)} if bias else {})

    return Cell(init, SLSTM[forget], noisy=1)


def mlstm_cell(
    features: int,
    *,
    heads: int = 1,
    forget: str = "sigmoid",
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    gate_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
    gate_bias_init: initializers.Initializer = initializers.zeros,
) -> Cell:
    """The cell of an mLSTM: `C = f C + exp(i) v k^T`, `n = f n + exp(i) k`, `h = sigmoid(o) C q / max(|n q|, 1)`, for every head.

    Each head keeps a matrix, in which queries find values by keys. Gates see the input alone, so there is nothing for dropout of
    the hidden state. The backward pass keeps a matrix for each step and head: `recurrent(cell, remat=16)` keeps every 16th.

    Args:
      features: of the output, a multiple of `heads`.
      heads: how many; each has keys, queries and values of `features / heads` numbers.
      forget: `"sigmoid"` or `"exp"`, the function of the gate f.
      bias: whether to add one, also to the gates.
      kernel_init: makes the kernels of queries, keys, values and output gates, each `(in, features)`.
      gate_init: makes the kernel of the gates i and f, `(in, 2 * heads)`.
      bias_init: makes the bias of queries, keys, values and output gates, `(4 * features,)`.
      gate_bias_init: makes the bias of the gates, `(2 * heads,)`, i of all heads and then f.

    Returns:
      A Cell with params `kernel`, `gate_kernel`, `bias` and `gate_bias`, as in `functional.mlstm`. Its carry is `(h, C, n, m)`.

    Raises:
      ValueError: if a size is not a positive integer, `features` not a multiple of `heads`, or `forget` another.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> layer, x = L.recurrent(L.mlstm_cell(6, heads=2)), jnp.ones((2, 5, 4))
      >>> params, state = jax.eval_shape(layer.init, jax.random.key(0), x)
      >>> y, (h, c, n, m) = jax.eval_shape(layer.apply, params, state, x)[0]
      >>> y.shape, c.shape, n.shape, m.shape
      ((2, 5, 6), (2, 2, 3, 3), (2, 2, 3), (2, 2))

    Source: Beck et al., "xLSTM: Extended Long Short-Term Memory", https://arxiv.org/abs/2405.04517, sections 2.3 and A.3.
    """
    _width("mlstm_cell", features, heads, forget)
    each_block = fan_in(kernel_init, (0,), (1,))

    def init(key: jax.Array, x: Any) -> dict:
        x = sequences("mlstm", x)
        make = lambda name, initializer, *shape: {name: parameter(key, name, initializer, shape, x)}
        kernel = lambda key, shape, dtype: each_block(key, (shape[0], 4, features), dtype).reshape(shape)
        params = make("kernel", kernel, x.shape[-1], 4 * features) | make("gate_kernel", gate_init, x.shape[-1], 2 * heads)
        if bias:
            params |= make("bias", bias_init, 4 * features) | make("gate_bias", gate_bias_init, 2 * heads)
        return params

    return Cell(init, MLSTM[forget], noisy=0)


def _width(name: str, features: int, heads: int, forget: str) -> int:
    """Features of a head; raises ValueError if the arguments of a cell don't fit."""
    _check.positive(name, features=features, heads=heads)
    check_forget(name, forget)
    if features % heads:
        raise ValueError(f"{name}: features must be a multiple of heads, got {features} and {heads}")
    return features // heads
