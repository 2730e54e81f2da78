"""The largest and the smallest value of every window, where it was, and the way back."""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl.functional import _check, _slide
from jdl.functional._window import Padding, expand, pad, spatial_axes


def max_pool(
    x: jax.Array,
    window: int | Sequence[int],
    *,
    stride: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
    mask: jax.Array | None = None,
) -> jax.Array:
    """Takes the largest value in every window: `y[p] = max_k x[p * stride + k]`.

    The gradient goes to the first of equal values, as in lax, but without its select-and-scatter, which is slow on a CPU and does
    not compile on a GPU under `--xla_gpu_deterministic_ops=true`.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes.
      window: size of the window, one for all axes or one each.
      stride: step of the window, one for all axes or one each; the window's size if not given.
      padding: `"VALID"` (none), `"SAME"`, a width for all sides, or a `(low, high)` pair for each axis. Padding never wins.
      mask: `(batch, *spatial)` bool, False where an entry never wins. With a mask, a window of nothing else gives 0.

    Returns:
      `(batch, *spatial_out, channels)`, of the dtype of `x`.

    Raises:
      TypeError: if `x` is not real numbers, or `mask` not bool.
      ValueError: if ranks don't fit, or a window is larger than the padded input.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.max_pool(jnp.arange(4.0).reshape(1, 4, 1), 2).ravel().tolist()
      [1.0, 3.0]

    Source: Riesenhuber and Poggio, "Hierarchical models of object recognition in cortex", https://doi.org/10.1038/14819.
    """
    return _extreme("max_pool", x, window, stride, padding, mask, lowest, larger)


def min_pool(
    x: jax.Array,
    window: int | Sequence[int],
    *,
    stride: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
    mask: jax.Array | None = None,
) -> jax.Array:
    """Takes the smallest value in every window: `y[p] = min_k x[p * stride + k]`. The gradient goes to the first of equal values.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes.
      window: size of the window, one for all axes or one each.
      stride: step of the window, one for all axes or one each; the window's size if not given.
      padding: `"VALID"` (none), `"SAME"`, a width for all sides, or a `(low, high)` pair for each axis. Padding never wins.
      mask: `(batch, *spatial)` bool, False where an entry never wins. With a mask, a window of nothing else gives 0.

    Returns:
      `(batch, *spatial_out, channels)`, of the dtype of `x`.

    Raises:
      TypeError: if `x` is not real numbers, or `mask` not bool.
      ValueError: if ranks don't fit, or a window is larger than the padded input.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.min_pool(jnp.arange(4.0).reshape(1, 4, 1), 2).ravel().tolist()
      [0.0, 2.0]
    """
    return _extreme("min_pool", x, window, stride, padding, mask, _highest, _smaller)


def max_pool_with_indices(
    x: jax.Array, window: int | Sequence[int], *, stride: int | Sequence[int] | None = None, padding: Padding = "VALID"
) -> tuple[jax.Array, jax.Array]:
    """Takes the largest value in every window, as `max_pool` does, and says where it was.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes.
      window: size of the window, one for all axes or one each.
      stride: step of the window, one for all axes or one each; the window's size if not given.
      padding: `"VALID"` (none), `"SAME"`, a width for all sides, or a `(low, high)` pair for each axis. Padding never wins.

    Returns:
      The values and their indices, `(batch, *spatial_out, channels)` each. An index counts the places of the unpadded input in row
      order, as int32; it is that of the first of equal values, and -1 where a window sees nothing but padding.

    Raises:
      TypeError: if `x` is not real numbers.
      ValueError: if ranks don't fit, or a window is larger than the padded input.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> values, indices = functional.max_pool_with_indices(jnp.array([5.0, 1.0, 2.0, 7.0]).reshape(1, 4, 1), 2)
      >>> values.ravel().tolist(), indices.ravel().tolist()
      ([5.0, 7.0], [0, 3])

    Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", https://arxiv.org/abs/1311.2901.
    """
    window, stride, pads = _slide.geometry("max_pool_with_indices", x, window, stride, padding)
    x = _real("max_pool_with_indices", x)
    places = jnp.arange(math.prod(x.shape[1:-1]), dtype=jnp.int32).reshape(1, *x.shape[1:-1], 1)
    places = jnp.broadcast_to(pad(places, pads, -1), (len(x), *pad(x, pads).shape[1:]))
    return _slide.slide((pad(x, pads, lowest(x.dtype)), places), window, stride, _first_larger)


def max_unpool(values: jax.Array, indices: jax.Array, size: int | Sequence[int]) -> jax.Array:
    """Puts values where `max_pool_with_indices` found them, and zeros elsewhere: `y[indices[p]] = values[p]`.

    Args:
      values: `(batch, *spatial, channels)` with one to three spatial axes, floating point.
      indices: like `values`, integers: places in row order of an output of `size`; -1 for none.
      size: spatial size of the output, one for all axes or one each.

    Returns:
      `(batch, *size, channels)`, of the dtype of `values`. A place that several windows chose gets the mean of their values.

    Raises:
      TypeError: if `values` are not floating point, or `indices` no integers.
      ValueError: if shapes don't fit, or an index lies outside the output (while tracing, such values are left out).

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> values, indices = jnp.array([5.0, 7.0]).reshape(1, 2, 1), jnp.array([0, 3]).reshape(1, 2, 1)
      >>> functional.max_unpool(values, indices, 4).ravel().tolist()
      [5.0, 0.0, 0.0, 7.0]

    Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", https://arxiv.org/abs/1311.2901.
    """
    values, indices = _check.floating("max_unpool", values), _check.array(indices)
    spatial_axes("max_unpool", values)
    _check.same_shape("max_unpool", values=values, indices=indices)
    if not jnp.issubdtype(indices.dtype, jnp.integer):
        raise TypeError(f"max_unpool: indices must be integers, got {_check.describe(indices)}")
    sizes = expand("max_unpool", "size", size, values.ndim - 2)
    total = math.prod(sizes)
    _check.report("max_unpool", f"indices must lie in -1..{total - 1}", indices, lambda i: (i < -1) | (i >= total))
    batch, channels = values.shape[0], values.shape[-1]
    spread = lambda a: jnp.asarray(a).reshape(batch, -1, channels)
    index = jnp.where(indices < 0, total, indices)  # JAX would count -1 from the end
    where = (jnp.arange(batch).reshape(-1, 1, 1), spread(index), jnp.arange(channels).reshape(1, 1, -1))
    wide = spread(values).astype(jnp.promote_types(values.dtype, jnp.float32))
    add = lambda a: jnp.zeros((batch, total, channels), a.dtype).at[where].add(a, mode="drop")
    mean = add(wide) / jnp.maximum(add(jnp.ones_like(wide)), 1)
    return mean.astype(values.dtype).reshape(batch, *sizes, channels)


def lowest(dtype: Any) -> Any:
    """What is larger than nothing."""
    return -np.inf if jnp.issubdtype(dtype, jnp.floating) else jnp.iinfo(dtype).min


def larger(a: jax.Array, b: jax.Array) -> jax.Array:
    """The larger of two, the first of equals; NaN stays."""
    return _winner(operator.ge, a, b)


def _highest(dtype: Any) -> Any:
    return np.inf if jnp.issubdtype(dtype, jnp.floating) else jnp.iinfo(dtype).max


def _smaller(a: jax.Array, b: jax.Array) -> jax.Array:
    return _winner(operator.le, a, b)


def _winner(beats: Callable, a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.where(beats(a, b) | (a != a), a, b)


def _first_larger(a: tuple[jax.Array, jax.Array], b: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
    """As `larger`, for pairs of a value and its place, which is below 0 in the padding."""
    (x, i), (y, j) = a, b
    stays = (i >= 0) & ((x >= y) | (x != x))
    return jnp.where(stays, x, y), jnp.where(stays, i, j)


def _real(name: str, x: Any) -> jax.Array:
    x = jnp.asarray(x)
    if not (jnp.issubdtype(x.dtype, jnp.floating) or jnp.issubdtype(x.dtype, jnp.integer)):
        raise TypeError(f"{name}: x must be real numbers, got {_check.describe(x)}")
    return x


def _extreme(name: str, x: Any, window: Any, stride: Any, padding: Padding, mask: Any, never: Callable, combine: Callable):
    window, stride, pads = _slide.geometry(name, x, window, stride, padding)
    x = _real(name, x)
    never = never(x.dtype)
    if mask is None:
        return _slide.slide(pad(x, pads, never), window, stride, combine)
    mask = _slide.masked(name, x, mask)
    x = jnp.where(mask, x, jnp.asarray(never, x.dtype))
    y = _slide.slide(pad(x, pads, never), window, stride, combine)
    some = _slide.slide(pad(mask, pads, False), window, stride, jnp.logical_or)
    return jnp.where(some, y, jnp.zeros((), x.dtype))
