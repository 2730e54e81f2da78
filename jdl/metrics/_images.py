"""Metrics of images."""

import jax
import jax.numpy as jnp

from jdl.functional import _check, _ssim
from jdl.functional._numbers import widen
from jdl.functional._reduce import Reduction, reduce


def ssim(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    data_range: float | jax.Array = 1.0,
    window: int = 11,
    sigma: float | jax.Array = 1.5,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Structural similarity of images, in [-1, 1], the mean over places and channels; 1 if they are equal.

    At every place it is `(2 m m' + c1) (2 cov + c2) / ((m^2 + m'^2 + c1) (v + v' + c2))`, with means, variances and
    covariance in a Gaussian window, `c1 = (0.01 data_range)^2` and `c2 = (0.03 data_range)^2`. Only places where the window fits
    count.

    Args:
      predictions: images, `(batch, *spatial, channels)` with one to three spatial axes.
      targets: of the same shape.
      data_range: largest minus smallest value that a pixel can have: 1 for images in [0, 1], 2 for [-1, 1]. May be traced.
      window: size of the Gaussian window along each axis; a smaller one for small images.
      sigma: its standard deviation in pixels, over 0; may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`; `where` and `weights` are for images, `(batch,)`.

    Returns:
      A scalar, or for `"none"` one number for each image; of float32 at least.

    Raises:
      ValueError: if shapes differ or don't fit, or an option is out of range.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import metrics
      >>> x = jnp.linspace(0, 1, 121).reshape(1, 11, 11, 1)
      >>> jax.jit(metrics.ssim)(x, x).item()
      1.0

    Source: Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity",
    https://doi.org/10.1109/TIP.2003.819861.
    """
    values = _ssim.similarity("ssim", predictions, targets, data_range, window, sigma)
    return reduce("ssim", values, where, weights, reduction)


def ms_ssim(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    data_range: float | jax.Array = 1.0,
    window: int = 11,
    sigma: float | jax.Array = 1.5,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Structural similarity of images at five scales, in [0, 1]: what differs may be fine or coarse.

    At each scale it is the part of `ssim` that compares contrast and structure, at the coarsest all of it, each to the power of its
    share; from scale to scale, two by two pixels become one. A negative factor counts as 0.

    Args:
      predictions: images, `(batch, *spatial, channels)` with one to three spatial axes,
        each of at least 16 windows.
      targets: of the same shape.
      data_range: largest minus smallest value that a pixel can have: 1 for images in [0, 1], 2 for [-1, 1]. May be traced.
      window: size of the Gaussian window along each axis; a smaller one for small images.
      sigma: its standard deviation in pixels, over 0; may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`; `where` and `weights` are for images, `(batch,)`.

    Returns:
      A scalar, or for `"none"` one number for each image; of float32 at least.

    Raises:
      ValueError: if shapes differ or don't fit, or an option is out of range.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import metrics
      >>> x = jnp.linspace(0, 1, 176).reshape(1, 176, 1)
      >>> jax.jit(metrics.ms_ssim)(x, x).item()
      1.0

    Source: Wang et al., "Multiscale structural similarity for image quality assessment", https://doi.org/10.1109/ACSSC.2003.1292216.
    """
    values = _ssim.multiscale("ms_ssim", predictions, targets, data_range, window, sigma)
    return reduce("ms_ssim", values, where, weights, reduction)


def psnr(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    data_range: float | jax.Array = 1.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Peak signal-to-noise ratio in decibels: `10 log10(data_range^2 / mean((prediction - target)^2))` for each image.

    Args:
      predictions: images, `(batch, ...)`.
      targets: of the same shape.
      data_range: largest minus smallest value that a pixel can have: 1 for images in [0, 1], 2 for [-1, 1]. May be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`; `where` and `weights` are for images, `(batch,)`.

    Returns:
      A scalar, or for `"none"` one number for each image; of float32 at least. It is infinite for equal images.

    Raises:
      ValueError: if shapes differ, there is no axis of images, or `data_range` is not over 0.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.psnr(jnp.zeros((1, 8, 8, 1)), jnp.ones((1, 8, 8, 1)), data_range=10.0).item()
      20.0
    """
    targets = _check.array(targets)
    _check.same_shape("psnr", predictions=predictions, targets=targets)
    if predictions.ndim == 0:
        raise ValueError(f"psnr: predictions must be (batch, ...), got {_check.describe(predictions)}")
    _check.above_zero("psnr", data_range=data_range)
    errors = jnp.square(widen(predictions) - widen(jnp.asarray(targets))).mean(range(1, predictions.ndim))
    return reduce("psnr", 20 * jnp.log10(data_range) - 10 * jnp.log10(errors), where, weights, reduction)
