"""Losses of images that compare structure instead of single pixels."""

import jax

from jdl.functional import _ssim
from jdl.functional._reduce import Reduction, reduce


def ssim_loss(
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
    """One minus the structural similarity of images, `metrics.ssim`: in [0, 2], and 0 if they are equal.

    Use it, often added to an absolute error, where images should look right: it forgives small changes of brightness.

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
      >>> from jdl import losses
      >>> x = jnp.linspace(0, 1, 121).reshape(1, 11, 11, 1)
      >>> jax.jit(losses.ssim_loss)(x, x).item()
      0.0

    Source: Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity",
    https://doi.org/10.1109/TIP.2003.819861.
    """
    values = _ssim.similarity("ssim_loss", predictions, targets, data_range, window, sigma)
    return reduce("ssim_loss", 1 - values, where, weights, reduction)


def ms_ssim_loss(
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
    """One minus the structural similarity at five scales, `metrics.ms_ssim`: in [0, 1], and 0 if images are equal.

    It has no gradient where the images are so unlike that a factor is negative: then begin with `ssim_loss`.

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
      >>> from jdl import losses
      >>> x = jnp.linspace(0, 1, 176).reshape(1, 176, 1)
      >>> jax.jit(losses.ms_ssim_loss)(x, x).item()
      0.0

    Source: Wang et al., "Multiscale structural similarity for image quality assessment", https://doi.org/10.1109/ACSSC.2003.1292216.
    """
    values = _ssim.multiscale("ms_ssim_loss", predictions, targets, data_range, window, sigma)
    return reduce("ms_ssim_loss", 1 - values, where, weights, reduction)
