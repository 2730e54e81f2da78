"""Layers that pad and crop spatial axes."""

import functools
from collections.abc import Sequence

import jax

from jdl import functional
from jdl.functional._pad import check_mode
from jdl.functional._window import check_sizes, widths
from jdl.layer import Layer, function


def pad(padding: int | Sequence[tuple[int, int]], *, mode: str = "zeros", value: float | jax.Array = 0) -> Layer:
    """Pads spatial axes.

    Args:
      padding: a width for all sides, or a `(low, high)` pair for each axis.
      mode: `"zeros"` (or another `value`), `"circular"`, `"reflect"` or `"replicate"`.
      value: what `"zeros"` pads with; may be traced.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, *spatial_out, channels)`.

    Raises:
      ValueError: if a width is negative, or the mode is unknown.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.pad(2, mode="reflect").apply({}, {}, jnp.ones((1, 4, 4, 3)))[0].shape
      (1, 8, 8, 3)
    """
    widths("pad", padding, None)
    check_mode("pad", mode, value)
    return function(functools.partial(functional.pad, padding=padding, mode=mode, value=value))


def crop(padding: int | Sequence[tuple[int, int]]) -> Layer:
    """Takes off what `pad` adds.

    Args:
      padding: how much, as a width for all sides, or as a `(low, high)` pair for each axis.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, *spatial_out, channels)`.

    Raises:
      ValueError: if a width is negative.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.crop([(0, 1), (2, 0)]).apply({}, {}, jnp.ones((1, 4, 4, 3)))[0].shape
      (1, 3, 2, 3)
    """
    widths("crop", padding, None)
    return function(functools.partial(functional.crop, padding=padding))


def center_crop(size: int | Sequence[int]) -> Layer:
    """Takes the middle of spatial axes.

    Args:
      size: of the spatial axes of the result, one for all or one each.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, *size, channels)`.

    Raises:
      ValueError: if a size is not a positive integer.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.center_crop(2).apply({}, {}, jnp.ones((1, 4, 4, 3)))[0].shape
      (1, 2, 2, 3)
    """
    check_sizes("center_crop", size=size)
    return function(functools.partial(functional.center_crop, size=size))
