"""Maxout."""

import jax

from jdl.functional import _check


def maxout(x: jax.Array, pieces: int, axis: int = -1) -> jax.Array:
    """Takes the largest of every `pieces` neighbours along an axis: `y[i] = max(x[i * pieces], ..., x[i * pieces + pieces - 1])`.

    Args:
      x: input, floating point.
      pieces: how many entries each output is the largest of; divides the length of the axis.
      axis: the axis of features.

    Returns:
      An array like `x`, with an axis shorter by the factor `pieces`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `x` has no such axis, or `pieces` does not divide its length.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.maxout(jnp.array([1.0, 2.0, 4.0, 3.0]), 2).tolist()
      [2.0, 4.0]

    Source: Goodfellow et al., "Maxout Networks", https://arxiv.org/abs/1302.4389.
    """
    x = _check.floating("maxout", x)
    _check.positive("maxout", pieces=pieces)
    if not -x.ndim <= axis < x.ndim or x.shape[axis] % pieces:
        raise ValueError(f"maxout: axis {axis} of x must be there and divisible by {pieces}, x is {_check.describe(x)}")
    axis %= x.ndim
    return x.reshape(*x.shape[:axis], x.shape[axis] // pieces, pieces, *x.shape[axis + 1 :]).max(axis + 1)
