"""A quotient whose value and gradient stay finite where there is nothing to divide by."""

import jax
import jax.numpy as jnp

_NOTHING = 1e-18  # the square of what is less, which the gradient divides by, would be 0 in float32


def ratio(numerator: jax.Array, denominator: jax.Array, otherwise: float) -> jax.Array:
    """`numerator / denominator`, and `otherwise`, with gradient 0, where the denominator, at least 0, is less than 1e-18."""
    some = ~(denominator <= _NOTHING)  # NaN stays NaN
    return jnp.where(some, jnp.where(some, numerator, 0) / jnp.where(some, denominator, 1), otherwise)
