"""The LSTM with exponential gates: a memory that is a weighted mean of all that was ever let in."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._dense import dense
from jdl.functional._numbers import lowest, widen
from jdl.functional._recurrent import Recurrence, check_shapes, recurrent


def slstm(
    x: jax.Array,
    kernel: jax.Array,
    recurrent_kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    forget: str = "sigmoid",
    carry: tuple[jax.Array, jax.Array, jax.Array] | None = None,
    lengths: jax.Array | None = None,
    mask: jax.Array | None = None,
    reverse: bool = False,
) -> tuple[jax.Array, tuple[jax.Array, jax.Array, jax.Array]]:
    """Applies an sLSTM: `c = f c + exp(i) tanh(z)`, `n = f n + exp(i)`, `h = sigmoid(o) c / n`, of `[i, f, z, o] = x W + h U + b`.

    The carry holds the mean `c / n` and the logarithm of `n`, and a step moves the mean by the share that is new. That is the same
    as the paper's memory, normaliser and stabiliser: no gate can overflow. All of it is computed in float32 at least.

    Args:
      x: input, `(batch, time, in)`, floating point.
      kernel: `(in, 4 * features)`, blocks in the order i, f, z, o.
      recurrent_kernel: `(heads, width, 4 * width)` with `heads * width` features, likewise for each head: heads don't see each
        other.
      bias: `(4 * features,)`.
      forget: `"sigmoid"` or `"exp"`, the function of the gate f.
      carry: `(h, c / n, log n)` to begin with, each `(batch, features)`; nothing is in memory if not given.
      lengths: integers `(batch,)`, how many steps count in each sample; out of 0..time, it is NaN under jit.
      mask: bools `(batch, time)`, which of them count.
      reverse: whether to begin at the last step.

    Returns:
      `(y, (h, c / n, log n))`: outputs `(batch, time, features)`, and the last carry, in float32 at least. While nothing was let
      in, the logarithm is the least finite number.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if shapes don't fit, `forget` is another, or lengths lie outside 0..time.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> kernel, bias = jnp.array([[0.0, 0.0, 1.0, 0.0]]), jnp.array([9.0, 9.0, 0.0, 99.0])
      >>> x = jnp.arctanh(jnp.array([0.0, 0.5, 0.5])).reshape(1, 3, 1)
      >>> y, _ = jax.jit(functional.slstm)(x, kernel, jnp.zeros((1, 1, 4)), bias)
      >>> [round(number, 2) for number in y.ravel().tolist()]  # the mean of 0, 0.5 and 0.5 so far
      [0.0, 0.25, 0.33]

    Source: Beck et al., "xLSTM: Extended Long Short-Term Memory", https://arxiv.org/abs/2405.04517, sections 2.2 and A.2.
    """
    check_forget("slstm", forget)
    params = {"kernel": kernel, "recurrent_kernel": recurrent_kernel} | ({} if bias is None else {"bias": bias})
    return recurrent(SLSTM[forget], params, x, carry=carry, lengths=lengths, mask=mask, reverse=reverse)


def check_forget(name: str, forget: str) -> None:
    """Raises ValueError unless there is such a gate."""
    _check.choice(name, "forget", forget, tuple(LOG_FORGET))


def _start(params: dict, x: Any) -> tuple[jax.Array, ...]:
    _check.rank("slstm", x, (3,), "(batch, time, features)")
    features, recurrent_kernel = params["kernel"].shape[-1] // 4, params["recurrent_kernel"]
    if recurrent_kernel.ndim != 3 or not recurrent_kernel.shape[0] or features % recurrent_kernel.shape[0]:
        wants = f"(heads, width, 4 * width) with {features} features in all"
        raise ValueError(f"slstm: recurrent_kernel must be {wants}, got {_check.describe(recurrent_kernel)}")
    heads = recurrent_kernel.shape[0]
    wants = {"kernel": (x.shape[-1], 4 * features), "bias": (4 * features,)}
    wants |= {"recurrent_kernel": (heads, features // heads, 4 * features // heads)}
    check_shapes("slstm", params, wants, x)
    shape, dtype = (x.shape[0], features), widen(x).dtype
    return jnp.zeros(shape, dtype), jnp.zeros(shape, dtype), jnp.full(shape, lowest(dtype), dtype)


def _project(params: dict, x: jax.Array) -> jax.Array:
    return dense(widen(x), params["kernel"], params.get("bias"))  # half precision of a gate would be an error of exponents


def _step(forget: str, params: dict, carry: Any, hidden: jax.Array, projected: jax.Array) -> tuple[jax.Array, ...]:
    _, mean, log_weight = carry
    i, f, z, o = jnp.split(projected + _by_head(widen(hidden), params["recurrent_kernel"]), 4, axis=-1)
    kept = log_weight + LOG_FORGET[forget](f)
    mean = jax.nn.sigmoid(kept - i) * mean + jax.nn.sigmoid(i - kept) * jnp.tanh(z)
    return jax.nn.sigmoid(o) * mean, mean, jnp.logaddexp(kept, i)


def _by_head(hidden: jax.Array, kernel: jax.Array) -> jax.Array:
    """`h U` of each head, `(batch, 4 * features)`, in blocks of all heads."""
    heads, width, _ = kernel.shape
    if heads == 1:
        return dense(hidden, kernel[0])
    apart, blocks = hidden.reshape(-1, heads, width), kernel.reshape(heads, width, 4, width)
    return jnp.einsum("bhi,higo->bgho", apart, blocks).reshape(len(hidden), 4 * heads * width)


LOG_FORGET = {"sigmoid": jax.nn.log_sigmoid, "exp": lambda f: f}
SLSTM = {forget: Recurrence("slstm", _start, _project, functools.partial(_step, forget)) for forget in LOG_FORGET}
