"""The GRU, in both its forms, and the MGU, which has one gate."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional._bias import add_bias
from jdl.functional._dense import dense
from jdl.functional._gates import sigmoid
from jdl.functional._recurrent import Recurrence, recurrent
from jdl.functional._rnn import project, start_square


def gru(
    x: jax.Array,
    kernel: jax.Array,
    recurrent_kernel: jax.Array,
    bias: jax.Array | None = None,
    recurrent_bias: jax.Array | None = None,
    *,
    reset_after: bool = True,
    carry: jax.Array | None = None,
    lengths: jax.Array | None = None,
    mask: jax.Array | None = None,
    reverse: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Applies a GRU to a sequence: `h = z h + (1 - z) n`, with gates r and z, and a candidate n.

    The gates are `sigmoid(x W + h U + b)`. With `reset_after`, as in PyTorch and cuDNN, the candidate is
    `tanh(x W + r (h U + b') + b)`; without, as in the paper, `tanh(x W + (r h) U + b)`.

    Args:
      x: input, `(batch, time, in)`, floating point.
      kernel: `(in, 3 * features)`, blocks in the order r, z, n.
      recurrent_kernel: `(features, 3 * features)`, likewise.
      bias: `(3 * features,)`, likewise.
      recurrent_bias: `(features,)`, b' of the candidate, for `reset_after` only; zeros if not given.
      reset_after: whether the reset gate works after the product.
      carry: `h` to begin with, `(batch, features)`; zeros if not given.
      lengths: integers `(batch,)`, how many steps count in each sample; out of 0..time, it is NaN under jit.
      mask: bools `(batch, time)`, which of them count.
      reverse: whether to begin at the last step.

    Returns:
      `(y, h)`: outputs `(batch, time, features)`, and the last of them, in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if shapes don't fit, lengths lie outside 0..time, or there is a recurrent bias without `reset_after`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.gru(jnp.ones((2, 5, 3)), jnp.ones((3, 12)), jnp.ones((4, 12)))[0].shape
      (2, 5, 4)

    Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation",
    https://arxiv.org/abs/1406.1078.
    """
    if recurrent_bias is not None and not reset_after:
        raise ValueError("gru: a recurrent bias is for reset_after; before the product, the bias does the same")
    params = {"kernel": kernel, "recurrent_kernel": recurrent_kernel, "bias": bias, "recurrent_bias": recurrent_bias}
    params = {name: a for name, a in params.items() if a is not None}
    return recurrent(GRU[reset_after], params, x, carry=carry, lengths=lengths, mask=mask, reverse=reverse)


def mgu(
    x: jax.Array,
    kernel: jax.Array,
    recurrent_kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    carry: jax.Array | None = None,
    lengths: jax.Array | None = None,
    mask: jax.Array | None = None,
    reverse: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Applies a minimal gated unit to a sequence: `h = (1 - f) h + f n`, with one gate f and a candidate n.

    The gate is `sigmoid(x W + h U + b)`, the candidate `tanh(x W + (f h) U + b)`.

    Args:
      x: input, `(batch, time, in)`, floating point.
      kernel: `(in, 2 * features)`, blocks in the order f, n.
      recurrent_kernel: `(features, 2 * features)`, likewise.
      bias: `(2 * features,)`, likewise.
      carry: `h` to begin with, `(batch, features)`; zeros if not given.
      lengths: integers `(batch,)`, how many steps count in each sample; out of 0..time, it is NaN under jit.
      mask: bools `(batch, time)`, which of them count.
      reverse: whether to begin at the last step.

    Returns:
      `(y, h)`: outputs `(batch, time, features)`, and the last of them, in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if shapes don't fit, or lengths lie outside 0..time.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.mgu(jnp.ones((2, 5, 3)), jnp.ones((3, 8)), jnp.ones((4, 8)))[0].shape
      (2, 5, 4)

    Source: Zhou et al., "Minimal Gated Unit for Recurrent Neural Networks", https://arxiv.org/abs/1603.09420.
    """
    params = {"kernel": kernel, "recurrent_kernel": recurrent_kernel} | ({} if bias is None else {"bias": bias})
    return recurrent(MGU, params, x, carry=carry, lengths=lengths, mask=mask, reverse=reverse)


def _reset_after(params: dict, carry: jax.Array, hidden: jax.Array, projected: jax.Array) -> jax.Array:
    (xr, xz, xn), (r, z, n) = (jnp.split(a, 3, axis=-1) for a in (projected, dense(hidden, params["recurrent_kernel"])))
    n = add_bias(n, params["recurrent_bias"]) if "recurrent_bias" in params else n
    candidate = jnp.tanh(xn + sigmoid(xr + r) * n)
    return candidate + sigmoid(xz + z) * (carry - candidate)


def _reset_before(params: dict, carry: jax.Array, hidden: jax.Array, projected: jax.Array) -> jax.Array:
    r, z, candidate = _gated(params, hidden, projected, gates=2)
    candidate = candidate(r)
    return candidate + z * (carry - candidate)


def _minimal(params: dict, carry: jax.Array, hidden: jax.Array, projected: jax.Array) -> jax.Array:
    f, candidate = _gated(params, hidden, projected, gates=1)
    return carry + f * (candidate(f) - carry)


def _gated(params: dict, hidden: jax.Array, projected: jax.Array, gates: int) -> Any:
    """The gates, and the candidate as a function of the gate that works before its product."""
    size, kernel = gates * hidden.shape[-1], params["recurrent_kernel"]
    values = sigmoid(projected[:, :size] + dense(hidden, kernel[:, :size]))
    candidate = lambda gate: jnp.tanh(projected[:, size:] + dense((gate * hidden).astype(hidden.dtype), kernel[:, size:]))
    return *jnp.split(values, gates, axis=-1), candidate


_start = functools.partial(start_square, "gru", 3)
GRU = {True: Recurrence("gru", _start, project, _reset_after), False: Recurrence("gru", _start, project, _reset_before)}
MGU = Recurrence("mgu", functools.partial(start_square, "mgu", 2), project, _minimal)
