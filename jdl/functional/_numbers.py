"""How numbers stay accurate and finite: the precision of sums and statistics, and what to divide by and to take roots of."""

from typing import Any

import jax
import jax.numpy as jnp


def widen(x: jax.Array) -> jax.Array:
    """`x` in float32 at least."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def lowest(dtype: Any) -> Any:
    """The logarithm of nothing, finite, so that no multiple of it is NaN."""
    return jnp.finfo(dtype).min


def divisor(x: Any) -> jax.Array:
    """`x`, with 1 in the place of 0, to divide by what may be nothing."""
    return jnp.where(x == 0, 1, x)


def root(x: jax.Array) -> jax.Array:
    """The square root of what is at least 0, whose gradient at 0 is 0 instead of infinite."""
    some = x > 0
    return jnp.where(some, jnp.sqrt(jnp.where(some, x, 1)), 0)
