"""The linear recurrent unit: a diagonal of complex numbers."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._dense import dense
from jdl.functional._numbers import widen
from jdl.functional._recurrent import Recurrence, check_shapes, recurrent, with_skip


def lru(
    x: jax.Array,
    kernel: jax.Array,
    out_kernel: jax.Array,
    log_decay: jax.Array,
    log_phase: jax.Array,
    log_scale: jax.Array,
    skip: jax.Array | None = None,
    *,
    carry: jax.Array | None = None,
    lengths: jax.Array | None = None,
    mask: jax.Array | None = None,
    reverse: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Applies a linear recurrent unit to a sequence: `h = lambda h + gamma (x B)` and `y = Re(h C) + D x`.

    The eigenvalues are `lambda = exp(-exp(nu) + i exp(theta))`, so that none grows. Computed in float32 at least.

    Args:
      x: input, `(batch, time, in)`, floating point.
      kernel: B, `(in, 2 * states)`: real parts, then imaginary ones.
      out_kernel: C, `(2 * states, features)`, likewise.
      log_decay: nu, `(states,)`.
      log_phase: theta, `(states,)`.
      log_scale: the logarithm of gamma, `(states,)`.
      skip: D, `(in,)`, for as many features.
      carry: `h` to begin with, complex `(batch, states)`; zeros if not given.
      lengths: integers `(batch,)`, how many steps count in each sample; out of 0..time, it is NaN under jit.
      mask: bools `(batch, time)`, which of them count.
      reverse: whether to begin at the last step.

    Returns:
      `(y, h)`: outputs `(batch, time, features)`, and the last state, complex `(batch, states)`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if shapes don't fit, or lengths lie outside 0..time.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> half, none = jnp.log(jnp.log(jnp.full(1, 2.0))), jnp.full(1, -jnp.inf)
      >>> kernel, out_kernel = jnp.ones((1, 2)), jnp.array([[1.0], [0.0]])
      >>> y, _ = jax.jit(functional.lru)(jnp.ones((1, 3, 1)), kernel, out_kernel, half, none, jnp.zeros(1))
      >>> [round(number, 3) for number in y.ravel().tolist()]
      [1.0, 1.5, 1.75]

    Source: Orvieto et al., "Resurrecting Recurrent Neural Networks for Long Sequences", https://arxiv.org/abs/2303.06349.
    """
    logs = {"log_decay": log_decay, "log_phase": log_phase, "log_scale": log_scale}
    params = {"kernel": kernel, "out_kernel": out_kernel, **logs} | ({} if skip is None else {"skip": skip})
    return recurrent(LRU, params, x, carry=carry, lengths=lengths, mask=mask, reverse=reverse)


def _start(params: dict, x: Any) -> jax.Array:
    _check.rank("lru", x, (3,), "(batch, time, features)")
    states, features = params["kernel"].shape[-1] // 2, params["out_kernel"].shape[-1]
    wants = {"kernel": (x.shape[-1], 2 * states), "out_kernel": (2 * states, features), "skip": (features,)}
    wants |= dict.fromkeys(("log_decay", "log_phase", "log_scale"), (states,))
    check_shapes("lru", params, wants, x)
    if "skip" in params and x.shape[-1] != features:
        raise ValueError(f"lru: skip needs as many features as x has, {features} for {_check.describe(x)}")
    return jnp.zeros((x.shape[0], states), jnp.result_type(x.dtype, jnp.complex64))


def _project(params: dict, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    decay, phase, scale = (widen(params[name]).astype(widen(x).dtype) for name in ("log_decay", "log_phase", "log_scale"))
    eigenvalues = jnp.exp(jax.lax.complex(-jnp.exp(decay), jnp.exp(phase)))
    across = lambda a: jnp.expand_dims(a, range(x.ndim - 1))
    new = across(jnp.exp(jnp.concatenate([scale, scale]))) * dense(widen(x), params["kernel"])
    new = jax.lax.complex(*jnp.split(new, 2, axis=-1))
    return jnp.broadcast_to(across(eigenvalues), new.shape), new


def _readout(params: dict, hidden: jax.Array, x: jax.Array) -> jax.Array:
    y = dense(jnp.concatenate([hidden.real, -hidden.imag], axis=-1), params["out_kernel"])
    return with_skip(params, y, x)


LRU = Recurrence("lru", _start, _project, None, _readout)
