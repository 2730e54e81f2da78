"""Layers that unfold into patches and fold them back."""

import functools
from collections.abc import Sequence

from jdl import functional
from jdl.functional._unfold import geometry as check_fits
from jdl.functional._window import Padding, axes_named, check_geometry, expand
from jdl.layer import Layer, function


def unfold(
    window: int | Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "VALID",
    dilation: int | Sequence[int] = 1,
) -> Layer:
    """Lays what a window sees at every place side by side (im2col).

    Args:
      window: size of the window, one for all spatial axes or one each.
      stride: step of the window, likewise.
      padding: `"VALID"`, `"SAME"`, a width for all sides, or a `(low, high)` pair for each axis.
      dilation: distance between neighbouring entries of the window, one for all axes or one each.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, *places, prod(window) * channels)`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.unfold(2, stride=2).apply({}, {}, jnp.ones((1, 8, 8, 3)))[0].shape
      (1, 4, 4, 12)
    """
    check_geometry("unfold", padding, window=window, stride=stride, dilation=dilation)
    return function(functools.partial(functional.unfold, window=window, stride=stride, padding=padding, dilation=dilation))


def fold(
    size: int | Sequence[int],
    window: int | Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "VALID",
    dilation: int | Sequence[int] = 1,
) -> Layer:
    """Adds patches up where a window saw them (col2im), the adjoint of `unfold`.

    Args:
      size: of the spatial axes of the result, one for all or one each.
      window: size of the window, likewise.
      stride: step of the window, likewise.
      padding: what `unfold` added to `size`.
      dilation: distance between neighbouring entries of the window, one for all axes or one each.

    Returns:
      A Layer from `(batch, *places, prod(window) * channels)` to `(batch, *size, channels)`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.fold(8, 2, stride=2).apply({}, {}, jnp.ones((1, 4, 4, 12)))[0].shape
      (1, 8, 8, 3)
    """
    check_geometry("fold", padding, size=size, window=window, stride=stride, dilation=dilation)
    axes = axes_named(size, window, stride, dilation, padding)
    check_fits("fold", expand("fold", "size", size, axes), window, stride, padding, dilation)
    geometry = {"size": size, "window": window, "stride": stride, "padding": padding, "dilation": dilation}
    return function(functools.partial(functional.fold, **geometry))
