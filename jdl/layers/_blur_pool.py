"""A layer that blurs before it subsamples."""

import functools

from jdl import functional
from jdl.functional import _check
from jdl.layer import Layer, function


def blur_pool(*, window: int = 3, stride: int = 2) -> Layer:
    """Blurs with a binomial filter and takes every `stride`-th place.

    Args:
      window: size of the filter along each axis.
      stride: step along each axis.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, *ceil(spatial / stride), channels)`.

    Raises:
      ValueError: if a size is not a positive integer.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.blur_pool().apply({}, {}, jnp.ones((1, 8, 8, 3)))[0].shape
      (1, 4, 4, 3)

    Source: Zhang, "Making Convolutional Networks Shift-Invariant Again", https://arxiv.org/abs/1904.11486.
    """
    _check.positive("blur_pool", window=window, stride=stride)
    return function(functools.partial(functional.blur_pool, window=window, stride=stride))
