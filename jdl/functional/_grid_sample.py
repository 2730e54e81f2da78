"""Sampling of images at the places of a grid, and grids of affine maps: what spatial transformers consist of."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._resize import METHODS
from jdl.functional._window import expand, spatial_axes

PADDING_MODES = ("zeros", "border", "reflection")


def affine_grid(theta: jax.Array, size: int | Sequence[int], *, align_corners: bool = False) -> jax.Array:
    """Makes the grid that samples the image of an affine map: `grid[p] = theta (p, 1)`.

    Places are in units of half the image, from -1 to 1 along each axis, and their last axis is `(x, y)` or `(x, y, z)`: it starts
    with the last spatial axis, as in PyTorch.

    Args:
      theta: the map of each sample, `(batch, spatial, spatial + 1)` for one to three spatial axes, floating point; its last column
        is the shift.
      size: of the spatial axes of the grid, one for all or one each.
      align_corners: whether -1 and 1 are the centres of the outermost entries, or their outer edges.

    Returns:
      `(batch, *size, spatial)`, of the dtype of `theta`; computed in float32 at least.

    Raises:
      TypeError: if `theta` is not floating point.
      ValueError: if `theta` is no affine map.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> mirror = jnp.array([[[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
      >>> functional.affine_grid(mirror, (1, 2)).tolist()
      [[[[0.5, 0.0], [-0.5, 0.0]]]]

    Source: Jaderberg et al., "Spatial Transformer Networks", https://arxiv.org/abs/1506.02025.
    """
    theta = _check.floating("affine_grid", theta, "theta")
    if theta.ndim != 3 or theta.shape[1] not in (1, 2, 3) or theta.shape[2] != theta.shape[1] + 1:
        raise ValueError(f"affine_grid: theta must be (batch, spatial, spatial + 1), got {_check.describe(theta)}")
    spatial = theta.shape[1]
    size = expand("affine_grid", "size", size, spatial)
    wide = widen(theta)
    axes = jnp.meshgrid(*(_centres(n, align_corners, wide.dtype) for n in size), indexing="ij")
    places = jnp.stack([*reversed(axes), jnp.ones_like(axes[0])]).reshape(spatial + 1, -1)
    grid = jnp.einsum("bij,jp->bpi", wide, places, precision=jax.lax.Precision.HIGHEST)
    return grid.reshape(len(theta), *size, spatial).astype(theta.dtype)


def grid_sample(
    x: jax.Array,
    grid: jax.Array,
    *,
    method: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
) -> jax.Array:
    """Interpolates `x` at the places of a grid: `y[p] = sum_q kernel(grid[p] - q) x[q]`.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes, floating point.
      grid: places, `(batch, *places, spatial)`, floating point; -1 and 1 are the ends of an axis, and the last axis is `(x, y)` or
        `(x, y, z)`, as `affine_grid` makes it.
      method: `"nearest"` (half-way to the even index), `"bilinear"` (linear along each axis, whatever their number) or `"bicubic"`
        (Keys's kernel with the constant -3/4), as in PyTorch.
      padding_mode: what lies beyond the image: `"zeros"`, `"border"` (its outermost entries) or `"reflection"`.
      align_corners: whether -1 and 1 are the centres of the outermost entries, or their outer edges.

    Returns:
      `(batch, *places, channels)`, of the dtype of `x`; computed in float32 at least. The gradient for `grid` is 0 for `"nearest"`.

    Raises:
      TypeError: if `x` or `grid` is not floating point.
      ValueError: if shapes don't fit, or the method or the mode is unknown.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> x = jnp.array([0.0, 2.0, 4.0]).reshape(1, 3, 1)
      >>> functional.grid_sample(x, jnp.array([[[0.0], [0.5]]]), align_corners=True).ravel().tolist()
      [2.0, 3.0]

    Source: Jaderberg et al., "Spatial Transformer Networks", https://arxiv.org/abs/1506.02025.
    """
    x, grid = _check.floating("grid_sample", x), _checked_grid(x, grid)
    _check.choice("grid_sample", "method", method, METHODS)
    _check.choice("grid_sample", "padding_mode", padding_mode, PADDING_MODES)
    batch, *size, channels = x.shape
    number = math.prod(grid.shape[1:-1])
    wide = functools.reduce(jnp.promote_types, (x.dtype, grid.dtype, jnp.float32))
    places = grid.astype(wide).reshape(batch, number, len(size))
    index, weight = jnp.zeros((batch, number, 1), jnp.int32), jnp.ones((batch, number, 1), wide)
    for axis, n in enumerate(size):
        place = places[..., len(size) - 1 - axis]
        place = (place + 1) * (n - 1) / 2 if align_corners else ((place + 1) * n - 1) / 2
        seen, share = _taps(place, n, method, padding_mode, align_corners)
        index, weight = _outer(jnp.add, index * n, seen), _outer(jnp.multiply, weight, share)
    rows, taps = x.reshape(batch, math.prod(size), channels), index.shape[-1]
    taken = jnp.take_along_axis(rows, index.reshape(batch, number * taps, 1), axis=1, mode="clip")
    taken = taken.astype(wide).reshape(batch, number, taps, channels)
    return (taken * jnp.expand_dims(weight, -1)).sum(axis=2).reshape(*grid.shape[:-1], channels).astype(x.dtype)


def _checked_grid(x: Any, grid: Any) -> jax.Array:
    spatial = spatial_axes("grid_sample", x)
    grid = _check.floating("grid_sample", grid, "grid")
    if grid.ndim < 2 or grid.shape[0] != x.shape[0] or grid.shape[-1] != spatial:
        wants = f"({x.shape[0]}, *places, {spatial})"
        raise ValueError(f"grid_sample: for x of {_check.describe(x)} grid must be {wants}, got {_check.describe(grid)}")
    return grid


def _centres(n: int, align_corners: bool, dtype: Any) -> jax.Array:
    """The centres of n entries from -1 to 1."""
    steps = 2 * jnp.arange(n, dtype=dtype) - (n - 1)  # from the middle, in half entries
    return steps / (max(n - 1, 1) if align_corners else n)


def _taps(place: jax.Array, n: int, method: str, padding_mode: str, align_corners: bool) -> tuple[jax.Array, jax.Array]:
    """Which of the n entries along an axis are seen from each place, and with which weight: `(batch, places, taps)` each."""
    moved = functools.partial(_moved, n=n, padding_mode=padding_mode, align_corners=align_corners)
    if method != "bicubic":  # whose entries are moved into the image one by one instead
        place = moved(place)
    below = jnp.floor(place)
    t = place - below
    if method == "nearest":
        seen, weights = [jnp.round(place)], [jnp.ones_like(place)]
    elif method == "bilinear":
        seen, weights = [below, below + 1], [1 - t, t]
    else:
        seen = [moved(below + k) for k in (-1, 0, 1, 2)]
        weights = [_far(t + 1), _near(t), _near(1 - t), _far(2 - t)]
    index, weight = jnp.stack(seen, -1), jnp.stack(weights, -1)
    weight = jnp.where((index >= 0) & (index <= n - 1), weight, 0)
    return jnp.clip(index, 0, n - 1).astype(jnp.int32), weight


def _moved(place: jax.Array, n: int, padding_mode: str, align_corners: bool) -> jax.Array:
    """The place within the image at which to find what lies beyond it."""
    if padding_mode == "reflection":
        low, span = (0, n - 1) if align_corners else (-0.5, n)
        place = low + span - jnp.abs((place - low) % (2 * span) - span) if span else jnp.zeros_like(place)
    return place if padding_mode == "zeros" else jnp.clip(place, 0, n - 1)


def _near(d: jax.Array) -> jax.Array:
    """The cubic kernel with the constant -3/4, within a distance of 1."""
    return (1.25 * d - 2.25) * d * d + 1


def _far(d: jax.Array) -> jax.Array:
    """The cubic kernel with the constant -3/4, between the distances 1 and 2."""
    return ((-0.75 * d + 3.75) * d - 6) * d + 3


def _outer(combine: Any, a: jax.Array, b: jax.Array) -> jax.Array:
    """Combines every entry of the last axis with every other's."""
    return combine(jnp.expand_dims(a, -1), jnp.expand_dims(b, -2)).reshape(*a.shape[:-1], a.shape[-1] * b.shape[-1])
