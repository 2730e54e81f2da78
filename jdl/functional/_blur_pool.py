"""Pooling that blurs before it subsamples."""

import jax

from jdl.functional import _check
from jdl.functional._avg_pool import avg_pool
from jdl.functional._pad import pad
from jdl.functional._window import spatial_axes


def blur_pool(x: jax.Array, *, window: int = 3, stride: int = 2) -> jax.Array:
    """Blurs with a binomial filter, `[1, 2, 1] / 4` along each axis for a window of 3, and takes every `stride`-th place.

    Without the blur, what a strided layer sees changes when its input is shifted by less than the stride. Edges are reflected.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes, floating point.
      window: size of the filter along each axis.
      stride: step along each axis.

    Returns:
      `(batch, *ceil(spatial / stride), channels)`, of the dtype of `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if ranks don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.blur_pool(jnp.array([0.0, 0.0, 4.0, 0.0]).reshape(1, 4, 1)).ravel().tolist()
      [0.0, 2.0]

    Source: Zhang, "Making Convolutional Networks Shift-Invariant Again", https://arxiv.org/abs/1904.11486.
    """
    _check.positive("blur_pool", window=window, stride=stride)
    x = _check.floating("blur_pool", x)
    spatial = spatial_axes("blur_pool", x)
    x = pad(x, [((window - 1) // 2, window // 2)] * spatial, mode="reflect")
    for _ in range(window - 2):  # a binomial filter is the mean of two neighbours, `window - 1` times over
        x = avg_pool(x, 2, stride=1)
    return avg_pool(x, min(window, 2), stride=stride)
