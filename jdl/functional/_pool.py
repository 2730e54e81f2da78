"""Pooling in one to three dimensions, as element-wise operations on strided slices: XLA fuses them, and their gradients."""

import functools
import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jdl.functional import _check
from jdl.functional._window import Padding, expand, resolve

_WIDEST = 16  # slices along an axis; wider windows go to `lax.reduce_window`, so that programs stay small


def max_pool(
    x: jax.Array, window: int | Sequence[int], *, stride: int | Sequence[int] | None = None, padding: Padding = "VALID"
) -> jax.Array:
    """Takes the largest value in every window: `y[p] = max_k x[p * stride + k]`.

    The gradient goes to the first of equal values, as in lax, but without its select-and-scatter, which is slow on a CPU and does
    not compile on a GPU under `--xla_gpu_deterministic_ops=true`.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes.
      window: size of the window, one for all axes or one each.
      stride: step of the window, one for all axes or one each; the window's size if not given.
      padding: `"VALID"` (none), `"SAME"`, a width for all sides, or a `(low, high)` pair for each axis. Padding never wins.

    Returns:
      `(batch, *spatial_out, channels)`, of the dtype of `x`.

    Raises:
      TypeError: if `x` is not numbers.
      ValueError: if ranks don't fit, or a window is larger than the padded input.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.max_pool(jnp.arange(4.0).reshape(1, 4, 1), 2).ravel().tolist()
      [1.0, 3.0]
    """
    window, stride, pads = _geometry("max_pool", x, window, stride, padding)
    x = jnp.asarray(x)
    if not jnp.issubdtype(x.dtype, jnp.number):
        raise TypeError(f"max_pool: x must be numbers, got {_check.describe(x)}")
    lowest = -np.inf if jnp.issubdtype(x.dtype, jnp.floating) else jnp.iinfo(x.dtype).min
    x = _pad(x, lowest, pads)
    if max(window) > _WIDEST:
        return jax.lax.reduce_window(x, np.asarray(lowest, x.dtype), jax.lax.max, (1, *window, 1), (1, *stride, 1), "VALID")
    return _slide(x, window, stride, lambda a, b: jnp.where((a >= b) | (a != a), a, b))  # the first of equals; NaN stays


def avg_pool(
    x: jax.Array, window: int | Sequence[int], *, stride: int | Sequence[int] | None = None, padding: Padding = "VALID"
) -> jax.Array:
    """Takes the mean of every window: `y[p] = mean_k x[p * stride + k]`. Padding counts as zeros.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes, floating point.
      window: size of the window, one for all axes or one each.
      stride: step of the window, one for all axes or one each; the window's size if not given.
      padding: `"VALID"` (none), `"SAME"`, a width for all sides, or a `(low, high)` pair for each axis.

    Returns:
      `(batch, *spatial_out, channels)`, of the dtype of `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if ranks don't fit, or a window is larger than the padded input.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.avg_pool(jnp.arange(4.0).reshape(1, 4, 1), 2).ravel().tolist()
      [0.5, 2.5]
    """
    x = _check.floating("avg_pool", x)
    window, stride, pads = _geometry("avg_pool", x, window, stride, padding)
    x = _pad(x, 0, pads)
    if max(window) > _WIDEST:
        total = jax.lax.reduce_window(x, np.zeros((), x.dtype), jax.lax.add, (1, *window, 1), (1, *stride, 1), "VALID")
    else:
        total = _slide(x, window, stride, jnp.add)
    return total / math.prod(window)


def global_max_pool(x: jax.Array) -> jax.Array:
    """Takes the largest value over all spatial axes.

    Args:
      x: input, `(batch, *spatial, channels)`.

    Returns:
      `(batch, channels)`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.global_max_pool(jnp.arange(8.0).reshape(1, 2, 2, 2)).tolist()
      [[6.0, 7.0]]
    """
    _check.rank("global_max_pool", x, range(3, 6), "(batch, 1 to 3 spatial axes, channels)")
    return jnp.asarray(x).max(axis=range(1, x.ndim - 1))


def global_avg_pool(x: jax.Array) -> jax.Array:
    """Takes the mean over all spatial axes (Lin et al., "Network in Network", https://arxiv.org/abs/1312.4400).

    Args:
      x: input, `(batch, *spatial, channels)`, floating point.

    Returns:
      `(batch, channels)`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.global_avg_pool(jnp.arange(8.0).reshape(1, 2, 2, 2)).tolist()
      [[3.0, 4.0]]
    """
    x = _check.floating("global_avg_pool", x)
    _check.rank("global_avg_pool", x, range(3, 6), "(batch, 1 to 3 spatial axes, channels)")
    return x.mean(axis=range(1, x.ndim - 1))


def _geometry(name: str, x: jax.Array, window, stride, padding):
    _check.rank(name, x, range(3, 6), "(batch, 1 to 3 spatial axes, channels)")
    spatial = x.ndim - 2
    window = expand(name, "window", window, spatial)
    stride = window if stride is None else expand(name, "stride", stride, spatial)
    return window, stride, resolve(name, padding, x.shape[1:-1], window, stride, (1,) * spatial)


def _pad(x: jax.Array, value: float, pads: Sequence[tuple[int, int]]) -> jax.Array:
    return jax.lax.pad(x, jnp.asarray(value, x.dtype), [(0, 0, 0), *((low, high, 0) for low, high in pads), (0, 0, 0)])


def _slide(x: jax.Array, window: Sequence[int], stride: Sequence[int], combine: Callable) -> jax.Array:
    """Combines what every window sees, axis by axis from the last, so that the first of equal values is the first in row order."""
    for axis in reversed(range(1, x.ndim - 1)):
        x = functools.reduce(combine, _seen(x, axis, window[axis - 1], stride[axis - 1]))
    return x


def _seen(x: jax.Array, axis: int, size: int, step: int) -> list[jax.Array]:
    """The first that every window sees along an axis, the second, and so on."""
    places = (x.shape[axis] - size) // step + 1
    if size != step:
        return [jax.lax.slice_in_dim(x, k, k + (places - 1) * step + 1, step, axis) for k in range(size)]
    tiles = jax.lax.slice_in_dim(x, 0, places * size, 1, axis).reshape(*x.shape[:axis], places, size, *x.shape[axis + 1 :])
    return [jax.lax.squeeze(one, (axis + 1,)) for one in jax.lax.split(tiles, (1,) * size, axis + 1)]  # the gradient: one copy
