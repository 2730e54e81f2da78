"""Layers that resize spatial axes."""

import functools
from collections.abc import Sequence

from jdl import functional
from jdl.functional import _check
from jdl.functional._resize import METHODS
from jdl.functional._window import check_sizes
from jdl.layer import Layer, function


def resize(size: int | Sequence[int], *, method: str = "bilinear", antialias: bool = True) -> Layer:
    """Interpolates spatial axes to a given size.

    Args:
      size: of the spatial axes of the result, one for all or one each.
      method: `"nearest"`, `"bilinear"` or `"bicubic"`, along any number of axes.
      antialias: whether every entry is seen where the result is smaller.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, *size, channels)`.

    Raises:
      ValueError: if a size is not a positive integer, or the method is unknown.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.resize((5, 7)).apply({}, {}, jnp.ones((1, 8, 8, 3)))[0].shape
      (1, 5, 7, 3)
    """
    check_sizes("resize", size=size)
    _check.choice("resize", "method", method, METHODS)
    return function(functools.partial(functional.resize, size=size, method=method, antialias=antialias))


def upsample(factor: int | Sequence[int], *, method: str = "nearest") -> Layer:
    """Makes spatial axes `factor` times as long.

    Args:
      factor: one for all spatial axes or one each.
      method: `"nearest"`, `"bilinear"` or `"bicubic"`, along any number of axes.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, *(spatial * factor), channels)`.

    Raises:
      ValueError: if a factor is not a positive integer, or the method is unknown.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.upsample(2).apply({}, {}, jnp.ones((1, 4, 4, 3)))[0].shape
      (1, 8, 8, 3)
    """
    check_sizes("upsample", factor=factor)
    _check.choice("upsample", "method", method, METHODS)
    return function(functools.partial(functional.upsample, factor=factor, method=method))
