"""Fractional max pooling layer."""

import functools
from collections.abc import Sequence

from jdl import functional
from jdl.functional._dropout import images
from jdl.functional._fractional_max_pool import check_size
from jdl.functional._window import check_sizes
from jdl.layer import Layer
from jdl.layers._drawing import drawing


def fractional_max_pool(
    window: int | Sequence[int], *, size: int | Sequence[int] | None = None, ratio: float | None = None
) -> Layer:
    """Takes the largest value in windows at random places in training, and at those of the middle sequence in evaluation.

    Args:
      window: size of the window, one for all spatial axes or one each.
      size: spatial size of the output, likewise; or give `ratio`.
      ratio: size of the output relative to that of the input, in (0, 1), rounded down.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, *size, channels)`; in training it needs a key.

    Raises:
      ValueError: if a size is not a positive integer, not one of `size` and `ratio` is given, or no key is given in training.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.fractional_max_pool(2, ratio=0.7).apply({}, {}, jnp.ones((2, 9, 9, 3)))[0].shape
      (2, 6, 6, 3)

    Source: Graham, "Fractional Max-Pooling", https://arxiv.org/abs/1412.6071.
    """
    check_sizes("fractional_max_pool", window=window)
    check_size("fractional_max_pool", size, ratio)

    pool = functools.partial(functional.fractional_max_pool, window=window, size=size, ratio=ratio)
    check = functools.partial(images, "fractional_max_pool")
    return drawing("fractional_max_pool", pool, check, evaluate=functools.partial(pool, None))
