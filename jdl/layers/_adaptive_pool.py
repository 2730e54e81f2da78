"""Layers that pool to a given size."""

import functools
from collections.abc import Sequence

from jdl import functional
from jdl.functional._window import check_sizes
from jdl.layer import Layer, function


def adaptive_avg_pool(size: int | Sequence[int]) -> Layer:
    """Takes the mean of every bin, of as many bins as the output has places.

    Args:
      size: spatial size of the output, one for all axes or one each.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, *size, channels)`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.adaptive_avg_pool(4).apply({}, {}, jnp.ones((1, 9, 7, 3)))[0].shape
      (1, 4, 4, 3)
    """
    check_sizes("adaptive_avg_pool", size=size)
    return function(functools.partial(functional.adaptive_avg_pool, size=size))


def adaptive_max_pool(size: int | Sequence[int]) -> Layer:
    """Takes the largest value of every bin, of as many bins as the output has places.

    Args:
      size: spatial size of the output, one for all axes or one each.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, *size, channels)`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.adaptive_max_pool(4).apply({}, {}, jnp.ones((1, 9, 7, 3)))[0].shape
      (1, 4, 4, 3)

    Source: He et al., "Spatial Pyramid Pooling in Deep Convolutional Networks", https://arxiv.org/abs/1406.4729.
    """
    check_sizes("adaptive_max_pool", size=size)
    return function(functools.partial(functional.adaptive_max_pool, size=size))


def spatial_pyramid_pool(sizes: Sequence[int | Sequence[int]]) -> Layer:
    """Joins adaptive max pools of several sizes, so that inputs of any size give as many features.

    Args:
      sizes: of the levels of the pyramid, each as in `adaptive_max_pool`.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, bins * channels)`.

    Raises:
      ValueError: if there are no sizes, or one is not a positive integer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.spatial_pyramid_pool((1, 2, 4)).apply({}, {}, jnp.ones((2, 7, 5, 3)))[0].shape
      (2, 63)

    Source: He et al., "Spatial Pyramid Pooling in Deep Convolutional Networks", https://arxiv.org/abs/1406.4729.
    """
    if not sizes:
        raise ValueError("spatial_pyramid_pool: there must be at least one size")
    for size in sizes:
        check_sizes("spatial_pyramid_pool", sizes=size)
    return function(functools.partial(functional.spatial_pyramid_pool, sizes=sizes))
