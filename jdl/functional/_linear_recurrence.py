"""Recurrences that are linear in the hidden state, and so need no loop."""

import jax
import jax.numpy as jnp

from jdl.functional import _check


def linear_recurrence(
    decay: jax.Array, new: jax.Array, carry: jax.Array | None = None, *, axis: int = 1, reverse: bool = False
) -> jax.Array:
    """Computes `h[t] = decay[t] h[t-1] + new[t]` for all times, as a scan in logarithmic depth.

    Nothing is divided, so that no logarithms are needed to keep it stable.

    Args:
      decay: `(batch, time, ...)`, floating point or complex.
      new: likewise.
      carry: `h[-1]`, `(batch, ...)`, likewise; zeros if not given.
      axis: that of time.
      reverse: whether to begin at the last time: `h[t] = decay[t] h[t+1] + new[t]`.

    Returns:
      `h`, of the shape of `new`, in the dtype that all three promote to.

    Raises:
      TypeError: if an array is not floating point or complex.
      ValueError: if shapes don't fit.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> jax.jit(functional.linear_recurrence)(jnp.full((1, 4), 0.5), jnp.ones((1, 4))).tolist()
      [[1.0, 1.5, 1.75, 1.875]]

    Source: Blelloch, "Prefix Sums and Their Applications", https://www.cs.cmu.edu/~guyb/papers/Ble93.pdf.
    """
    decay = _check.floating("linear_recurrence", decay, "decay")
    new = _check.floating("linear_recurrence", new, "new")
    _check.same_shape("linear_recurrence", decay=decay, new=new)
    if not -new.ndim <= axis < new.ndim:
        raise ValueError(f"linear_recurrence: there is no axis {axis} in {_check.describe(new)}")
    start = None if carry is None else _check.floating("linear_recurrence", carry, "carry")
    if start is not None and start.shape != tuple(size for i, size in enumerate(new.shape) if i != axis % new.ndim):
        raise ValueError(f"linear_recurrence: carry is {_check.describe(start)}, new is {_check.describe(new)}")
    dtype = jnp.result_type(decay, new, *([] if start is None else [start]))

    def join(first: tuple[jax.Array, jax.Array], second: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        return first[0] * second[0], second[0] * first[1] + second[1]

    product, hidden = jax.lax.associative_scan(join, (decay.astype(dtype), new.astype(dtype)), reverse=reverse, axis=axis)
    return hidden if start is None else hidden + product * jnp.expand_dims(start.astype(dtype), axis)
