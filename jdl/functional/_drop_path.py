"""Stochastic depth."""

import jax

from jdl.functional import _check
from jdl.functional._dropout import drop


def drop_path(key: jax.Array, x: jax.Array, rate: float | jax.Array) -> jax.Array:
    """Sets whole samples to zero with probability `rate` and divides the others by `1 - rate`: a residual block is skipped.

    Args:
      key: a typed key.
      x: what a residual branch adds, `(batch, ...)`, floating point.
      rate: probability of *dropping* a sample, in [0, 1]; may be traced. 0 returns `x` and 1 zeros, exactly.

    Returns:
      An array like `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `x` is a scalar, or `rate` is a number outside [0, 1].

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.drop_path(jax.random.key(0), jnp.ones((4, 2)), 0.5).tolist()
      [[0.0, 0.0], [0.0, 0.0], [2.0, 2.0], [2.0, 2.0]]

    Source: Huang et al., "Deep Networks with Stochastic Depth", https://arxiv.org/abs/1603.09382.
    """
    x = samples("drop_path", x)
    return drop("drop_path", key, x, rate, range(1, x.ndim))


def samples(name: str, x: jax.Array) -> jax.Array:
    """`x` as JAX's array; raises unless it is `(batch, ...)`."""
    x = _check.floating(name, x)
    _check.rank(name, x, range(1, 65), "(batch, ...)")
    return x
