"""Pooling by the softmax of every window."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jdl.functional import _check, _slide
from jdl.functional._numbers import divisor, widen
from jdl.functional._window import Padding, pad


def soft_pool(
    x: jax.Array, window: int | Sequence[int], *, stride: int | Sequence[int] | None = None, padding: Padding = "VALID"
) -> jax.Array:
    """Takes the mean of every window, weighted by its softmax: `y[p] = sum_k exp(x_k) x_k / sum_k exp(x_k)`.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes, floating point.
      window: size of the window, one for all axes or one each.
      stride: step of the window, one for all axes or one each; the window's size if not given.
      padding: `"VALID"` (none), `"SAME"`, a width for all sides, or a `(low, high)` pair for each axis. Padding has no weight,
        and a window of nothing else gives 0.

    Returns:
      `(batch, *spatial_out, channels)`, of the dtype of `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if ranks don't fit, or a window is larger than the padded input.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.soft_pool(jnp.array([0.0, 99.0]).reshape(1, 2, 1), 2).ravel().tolist()
      [99.0]

    Source: Stergiou et al., "Refining activation downsampling with SoftPool", https://arxiv.org/abs/2101.00440.
    """
    x = _check.floating("soft_pool", x)
    window, stride, pads = _slide.geometry("soft_pool", x, window, stride, padding)
    wide = widen(x)
    largest = jax.lax.stop_gradient(wide)  # what exponents are relative to cancels out
    weight = jnp.exp(wide - largest)
    outside = jnp.finfo(wide.dtype).min, 0, 0
    parts = tuple(pad(a, pads, value) for a, value in zip((largest, weight, weight * wide), outside))
    _, total, weighted = _slide.slide(parts, window, stride, _join)
    return (weighted / divisor(total)).astype(x.dtype)


def _join(a: tuple[jax.Array, ...], b: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
    """Adds sums that are relative to the exponentials of their first entries."""
    largest = jnp.maximum(a[0], b[0])
    rescale = lambda part: tuple(total * jnp.exp(part[0] - largest) for total in part[1:])
    return largest, *(x + y for x, y in zip(rescale(a), rescale(b)))
