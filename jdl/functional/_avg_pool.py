"""Sums and means of every window."""

import math
import sys
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check, _slide
from jdl.functional._numbers import divisor, widen
from jdl.functional._window import Padding, pad


def avg_pool(
    x: jax.Array,
    window: int | Sequence[int],
    *,
    stride: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
    count_padding: bool = True,
    mask: jax.Array | None = None,
) -> jax.Array:
    """Takes the mean of every window: `y[p] = mean_k x[p * stride + k]`.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes, floating point.
      window: size of the window, one for all axes or one each.
      stride: step of the window, one for all axes or one each; the window's size if not given.
      padding: `"VALID"` (none), `"SAME"`, a width for all sides, or a `(low, high)` pair for each axis.
      count_padding: whether padding counts, as zeros, or the mean is over entries of `x` alone.
      mask: `(batch, *spatial)` bool, False where an entry does not count. A window in which nothing counts gives 0.

    Returns:
      `(batch, *spatial_out, channels)`, of the dtype of `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point, or `mask` not bool.
      ValueError: if ranks don't fit, or a window is larger than the padded input.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.avg_pool(jnp.arange(4.0).reshape(1, 4, 1), 2).ravel().tolist()
      [0.5, 2.5]
    """
    x = _check.floating("avg_pool", x)
    window, stride, pads = _slide.geometry("avg_pool", x, window, stride, padding)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    if mask is None and (count_padding or not any(map(any, pads))):
        return (_total(x.astype(wide), window, stride, pads) / math.prod(window)).astype(x.dtype)
    counts = jnp.ones((1, *x.shape[1:-1], 1), bool) if mask is None else _slide.masked("avg_pool", x, mask)
    total = _total(jnp.where(counts, x.astype(wide), 0), window, stride, pads)
    number = _slide.slide(pad(counts.astype(wide), pads, count_padding), window, stride, jnp.add)
    return (total / jnp.maximum(number, 1)).astype(x.dtype)


def sum_pool(
    x: jax.Array, window: int | Sequence[int], *, stride: int | Sequence[int] | None = None, padding: Padding = "VALID"
) -> jax.Array:
    """Takes the sum of every window: `y[p] = sum_k x[p * stride + k]`.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes, floating point.
      window: size of the window, one for all axes or one each.
      stride: step of the window, one for all axes or one each; the window's size if not given.
      padding: `"VALID"` (none), `"SAME"`, a width for all sides, or a `(low, high)` pair for each axis, of zeros.

    Returns:
      `(batch, *spatial_out, channels)`, of the dtype of `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if ranks don't fit, or a window is larger than the padded input.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.sum_pool(jnp.arange(4.0).reshape(1, 4, 1), 2).ravel().tolist()
      [1.0, 5.0]
    """
    x = _check.floating("sum_pool", x)
    geometry = _slide.geometry("sum_pool", x, window, stride, padding)
    return _total(widen(x), *geometry).astype(x.dtype)


def lp_pool(
    x: jax.Array,
    window: int | Sequence[int],
    *,
    power: float | jax.Array,
    stride: int | Sequence[int] | None = None,
    padding: Padding = "VALID",
) -> jax.Array:
    """Takes the p-norm of every window: `y[p] = (sum_k |x[p * stride + k]|^power)^(1 / power)`. Its gradient at 0 is 0.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes, floating point.
      window: size of the window, one for all axes or one each.
      power: which norm, a number of at least 1; may be traced.
      stride: step of the window, one for all axes or one each; the window's size if not given.
      padding: `"VALID"` (none), `"SAME"`, a width for all sides, or a `(low, high)` pair for each axis, of zeros.

    Returns:
      `(batch, *spatial_out, channels)`, of the dtype of `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if ranks don't fit, a window is larger than the padded input, or `power` is a number below 1.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.lp_pool(jnp.array([3.0, -4.0]).reshape(1, 2, 1), 2, power=2).ravel().tolist()
      [5.0]

    Source: Sermanet et al., "Convolutional Neural Networks Applied to House Numbers Digit Classification",
    https://arxiv.org/abs/1204.3968.
    """
    x = _check.floating("lp_pool", x)
    check_power("lp_pool", power)
    geometry = _slide.geometry("lp_pool", x, window, stride, padding)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    power = jnp.asarray(power, wide)
    raised = lambda a, exponent: jnp.where(a == 0, 0, divisor(a) ** exponent)  # 0^(p - 1) may be infinite
    return raised(_total(raised(jnp.abs(x.astype(wide)), power), *geometry), 1 / power).astype(x.dtype)


def check_power(name: str, power: Any) -> None:
    """Raises ValueError unless `power` is traced or a number of at least 1."""
    _check.within(name, 1, sys.float_info.max, power=power)


def _total(x: jax.Array, window: Sequence[int], stride: Sequence[int], pads: Sequence[tuple[int, int]]) -> jax.Array:
    return _slide.slide(pad(x, pads), window, stride, jnp.add)
