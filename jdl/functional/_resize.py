"""Resizing of spatial axes by interpolation."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._window import expand, spatial_axes

METHODS = ("nearest", "bilinear", "bicubic")


def resize(x: jax.Array, size: int | Sequence[int], *, method: str = "bilinear", antialias: bool = True) -> jax.Array:
    """Interpolates `x` at `size` places along each spatial axis, at `(i + 1/2) * old / new - 1/2`.

    Entries are the centres of equal cells, and what lies beyond the outermost is not seen (PyTorch's `align_corners=False`). It is
    `jax.image.resize`, with PyTorch's kernels.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes; floating point, or of any dtype for `"nearest"`.
      size: of the spatial axes of the result, one for all or one each.
      method: `"nearest"` (the entry whose cell the place lies in; PyTorch calls this `"nearest-exact"`, its `"nearest"` differs
        where sizes are no multiples), `"bilinear"` (linear along each axis, whatever their number) or `"bicubic"` (Keys's kernel;
        its constant is -1/2, and without `antialias` -3/4, as in PyTorch).
      antialias: whether kernels are widened where the result is smaller, so that they see every entry; `"nearest"` never is.

    Returns:
      `(batch, *size, channels)`, of the dtype of `x`.

    Raises:
      TypeError: if `x` is not floating point and the method is not `"nearest"`.
      ValueError: if ranks don't fit, or the method is unknown.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.resize(jnp.array([0.0, 4.0]).reshape(1, 2, 1), 4).ravel().tolist()
      [0.0, 1.0, 3.0, 4.0]

    Source: Keys, "Cubic convolution interpolation for digital image processing", https://doi.org/10.1109/TASSP.1981.1163711.
    """
    return _resized("resize", x, expand("resize", "size", size, spatial_axes("resize", x)), method, antialias)


def upsample(x: jax.Array, factor: int | Sequence[int], *, method: str = "nearest") -> jax.Array:
    """Makes spatial axes `factor` times as long: `resize` by a whole factor.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes; floating point, or of any dtype for `"nearest"`.
      factor: one for all axes or one each.
      method: `"nearest"` (repeats entries), `"bilinear"` or `"bicubic"`, as in `resize`.

    Returns:
      `(batch, *(spatial * factor), channels)`, of the dtype of `x`.

    Raises:
      TypeError: if `x` is not floating point and the method is not `"nearest"`.
      ValueError: if ranks don't fit, or the method is unknown.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.upsample(jnp.array([1.0, 2.0]).reshape(1, 2, 1), 2).ravel().tolist()
      [1.0, 1.0, 2.0, 2.0]
    """
    factor = expand("upsample", "factor", factor, spatial_axes("upsample", x))
    return _resized("upsample", x, [n * f for n, f in zip(x.shape[1:-1], factor)], method)


def _resized(name: str, x: jax.Array, size: Sequence[int], method: str, antialias: bool = True) -> jax.Array:
    _check.choice(name, "method", method, METHODS)
    if method == "nearest":
        return _nearest(jnp.asarray(x), size)
    x = _check.floating(name, x)
    kernel = "bicubic-pytorch" if method == "bicubic" else method
    return jax.image.resize(x, (x.shape[0], *size, x.shape[-1]), kernel, antialias=antialias)


def _nearest(x: jax.Array, size: Sequence[int]) -> jax.Array:
    for axis, n in enumerate(size, 1):  # whole factors are repetition, whose gradient is a sum, not a scatter
        if n % x.shape[axis] == 0:
            x = jnp.repeat(x, n // x.shape[axis], axis)
    return jax.image.resize(x, (x.shape[0], *size, x.shape[-1]), "nearest")
