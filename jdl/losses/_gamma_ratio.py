"""Ratios of gamma functions that stay accurate where one distribution tends to a simpler one, and at that limit."""

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln

SMALL = 0.1  # below it the series are as accurate as float64


def log1p_ratio(x: jax.Array) -> jax.Array:
    """`log(1 + x) / x` of what is at least 0, and 1 at 0."""
    small = x < SMALL
    series = jnp.polyval(jnp.array([(-1) ** n / (n + 1) for n in range(15, -1, -1)], x.dtype), jnp.where(small, x, 0))
    some = jnp.where(small, 1, x)
    return jnp.where(small, series, jnp.log1p(some) / some)


def log_gamma_ratio(k: jax.Array, x: jax.Array) -> jax.Array:
    """`log(gamma(r + k) / (gamma(r) r^k))` with `r = 1 / x`, for `k` and `x` of at least 0; at `x = 0` its limit, 0."""
    small = x < SMALL
    low, high = jnp.where(small, x, 0), jnp.where(small, 1, x)
    stirling = k * (log1p_ratio(k * low) - 1) + (k - 0.5) * jnp.log1p(k * low) + _rest(low / (1 + k * low)) - _rest(low)
    return jnp.where(small, stirling, gammaln(1 / high + k) - gammaln(1 / high) + k * jnp.log(high))


def _rest(x: jax.Array) -> jax.Array:
    """What Stirling's formula of `log(gamma(1 / x))` leaves out."""
    square = x * x
    return x * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square * (1 / 1680 - square / 1188))))
