"""Pooling layers."""

import functools
from collections.abc import Sequence

from jdl import functional
from jdl.functional import _check
from jdl.functional._window import Padding
from jdl.layer import Layer, function


def max_pool(window: int | Sequence[int], *, stride: int | Sequence[int] | None = None, padding: Padding = "VALID") -> Layer:
    """Takes the largest value in every window.

    Args:
      window: size of the window, one for all spatial axes or one each.
      stride: step of the window, likewise; the window's size if not given.
      padding: `"VALID"`, `"SAME"`, a width for all sides, or a `(low, high)` pair for each axis.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, *spatial_out, channels)`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.max_pool(2).apply({}, {}, jnp.ones((1, 8, 8, 3)))[0].shape
      (1, 4, 4, 3)
    """
    return _pool(functional.max_pool, window, stride, padding)


def avg_pool(window: int | Sequence[int], *, stride: int | Sequence[int] | None = None, padding: Padding = "VALID") -> Layer:
    """Takes the mean of every window; padding counts as zeros.

    Args:
      window: size of the window, one for all spatial axes or one each.
      stride: step of the window, likewise; the window's size if not given.
      padding: `"VALID"`, `"SAME"`, a width for all sides, or a `(low, high)` pair for each axis.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, *spatial_out, channels)`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.avg_pool(2).apply({}, {}, jnp.ones((1, 8, 8, 3)))[0].shape
      (1, 4, 4, 3)
    """
    return _pool(functional.avg_pool, window, stride, padding)


def _pool(pool, window, stride, padding) -> Layer:
    _check.positive(pool.__name__, window=window, **({} if stride is None else {"stride": stride}))
    return function(functools.partial(pool, window=window, stride=stride, padding=padding))
