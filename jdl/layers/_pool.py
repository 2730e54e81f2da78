"""Pooling layers with windows."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax

from jdl import functional
from jdl.functional._avg_pool import check_power
from jdl.functional._window import Padding, check_geometry
from jdl.layer import Layer, function


def max_pool(window: int | Sequence[int], *, stride: int | Sequence[int] | None = None, padding: Padding = "VALID") -> Layer:
    """Takes the largest value in every window.

    Args:
      window: size of the window, one for all spatial axes or one each.
      stride: step of the window, likewise; the window's size if not given.
      padding: `"VALID"`, `"SAME"`, a width for all sides, or a `(low, high)` pair for each axis.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, *spatial_out, channels)`, with an input `mask=` if you like.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.max_pool(2).apply({}, {}, jnp.ones((1, 8, 8, 3)))[0].shape
      (1, 4, 4, 3)

    Source: Riesenhuber and Poggio, "Hierarchical models of object recognition in cortex", https://doi.org/10.1038/14819.
    """
    return _pool(functional.max_pool, window, stride, padding)


def min_pool(window: int | Sequence[int], *, stride: int | Sequence[int] | None = None, padding: Padding = "VALID") -> Layer:
    """Takes the smallest value in every window.

    Args:
      window: size of the window, one for all spatial axes or one each.
      stride: step of the window, likewise; the window's size if not given.
      padding: `"VALID"`, `"SAME"`, a width for all sides, or a `(low, high)` pair for each axis.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, *spatial_out, channels)`, with an input `mask=` if you like.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.min_pool(2).apply({}, {}, jnp.ones((1, 8, 8, 3)))[0].shape
      (1, 4, 4, 3)
    """
    return _pool(functional.min_pool, window, stride, padding)


def avg_pool(
    window: int | Sequence[int],
    *,
    stride: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
    count_padding: bool = True,
) -> Layer:
    """Takes the mean of every window.

    Args:
      window: size of the window, one for all spatial axes or one each.
      stride: step of the window, likewise; the window's size if not given.
      padding: `"VALID"`, `"SAME"`, a width for all sides, or a `(low, high)` pair for each axis.
      count_padding: whether padding counts, as zeros, or the mean is over entries of the input alone.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, *spatial_out, channels)`, with an input `mask=` if you like.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.avg_pool(2).apply({}, {}, jnp.ones((1, 8, 8, 3)))[0].shape
      (1, 4, 4, 3)
    """
    return _pool(functional.avg_pool, window, stride, padding, count_padding=count_padding)


def sum_pool(window: int | Sequence[int], *, stride: int | Sequence[int] | None = None, padding: Padding = "VALID") -> Layer:
    """Takes the sum of every window.

    Args:
      window: size of the window, one for all spatial axes or one each.
      stride: step of the window, likewise; the window's size if not given.
      padding: `"VALID"`, `"SAME"`, a width for all sides, or a `(low, high)` pair for each axis.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, *spatial_out, channels)`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.sum_pool(2).apply({}, {}, jnp.ones((1, 2, 2, 1)))[0].item()
      4.0
    """
    return _pool(functional.sum_pool, window, stride, padding)


def lp_pool(
    window: int | Sequence[int],
    *,
    power: float | jax.Array,
    stride: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
) -> Layer:
    """Takes the p-norm of every window.

    Args:
      window: size of the window, one for all spatial axes or one each.
      power: which norm, a number of at least 1; may be traced.
      stride: step of the window, likewise; the window's size if not given.
      padding: `"VALID"`, `"SAME"`, a width for all sides, or a `(low, high)` pair for each axis.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, *spatial_out, channels)`.

    Raises:
      ValueError: if a size is not a positive integer, or `power` is a number below 1.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.lp_pool(2, power=2).apply({}, {}, jnp.ones((1, 2, 2, 1)))[0].item()
      2.0

    Source: Sermanet et al., "Convolutional Neural Networks Applied to House Numbers Digit Classification",
    https://arxiv.org/abs/1204.3968.
    """
    check_power("lp_pool", power)
    return _pool(functional.lp_pool, window, stride, padding, power=power)


def soft_pool(window: int | Sequence[int], *, stride: int | Sequence[int] | None = None, padding: Padding = "VALID") -> Layer:
    """Takes the mean of every window, weighted by its softmax.

    Args:
      window: size of the window, one for all spatial axes or one each.
      stride: step of the window, likewise; the window's size if not given.
      padding: `"VALID"`, `"SAME"`, a width for all sides, or a `(low, high)` pair for each axis.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, *spatial_out, channels)`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.soft_pool(2).apply({}, {}, jnp.ones((1, 8, 8, 3)))[0].shape
      (1, 4, 4, 3)

    Source: Stergiou et al., "Refining activation downsampling with SoftPool", https://arxiv.org/abs/2101.00440.
    """
    return _pool(functional.soft_pool, window, stride, padding)


def _pool(pool: Callable, window: Any, stride: Any, padding: Padding, **options: Any) -> Layer:
    check_geometry(pool.__name__, padding, window=window, **({} if stride is None else {"stride": stride}))
    return function(functools.partial(pool, window=window, stride=stride, padding=padding, **options))
