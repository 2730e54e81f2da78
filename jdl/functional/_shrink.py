"""Shrinking: entries near 0 become 0."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen


def hard_shrink(x: jax.Array, limit: float | jax.Array = 0.5) -> jax.Array:
    """Sets what is within `limit` of 0 to 0: `y = x where |x| > limit, 0 elsewhere`.

    Args:
      x: input of any shape, floating point.
      limit: at least 0; may be traced.

    Returns:
      An array like `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `limit` is a negative number.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.hard_shrink(jnp.array([-2.0, 0.25, 2.0])).tolist()
      [-2.0, 0.0, 2.0]

    Source: Donoho and Johnstone, "Ideal spatial adaptation by wavelet shrinkage", https://doi.org/10.1093/biomet/81.3.425.
    """
    x = _check.floating("hard_shrink", x)
    _check.within("hard_shrink", 0, float("inf"), limit=limit)
    return jnp.where(jnp.abs(x) > jnp.asarray(limit, x.dtype), x, jnp.zeros((), x.dtype))


def soft_shrink(x: jax.Array, limit: float | jax.Array = 0.5) -> jax.Array:
    """Moves everything towards 0 by `limit`, and no further: `y = sign(x) * max(|x| - limit, 0)`.

    Args:
      x: input of any shape, floating point.
      limit: at least 0; may be traced.

    Returns:
      An array like `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `limit` is a negative number.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.soft_shrink(jnp.array([-2.0, 0.25, 2.0])).tolist()
      [-1.5, 0.0, 1.5]

    Source: Donoho, "De-noising by soft-thresholding", https://doi.org/10.1109/18.382009.
    """
    x = _check.floating("soft_shrink", x)
    _check.within("soft_shrink", 0, float("inf"), limit=limit)
    limit = jnp.asarray(limit, x.dtype)
    return jnp.where(jnp.abs(x) > limit, x - jnp.sign(x) * limit, jnp.zeros((), x.dtype))


def tanh_shrink(x: jax.Array) -> jax.Array:
    """Subtracts the hyperbolic tangent: `y = x - tanh(x)`.

    Args:
      x: input of any shape, floating point.

    Returns:
      An array like `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.tanh_shrink(jnp.array([0.0, 20.0])).tolist()
      [0.0, 19.0]
    """
    x = _check.floating("tanh_shrink", x)
    wide = widen(x)
    return (wide - jnp.tanh(wide)).astype(x.dtype)


def threshold(x: jax.Array, limit: float | jax.Array, value: float | jax.Array) -> jax.Array:
    """Replaces what does not exceed a limit: `y = x where x > limit, value elsewhere`.

    Args:
      x: input of any shape, floating point.
      limit: a number; may be traced.
      value: likewise.

    Returns:
      An array like `x`.

    Raises:
      TypeError: if `x` is not floating point.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.threshold(jnp.array([0.5, 2.0]), 1.0, -1.0).tolist()
      [-1.0, 2.0]
    """
    x = _check.floating("threshold", x)
    return jnp.where(x > jnp.asarray(limit, x.dtype), x, jnp.asarray(value, x.dtype))
