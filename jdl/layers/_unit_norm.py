"""Vectors of length 1."""

import functools
from collections.abc import Sequence

from jdl import functional
from jdl.functional import _check
from jdl.layer import Layer, function


def unit_norm(*, axis: int | Sequence[int] = -1, epsilon: float = 1e-12) -> Layer:
    """Divides by the Euclidean length; a vector of zeros stays one.

    Args:
      axis: the axis, or axes, that a vector lies along.
      epsilon: length under which vectors are not made as long as 1.

    Returns:
      A Layer on floating-point arrays.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.unit_norm().apply({}, {}, jnp.array([[0.0, 4.0]]))[0].tolist()
      [[0.0, 1.0]]

    Source: Liu, Rabinovich and Berg, "ParseNet: Looking Wider to See Better", https://arxiv.org/abs/1506.04579.
    """
    _check.axes("unit_norm", axis=axis)
    _check.within("unit_norm", 0, float("inf"), epsilon=epsilon)
    return function(functools.partial(functional.unit_norm, axis=axis, epsilon=epsilon))
