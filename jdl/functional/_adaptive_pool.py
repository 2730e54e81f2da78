"""Pooling to a given size."""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jdl.functional import _check, _slide
from jdl.functional._flatten import flatten
from jdl.functional._max_pool import larger
from jdl.functional._numbers import widen
from jdl.functional._window import expand, spatial_axes


def adaptive_avg_pool(x: jax.Array, size: int | Sequence[int]) -> jax.Array:
    """Takes the mean of every bin, where bin `i` of `m` along an axis of `n` goes from `floor(i n / m)` to `ceil((i + 1) n / m)`.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes, floating point.
      size: spatial size of the output, one for all axes or one each.

    Returns:
      `(batch, *size, channels)`, of the dtype of `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if ranks don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.adaptive_avg_pool(jnp.arange(5.0).reshape(1, 5, 1), 2).ravel().tolist()
      [1.0, 3.0]
    """
    x = _check.floating("adaptive_avg_pool", x)
    wide = widen(x)
    return _pool("adaptive_avg_pool", wide, size, lambda part, axis: part.mean(axis, keepdims=True)).astype(x.dtype)


def adaptive_max_pool(x: jax.Array, size: int | Sequence[int]) -> jax.Array:
    """Takes the largest value of every bin, where bins are those of `adaptive_avg_pool`.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes, floating point.
      size: spatial size of the output, one for all axes or one each.

    Returns:
      `(batch, *size, channels)`, of the dtype of `x`. The gradient goes to the first of equal values.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if ranks don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.adaptive_max_pool(jnp.arange(5.0).reshape(1, 5, 1), 2).ravel().tolist()
      [2.0, 4.0]

    Source: He et al., "Spatial Pyramid Pooling in Deep Convolutional Networks", https://arxiv.org/abs/1406.4729.
    """
    x = _check.floating("adaptive_max_pool", x)

    def largest(part: jax.Array, axis: int) -> jax.Array:
        return _slide.along(part, axis, part.shape[axis], part.shape[axis], larger)

    return _pool("adaptive_max_pool", x, size, largest)


def spatial_pyramid_pool(x: jax.Array, sizes: Sequence[int | Sequence[int]]) -> jax.Array:
    """Joins adaptive max pools of several sizes, so that inputs of any size give as many features.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes, floating point.
      sizes: of the levels of the pyramid, each as in `adaptive_max_pool`.

    Returns:
      `(batch, bins * channels)`, with the bins of all levels, level by level, in row order, channels last.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if ranks don't fit, or there are no sizes.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> jax.jit(lambda x: functional.spatial_pyramid_pool(x, (1, 2, 4)))(jnp.ones((2, 7, 5, 3))).shape
      (2, 63)

    Source: He et al., "Spatial Pyramid Pooling in Deep Convolutional Networks", https://arxiv.org/abs/1406.4729.
    """
    x = _check.floating("spatial_pyramid_pool", x)
    spatial_axes("spatial_pyramid_pool", x)
    if not sizes:
        raise ValueError("spatial_pyramid_pool: there must be at least one size")
    return jnp.concatenate([flatten(adaptive_max_pool(x, size)) for size in sizes], axis=-1)


def _pool(name: str, x: jax.Array, size: int | Sequence[int], reduce: Callable[[jax.Array, int], jax.Array]) -> jax.Array:
    spatial_axes(name, x)
    sizes = expand(name, "size", size, x.ndim - 2)
    for axis in reversed(range(1, x.ndim - 1)):
        x = _bins(x, axis, sizes[axis - 1], reduce)
    return x


def _bins(x: jax.Array, axis: int, count: int, reduce: Callable[[jax.Array, int], jax.Array]) -> jax.Array:
    """Reduces every bin along one axis. Bins repeat where their number and the size have a common divisor: one slice for all."""
    common = math.gcd(x.shape[axis], count)
    size, bins = x.shape[axis] // common, count // common
    blocks = x.reshape(*x.shape[:axis], common, size, *x.shape[axis + 1 :])
    ends = [(i * size // bins, -(-(i + 1) * size // bins)) for i in range(bins)]
    parts = [reduce(jax.lax.slice_in_dim(blocks, *pair, axis=axis + 1), axis + 1) for pair in ends]
    return jnp.concatenate(parts, axis=axis + 1).reshape(*x.shape[:axis], count, *x.shape[axis + 1 :])
