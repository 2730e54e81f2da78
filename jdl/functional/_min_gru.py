"""A GRU whose gates see the input alone, so that it needs no loop."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._dense import dense
from jdl.functional._gates import sigmoid
from jdl.functional._numbers import widen
from jdl.functional._recurrent import Recurrence, recurrent


def min_gru(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    carry: jax.Array | None = None,
    lengths: jax.Array | None = None,
    mask: jax.Array | None = None,
    reverse: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Applies a minGRU to a sequence: `h = (1 - z) h + z n` with `[z, n] = x W + b`, of which z goes through a sigmoid.

    Args:
      x: input, `(batch, time, in)`, floating point.
      kernel: `(in, 2 * features)`, blocks in the order z, n.
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
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> jax.jit(functional.min_gru)(jnp.ones((1, 3, 1)), jnp.array([[0.0, 8.0]]))[0].ravel().tolist()
      [4.0, 6.0, 7.0]

    Source: Feng et al., "Were RNNs All We Needed?", https://arxiv.org/abs/2410.01201.
    """
    params = {"kernel": kernel} | ({} if bias is None else {"bias": bias})
    return recurrent(MIN_GRU, params, x, carry=carry, lengths=lengths, mask=mask, reverse=reverse)


def _start(params: dict, x: Any) -> jax.Array:
    kernel = params["kernel"]
    _check.rank("min_gru", x, (3,), "(batch, time, features)")
    if x.shape[-1] != kernel.shape[0] or kernel.shape[-1] % 2:
        raise ValueError(f"min_gru: kernel must be (in, 2 * features), got {_check.describe(kernel)}, x is {_check.describe(x)}")
    return jnp.zeros((x.shape[0], kernel.shape[-1] // 2), jnp.promote_types(x.dtype, jnp.float32))


def _project(params: dict, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    z, n = jnp.split(widen(dense(x, params["kernel"], params.get("bias"))), 2, axis=-1)
    return sigmoid(-z), sigmoid(z) * n


MIN_GRU = Recurrence("min_gru", _start, _project, None)
