"""The LSTM whose memory is a matrix, in which values are found by keys."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._bias import add_bias
from jdl.functional._dense import dense
from jdl.functional._numbers import lowest, widen
from jdl.functional._recurrent import Recurrence, check_shapes, recurrent
from jdl.functional._slstm import LOG_FORGET, check_forget

Carry = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


def mlstm(
    x: jax.Array,
    kernel: jax.Array,
    gate_kernel: jax.Array,
    bias: jax.Array | None = None,
    gate_bias: jax.Array | None = None,
    *,
    forget: str = "sigmoid",
    carry: Carry | None = None,
    lengths: jax.Array | None = None,
    mask: jax.Array | None = None,
    reverse: bool = False,
) -> tuple[jax.Array, Carry]:
    """Applies an mLSTM: `C = f C + exp(i) v k^T`, `n = f n + exp(i) k`, `h = sigmoid(o) C q / max(|n q|, 1)`, for every head.

    Queries, keys, values and output gates are `[q, k, v, o] = x W + b`, of which `x W` is divided by `sqrt(width)` for keys; the
    gates of a head are two numbers, `[i, f] = x G + g`. No step sees the last output. Memory and normaliser are kept as multiples
    of `exp(m)`, with `m = max(log f + m, i)`, so that no gate can overflow. All but `x W` is computed in float32 at least.

    Args:
      x: input, `(batch, time, in)`, floating point.
      kernel: W, `(in, 4 * features)`, blocks in the order q, k, v, o, of all heads each.
      gate_kernel: G, `(in, 2 * heads)`, i of all heads and then f; `features` must be a multiple of `heads`.
      bias: b, `(4 * features,)`.
      gate_bias: g, `(2 * heads,)`.
      forget: `"sigmoid"` or `"exp"`, the function of the gate f.
      carry: `(h, C, n, m)` to begin with, `(batch, features)`, `(batch, heads, width, width)`, `(batch, heads, width)` and
        `(batch, heads)`, C and n as multiples of `exp(m)`; nothing is in memory if not given.
      lengths: integers `(batch,)`, how many steps count in each sample; out of 0..time, it is NaN under jit.
      mask: bools `(batch, time)`, which of them count.
      reverse: whether to begin at the last step.

    Returns:
      `(y, (h, C, n, m))`: outputs `(batch, time, features)`, and the last carry, in float32 at least. While nothing was let in, m
      is the least finite number.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if shapes don't fit, `forget` is another, or lengths lie outside 0..time.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> kernel, bias = jnp.array([[0.0, 0.0, 1.0, 0.0]]), jnp.array([1.0, 1.0, 0.0, 99.0])
      >>> y, _ = jax.jit(functional.mlstm)(jnp.array([[[0.0], [1.0], [1.0]]]), kernel, jnp.zeros((1, 2)), bias, jnp.full(2, 9.0))
      >>> [round(number, 2) for number in y.ravel().tolist()]  # the mean so far, since all keys are what the query is
      [0.0, 0.5, 0.67]

    Source: Beck et al., "xLSTM: Extended Long Short-Term Memory", https://arxiv.org/abs/2405.04517, sections 2.3 and A.3.
    """
    check_forget("mlstm", forget)
    params = {"kernel": kernel, "gate_kernel": gate_kernel, "bias": bias, "gate_bias": gate_bias}
    params = {name: a for name, a in params.items() if a is not None}
    return recurrent(MLSTM[forget], params, x, carry=carry, lengths=lengths, mask=mask, reverse=reverse)


def _start(params: dict, x: Any) -> Carry:
    _check.rank("mlstm", x, (3,), "(batch, time, features)")
    features, heads = params["kernel"].shape[-1] // 4, params["gate_kernel"].shape[-1] // 2
    wants = {"kernel": (x.shape[-1], 4 * features), "bias": (4 * features,)}
    check_shapes("mlstm", params, wants | {"gate_kernel": (x.shape[-1], 2 * heads), "gate_bias": (2 * heads,)}, x)
    if not heads or features % heads:
        raise ValueError(f"mlstm: features must be a multiple of heads, got {features} and {heads}")
    batch, width, dtype = x.shape[0], features // heads, widen(x).dtype
    h, c, n = (jnp.zeros((batch, *sizes), dtype) for sizes in ((features,), (heads, width, width), (heads, width)))
    return h, c, n, jnp.full((batch, heads), lowest(dtype), dtype)


def _project(params: dict, x: jax.Array) -> tuple[jax.Array, ...]:
    heads = params["gate_kernel"].shape[-1] // 2
    width = params["kernel"].shape[-1] // (4 * heads)
    q, k, v, o = jnp.split(widen(dense(x, params["kernel"])), 4, axis=-1)
    q, k, v, o = blocks = q, k / math.sqrt(width), v, o
    if "bias" in params:
        q, k, v, o = (add_bias(block, bias) for block, bias in zip(blocks, jnp.split(params["bias"], 4)))
    i, f = jnp.split(dense(widen(x), params["gate_kernel"], params.get("gate_bias")), 2, axis=-1)
    return *(z.reshape(*z.shape[:-1], heads, width) for z in (q, k, v)), o, i, f


def _step(forget: str, params: dict, carry: Carry, hidden: jax.Array, projected: tuple[jax.Array, ...]) -> Carry:
    del params, hidden  # all products are of the input
    (_, c, n, m), (q, k, v, o, i, f) = carry, projected
    kept = m + LOG_FORGET[forget](f)
    m = jnp.maximum(kept, i)
    keep, add = (jnp.expand_dims(jnp.exp(a - m), 2) for a in (kept, i))
    n = keep * n + add * k
    c = jnp.expand_dims(keep, 3) * c + jnp.expand_dims(add * v, 3) * jnp.expand_dims(k, 2)
    low = jnp.minimum(m, 0)  # both sides of the quotient are multiplied by its exponential, since that of -m might overflow
    found, weight = jnp.einsum("bhvk,bhk->bhv", c, q), jnp.abs((n * q).sum(-1))
    least = jnp.sqrt(jnp.finfo(m.dtype).tiny)  # whose square derivatives divide by
    weight = jnp.maximum(jnp.maximum(weight * jnp.exp(low), jnp.exp(low - m)), least)
    h = found * jnp.expand_dims(jnp.exp(low) / weight, 2)
    return jax.nn.sigmoid(o) * h.reshape(o.shape), c, n, m


MLSTM = {forget: Recurrence("mlstm", _start, _project, functools.partial(_step, forget)) for forget in LOG_FORGET}
