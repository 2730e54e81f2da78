"""Layers that spatial transformers consist of."""

import functools
from collections.abc import Sequence

from jdl import functional
from jdl.functional import _check
from jdl.functional._grid_sample import PADDING_MODES
from jdl.functional._resize import METHODS
from jdl.functional._window import check_sizes
from jdl.layer import Layer, function


def affine_grid(size: int | Sequence[int], *, align_corners: bool = False) -> Layer:
    """Makes the grid that samples the image of an affine map.

    Args:
      size: of the spatial axes of the grid, one for all or one each.
      align_corners: whether -1 and 1 are the centres of the outermost entries, or their outer edges.

    Returns:
      A Layer from `(batch, spatial, spatial + 1)` to `(batch, *size, spatial)`.

    Raises:
      ValueError: if a size is not a positive integer.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.affine_grid((4, 5)).apply({}, {}, jnp.ones((1, 2, 3)))[0].shape
      (1, 4, 5, 2)

    Source: Jaderberg et al., "Spatial Transformer Networks", https://arxiv.org/abs/1506.02025.
    """
    check_sizes("affine_grid", size=size)
    return function(functools.partial(functional.affine_grid, size=size, align_corners=align_corners))


def grid_sample(*, method: str = "bilinear", padding_mode: str = "zeros", align_corners: bool = False) -> Layer:
    """Interpolates its first input at the places that its second input says.

    Args:
      method: `"nearest"`, `"bilinear"` or `"bicubic"`, along any number of axes.
      padding_mode: what lies beyond the image: `"zeros"`, `"border"` or `"reflection"`.
      align_corners: whether -1 and 1 are the centres of the outermost entries, or their outer edges.

    Returns:
      A Layer from `(batch, *spatial, channels)` and `(batch, *places, spatial)` to `(batch, *places, channels)`.

    Raises:
      ValueError: if the method or the mode is unknown.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.grid_sample().apply({}, {}, jnp.ones((1, 4, 4, 3)), jnp.zeros((1, 5, 6, 2)))[0].shape
      (1, 5, 6, 3)

    Source: Jaderberg et al., "Spatial Transformer Networks", https://arxiv.org/abs/1506.02025.
    """
    _check.choice("grid_sample", "method", method, METHODS)
    _check.choice("grid_sample", "padding_mode", padding_mode, PADDING_MODES)
    settings = {"method": method, "padding_mode": padding_mode, "align_corners": align_corners}
    return function(functools.partial(functional.grid_sample, **settings))
