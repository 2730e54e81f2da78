"""The density that flows map to."""

import math

import jax

from jdl.functional import _check
from jdl.functional._numbers import widen


def standard_normal_log_prob(x: jax.Array) -> jax.Array:
    """The logarithm of the density of independent standard normal numbers, for every sample: `-sum(x^2 + log(2 pi)) / 2`.

    With `y, log_det` of a flow, `standard_normal_log_prob(y) + log_det` is that of its input.

    Args:
      x: `(batch, ...)`, floating point.

    Returns:
      `(batch,)`, of float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if it is a scalar.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> [round(number, 3) for number in functional.standard_normal_log_prob(jnp.array([[0.0, 0.0], [1.0, 1.0]])).tolist()]
      [-1.838, -2.838]

    Source: Dinh et al., "Density estimation using Real NVP", https://arxiv.org/abs/1605.08803.
    """
    x = widen(_check.floating("standard_normal_log_prob", x))
    _check.rank("standard_normal_log_prob", x, range(1, 65), "(batch, ...)")
    axes = tuple(range(1, x.ndim))
    return -0.5 * ((x * x).sum(axes) + math.prod(x.shape[1:]) * math.log(2 * math.pi))
