"""Features of regions of images."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.scipy.ndimage import map_coordinates

from jdl.functional import _check
from jdl.functional._window import expand


def roi_align(
    x: jax.Array,
    boxes: jax.Array,
    size: int | Sequence[int],
    *,
    scale: float = 1.0,
    samples: int = 2,
    aligned: bool = True,
) -> jax.Array:
    """Pools boxes of images (regions of interest) to one size: means of bilinear samples on a regular grid in every bin.

    It has gradients for the images and for the boxes.

    Args:
      x: images, `(batch, height, width, channels)`, floating point.
      boxes: `(batch, n, 4)`, floating point: left, top, right and bottom of `n` boxes on each image.
      size: height and width of the output, one for both or one each.
      scale: what coordinates are multiplied with to get those of `x`, such as 1/16 for features of that stride.
      samples: along each axis of a bin.
      aligned: whether a pixel's centre lies half a pixel from its corner, as it should; if not, it lies at its corner, and boxes
        are at least 1 wide and high, as in earlier versions.

    Returns:
      `(batch, n, *size, channels)`, of the dtype of `x`; computed in float32 at least. Samples further than 1 outside of the image
      are 0, and nearer ones have the value at its edge.

    Raises:
      TypeError: if `x` or `boxes` are not floating point.
      ValueError: if shapes don't fit, or a size is not a positive integer.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> x = jnp.arange(16.0).reshape(1, 4, 4, 1)
      >>> functional.roi_align(x, jnp.array([[[0.0, 0.0, 4.0, 4.0]]]), 2)[0, 0, ..., 0].tolist()
      [[2.5, 4.5], [10.5, 12.5]]

    Source: He et al., "Mask R-CNN", https://arxiv.org/abs/1703.06870.
    """
    x, boxes = _check.floating("roi_align", x), _check.floating("roi_align", boxes, "boxes")
    _check.rank("roi_align", x, (4,), "(batch, height, width, channels)")
    if boxes.ndim != 3 or boxes.shape[::2] != (len(x), 4):
        raise ValueError(f"roi_align: boxes must be (batch, n, 4), got {_check.describe(boxes)} for {_check.describe(x)}")
    _check.positive("roi_align", samples=samples)
    _check.above_zero("roi_align", scale=scale)
    sizes = expand("roi_align", "size", size, 2)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    offset = 0.5 if aligned else 0.0

    def bins(image, box):  # image (height, width), box (4,)
        start, stop = jnp.split(box * scale - offset, 2)  # of x and y
        extent = stop - start if aligned else jnp.maximum(stop - start, 1)
        points = [_points(start[i], extent[i], count, samples) for i, count in zip((1, 0), sizes)]
        inside = [(-1 <= p) & (p <= n) for p, n in zip(points, image.shape)]
        grid = jnp.meshgrid(*(jnp.clip(p, 0, n - 1) for p, n in zip(points, image.shape)), indexing="ij")
        seen = jnp.where(jnp.logical_and(*jnp.meshgrid(*inside, indexing="ij")), map_coordinates(image, grid, 1, "nearest"), 0)
        return seen.reshape(sizes[0], samples, sizes[1], samples).mean((1, 3))

    over_channels = jax.vmap(bins, (-1, None), -1)
    return jax.vmap(jax.vmap(over_channels, (None, 0)))(x.astype(wide), boxes.astype(wide)).astype(x.dtype)


def _points(start: jax.Array, extent: jax.Array, count: int, samples: int) -> jax.Array:
    """Coordinates of the samples of `count` bins along an axis, in order."""
    total = count * samples
    return start + (jnp.arange(total, dtype=start.dtype) + 0.5) * (extent / total)
