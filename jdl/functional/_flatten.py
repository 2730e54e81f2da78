"""Flattening of feature axes."""

import math

import jax

from jdl.functional import _check


def flatten(x: jax.Array) -> jax.Array:
    """Joins all axes but the first, the batch.

    Args:
      x: input, `(batch, ...)`.

    Returns:
      `(batch, features)`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.flatten(jnp.ones((2, 3, 4))).shape
      (2, 12)
    """
    _check.rank("flatten", x, range(1, 65), "(batch, ...)")
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))
