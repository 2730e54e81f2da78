"""Dropout."""

import jax
import jax.numpy as jnp

from jdl.functional import _check


def dropout(key: jax.Array, x: jax.Array, rate: float | jax.Array) -> jax.Array:
    """Sets each entry to zero with probability `rate` and divides the others by `1 - rate`, so that the mean stays.

    A random word of 32 bits serves two entries, which halves the cost; entries are dropped with the multiple of `2**-16` nearest to
    `rate`.

    Args:
      key: a typed key.
      x: input of any shape, floating point.
      rate: probability of *dropping*, in [0, 1]; may be traced. 0 returns `x` and 1 zeros, exactly.

    Returns:
      An array like `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `rate` is a number outside [0, 1].

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> y = functional.dropout(jax.random.key(0), jnp.ones(1000), 0.2)
      >>> sorted(set(y.tolist())), (y == 0).mean().round(1).item()
      ([0.0, 1.25], 0.20000000298023224)

    Source: Srivastava et al., "Dropout", https://jmlr.org/papers/v15/srivastava14a.html.
    """
    x = _check.floating("dropout", x)
    _check.within("dropout", 0, 1, rate=rate)
    keep = 1 - jnp.asarray(rate, jnp.float32)
    factor = jnp.where(keep > 0, 1 / jnp.where(keep > 0, keep, 1), 0).astype(x.dtype)  # no 1 / 0, whose gradient is NaN
    return jnp.where(_draw(key, x.shape, keep), x * factor, jnp.zeros((), x.dtype))


def _draw(key: jax.Array, shape: tuple[int, ...], keep: jax.Array) -> jax.Array:
    """True with probability `keep`, exactly so for 0 and 1."""
    *leading, last = shape or (1,)
    words = jax.random.bits(key, (*leading, -(-last // 2)))
    limit = jnp.round(keep * 2**16).astype(jnp.uint32)
    kept = jnp.concatenate([words >> 16 < limit, words & 0xFFFF < limit], axis=-1)
    return kept[..., :last].reshape(shape)
