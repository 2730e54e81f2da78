"""A layer that pools regions of images."""

import functools
from collections.abc import Sequence

from jdl import functional
from jdl.functional import _check
from jdl.functional._window import expand
from jdl.layer import Layer, function


def roi_align(size: int | Sequence[int], *, scale: float = 1.0, samples: int = 2, aligned: bool = True) -> Layer:
    """Pools boxes of images (regions of interest) to one size.

    Args:
      size: height and width of the output, one for both or one each.
      scale: what coordinates are multiplied with to get those of the input, such as 1/16 for features of that stride.
      samples: along each axis of a bin.
      aligned: whether a pixel's centre lies half a pixel from its corner, as it should.

    Returns:
      A Layer from `(batch, height, width, channels)` and boxes, `(batch, n, 4)`, to `(batch, n, *size, channels)`.

    Raises:
      ValueError: if a size is not a positive integer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.roi_align(7).apply({}, {}, jnp.ones((1, 16, 16, 3)), jnp.array([[[2.0, 2.0, 9.0, 9.0]]]))[0].shape
      (1, 1, 7, 7, 3)

    Source: He et al., "Mask R-CNN", https://arxiv.org/abs/1703.06870.
    """
    _check.positive("roi_align", samples=samples)
    _check.above_zero("roi_align", scale=scale)
    expand("roi_align", "size", size, 2)
    return function(functools.partial(functional.roi_align, size=size, scale=scale, samples=samples, aligned=aligned))
