"""State spaces whose steps depend on the input."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._dense import dense
from jdl.functional._numbers import widen
from jdl.functional._recurrent import Recurrence, check_shapes, recurrent, with_skip


def selective_ssm(
    x: jax.Array,
    kernel: jax.Array,
    out_kernel: jax.Array,
    step_kernel: jax.Array,
    step_out_kernel: jax.Array,
    step_bias: jax.Array,
    log_decay: jax.Array,
    skip: jax.Array | None = None,
    *,
    carry: jax.Array | None = None,
    lengths: jax.Array | None = None,
    mask: jax.Array | None = None,
    reverse: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Applies a selective state space to a sequence: `h = exp(delta A) h + delta B x` and `y = C h + D x`, for every feature.

    What is kept and what is let in depends on the input: `delta = softplus(x U V + b)`, `B = x W` and `C = x Z`. Every feature has
    states of its own, with `A = -exp(a)`. Computed in float32 at least, in logarithmic depth; it takes `states` times the memory of
    the input.

    Args:
      x: input, `(batch, time, features)`, floating point.
      kernel: W, `(features, states)`.
      out_kernel: Z, `(features, states)`.
      step_kernel: U, `(features, rank)`.
      step_out_kernel: V, `(rank, features)`.
      step_bias: b, `(features,)`.
      log_decay: a, `(features, states)`.
      skip: D, `(features,)`.
      carry: `h` to begin with, `(batch, features, states)`; zeros if not given.
      lengths: integers `(batch,)`, how many steps count in each sample; out of 0..time, it is NaN under jit.
      mask: bools `(batch, time)`, which of them count.
      reverse: whether to begin at the last step.

    Returns:
      `(y, h)`: outputs of the shape and dtype of `x`, and the last states, `(batch, features, states)`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if shapes don't fit, or lengths lie outside 0..time.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> one, zero, bias = jnp.ones((1, 1)), jnp.zeros((1, 1)), jnp.log(jnp.expm1(jnp.log(jnp.full(1, 2.0))))
      >>> y, _ = jax.jit(functional.selective_ssm)(jnp.ones((1, 3, 1)), one, one, zero, zero, bias, zero)
      >>> [round(number, 3) for number in (y / jnp.log(2)).ravel().tolist()]  # a step of log(2) keeps a half
      [1.0, 1.5, 1.75]

    Source: Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", https://arxiv.org/abs/2312.00752.
    """
    params = {
        "kernel": kernel,
        "out_kernel": out_kernel,
        "step_kernel": step_kernel,
        "step_out_kernel": step_out_kernel,
        "step_bias": step_bias,
        "log_decay": log_decay,
    } | ({} if skip is None else {"skip": skip})
    return recurrent(SELECTIVE_SSM, params, x, carry=carry, lengths=lengths, mask=mask, reverse=reverse)


def _start(params: dict, x: Any) -> jax.Array:
    _check.rank("selective_ssm", x, (3,), "(batch, time, features)")
    (features, states), rank = params["log_decay"].shape, params["step_kernel"].shape[-1]
    wants = dict.fromkeys(("kernel", "out_kernel", "log_decay"), (x.shape[-1], states))
    wants |= {"step_kernel": (x.shape[-1], rank), "step_out_kernel": (rank, x.shape[-1])}
    wants |= dict.fromkeys(("step_bias", "skip"), (x.shape[-1],))
    check_shapes("selective_ssm", params, wants, x)
    return jnp.zeros((x.shape[0], features, states), widen(x).dtype)


def _project(params: dict, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    x = widen(x)
    step = dense(dense(x, params["step_kernel"]), params["step_out_kernel"], params["step_bias"])
    step = jnp.expand_dims(jax.nn.softplus(step), -1)
    decay = jnp.exp(widen(params["log_decay"]).astype(x.dtype))
    let_in = jnp.expand_dims(dense(x, params["kernel"]), -2)
    return jnp.exp(-step * jnp.expand_dims(decay, range(x.ndim - 1))), step * let_in * jnp.expand_dims(x, -1)


def _readout(params: dict, hidden: jax.Array, x: jax.Array) -> jax.Array:
    x = x.astype(hidden.dtype)
    y = (hidden * jnp.expand_dims(dense(x, params["out_kernel"]), -2)).sum(-1)
    return with_skip(params, y, x)


SELECTIVE_SSM = Recurrence("selective_ssm", _start, _project, None, _readout)
