"""What pools share: element-wise combinations of what every window sees, which XLA fuses, as it does their gradients."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._window import Padding, Pads, Sizes, expand, resolve, spatial_axes

_WIDEST = 16  # slices along an axis; wider windows are put together from narrower ones, so that programs stay small


def geometry(name: str, x: Any, window: Any, stride: Any, padding: Padding) -> tuple[Sizes, Sizes, Pads]:
    """Window, stride and padding for each spatial axis; raises ValueError where they don't fit."""
    axes = spatial_axes(name, x)
    window = expand(name, "window", window, axes)
    stride = window if stride is None else expand(name, "stride", stride, axes)
    return window, stride, resolve(name, padding, x.shape[1:-1], window, stride, (1,) * axes)


def masked(name: str, x: Any, mask: Any) -> jax.Array:
    """The mask with an axis for the channels; raises TypeError or ValueError unless it is `(batch, *spatial)` bool."""
    if not hasattr(mask, "dtype") or not jnp.issubdtype(mask.dtype, jnp.bool_):
        raise TypeError(f"{name}: mask must be bool, got {_check.describe(mask)}")
    if mask.shape != x.shape[:-1]:
        raise ValueError(
            f"{name}: mask must have the shape of x without channels, got {_check.describe(mask)} for {_check.describe(x)}"
        )
    return jnp.expand_dims(mask, -1)


def slide(x: Any, window: Sequence[int], stride: Sequence[int], combine: Callable[[Any, Any], Any]) -> Any:
    """Combines what every window sees, axis by axis from the last, so that the first of equal values is the first in row order.

    Args:
      x: `(batch, *spatial, channels)`, or a tree of such.
      window: a size for each spatial axis.
      stride: likewise.
      combine: from two trees like `x` to one, associative; the first comes before the second along an axis.
    """
    for axis in reversed(range(1, len(window) + 1)):
        x = along(x, axis, window[axis - 1], stride[axis - 1], combine)
    return x


def along(x: Any, axis: int, size: int, step: int, combine: Callable[[Any, Any], Any]) -> Any:
    """Combines what every window sees along one axis.

    A wide window is two halves, each half of it two quarters, and so on, so that a program grows with the logarithm of the width;
    halves stand at every place where some window begins or is halved.
    """
    if size <= _WIDEST:
        leaves, tree = jax.tree.flatten(x)
        return functools.reduce(combine, map(tree.unflatten, zip(*(_seen(a, axis, size, step) for a in leaves))))
    places = (jax.tree.leaves(x)[0].shape[axis] - size) // step + 1
    if size % 2:
        most = along(x, axis, size - 1, step, combine)
        return combine(_every(most, axis, 0, places, 1), _every(x, axis, size - 1, places, step))
    half = size // 2
    between = math.gcd(step, half)
    halves = along(x, axis, half, between, combine)
    return combine(*(_every(halves, axis, start // between, places, step // between) for start in (0, half)))


def _every(x: Any, axis: int, start: int, places: int, step: int) -> Any:
    stop = start + (places - 1) * step + 1
    return jax.tree.map(lambda a: jax.lax.slice_in_dim(a, start, stop, step, axis), x)


def _seen(x: jax.Array, axis: int, size: int, step: int) -> list[jax.Array]:
    """The first that every window sees along an axis, the second, and so on."""
    places = (x.shape[axis] - size) // step + 1
    if size != step:
        return [_every(x, axis, k, places, step) for k in range(size)]
    tiles = jax.lax.slice_in_dim(x, 0, places * size, 1, axis).reshape(*x.shape[:axis], places, size, *x.shape[axis + 1 :])
    return [jax.lax.squeeze(one, (axis + 1,)) for one in jax.lax.split(tiles, (1,) * size, axis + 1)]  # the gradient: one copy
