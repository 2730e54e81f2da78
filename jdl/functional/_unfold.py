"""Unfolding into patches and folding them back: what windows see, side by side, and the sum of what they saw."""

import functools
import math
import operator
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._pad import pad
from jdl.functional._window import Padding, Sizes, expand, patches, places_of, resolve, spatial_axes, starts


def unfold(
    x: jax.Array,
    window: int | Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "VALID",
    dilation: int | Sequence[int] = 1,
) -> jax.Array:
    """Lays what a window sees at every place side by side (im2col): `y[p, (k, c)] = x[p * stride + k * dilation, c]`.

    A convolution is a matrix product of this with its kernel, `(prod(window) * channels, out)`.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes.
      window: size of the window, one for all axes or one each.
      stride: step of the window, one for all axes or one each.
      padding: `"VALID"` (none), `"SAME"`, a width for all sides, or a `(low, high)` pair for each axis; padding is zeros.
      dilation: distance between neighbouring entries of the window, one for all axes or one each.

    Returns:
      `(batch, *places, prod(window) * channels)`; in the last axis, channels change fastest.

    Raises:
      ValueError: if ranks don't fit, or the window is larger than the padded input.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.unfold(jnp.arange(4.0).reshape(1, 4, 1), 2).tolist()
      [[[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]]
    """
    spatial_axes("unfold", x)
    window, stride, pads, dilation = geometry("unfold", x.shape[1:-1], window, stride, padding, dilation)
    return patches(pad(x, pads), window, stride, dilation)


def fold(
    patches: jax.Array,
    size: int | Sequence[int],
    window: int | Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "VALID",
    dilation: int | Sequence[int] = 1,
) -> jax.Array:
    """Adds patches up where the window saw them (col2im): the adjoint of `unfold`, `sum(fold(p) * x) = sum(p * unfold(x))`.

    Args:
      patches: what `unfold` returns, `(batch, *places, prod(window) * channels)`.
      size: of the spatial axes of the result, one for all or one each.
      window: size of the window, likewise.
      stride: step of the window, likewise.
      padding: what `unfold` added to `size`, and this takes off again.
      dilation: distance between neighbouring entries of the window, one for all axes or one each.

    Returns:
      `(batch, *size, channels)`, of the dtype of `patches`.

    Raises:
      ValueError: if `patches` are not as many, or not as long, as windows over `size` are.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> patches = functional.unfold(jnp.ones((1, 4, 1)), 2)
      >>> functional.fold(patches, 4, 2).ravel().tolist()
      [1.0, 2.0, 2.0, 1.0]
    """
    spatial = spatial_axes("fold", patches)
    size = expand("fold", "size", size, spatial)
    window, stride, pads, dilation = geometry("fold", size, window, stride, padding, dilation)
    places = places_of([n + low + high for n, (low, high) in zip(size, pads)], window, stride, dilation)
    if patches.shape[1:-1] != places or patches.shape[-1] % math.prod(window):
        wants = f"(batch, {', '.join(map(str, places))}, a multiple of {math.prod(window)})"
        raise ValueError(f"fold: windows {window} over {size} give {wants}, got {_check.describe(patches)}")
    patches = jnp.asarray(patches)
    zero = jnp.zeros((), patches.dtype)

    def placed(start: Sizes, part: jax.Array) -> jax.Array:
        before = [b - low for b, (low, _) in zip(start, pads)]
        edges = [(b, n - b - (p - 1) * s - 1, s - 1) for b, n, p, s in zip(before, size, places, stride)]
        return jax.lax.pad(part, zero, [(0, 0, 0), *edges, (0, 0, 0)])

    parts = jnp.split(patches, math.prod(window), axis=-1)
    return functools.reduce(operator.add, map(placed, starts(window, dilation), parts))


def geometry(name: str, size: Sequence[int], window, stride, padding, dilation):
    """Window, stride, padding and dilation for each spatial axis of this size; raises ValueError unless windows fit it."""
    sizes = {"window": window, "stride": stride, "dilation": dilation}
    window, stride, dilation = (expand(name, what, value, len(size)) for what, value in sizes.items())
    return window, stride, resolve(name, padding, size, window, stride, dilation), dilation
