"""Addition of a bias."""

import jax
import jax.numpy as jnp

from jdl.functional import _check


def add_bias(x: jax.Array, bias: jax.Array) -> jax.Array:
    """Adds a bias to the last axes of `x`: `y = x + b`.

    Args:
      x: input, `(..., features)`, floating point.
      bias: `(features,)`, or any number of the last axes of `x`, each of its length or 1; cast to the dtype of `x`.

    Returns:
      An array like `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if the bias does not fit the last axes of `x`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.add_bias(jnp.ones((2, 2)), jnp.array([0.0, 3.0])).tolist()
      [[1.0, 4.0], [1.0, 4.0]]
    """
    x = _check.floating("add_bias", x)
    if bias.ndim > x.ndim or any(b not in (1, n) for n, b in zip(reversed(x.shape), reversed(bias.shape))):
        raise ValueError(f"add_bias: bias {_check.describe(bias)} does not fit the last axes of x, {_check.describe(x)}")
    return x + jnp.expand_dims(bias.astype(x.dtype), range(x.ndim - bias.ndim))
