"""Vectors of length 1."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen


def unit_norm(x: jax.Array, *, axis: int | Sequence[int] = -1, epsilon: float = 1e-12) -> jax.Array:
    """Divides by the Euclidean length: `y = x / max(|x|, epsilon)`. A vector of zeros stays one, and has a finite gradient.

    Args:
      x: input of any shape, floating point.
      axis: the axis, or axes, that a vector lies along.
      epsilon: length under which vectors are not made as long as 1.

    Returns:
      An array like `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `x` is a scalar.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.unit_norm(jnp.array([[3.0, 4.0], [0.0, 0.0]])).round(3).tolist()
      [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]

    Source: Liu, Rabinovich and Berg, "ParseNet: Looking Wider to See Better", https://arxiv.org/abs/1506.04579.
    """
    x = _check.floating("unit_norm", x)
    _check.rank("unit_norm", x, range(1, 65), "(..., features)")
    axes = _check.axes("unit_norm", axis=axis)
    if not all(-x.ndim <= one < x.ndim for one in axes):
        raise ValueError(f"unit_norm: axis must be axes of x, got {axis} for {_check.describe(x)}")
    _check.within("unit_norm", 0, float("inf"), epsilon=epsilon)
    wide = widen(x)
    square = jnp.square(wide).sum(axes, keepdims=True)
    return (wide * jax.lax.rsqrt(jnp.maximum(square, epsilon**2))).astype(x.dtype)
