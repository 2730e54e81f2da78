"""Layers that shuffle between space and channels, and among channels."""

import functools
from collections.abc import Sequence

from jdl import functional
from jdl.functional import _check
from jdl.functional._window import check_sizes
from jdl.layer import Layer, function


def pixel_shuffle(factor: int | Sequence[int]) -> Layer:
    """Makes space of channels (depth to space).

    Args:
      factor: how many times as large space gets, one for all spatial axes or one each.

    Returns:
      A Layer from `(batch, *spatial, channels * prod(factor))` to `(batch, *(spatial * factor), channels)`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.pixel_shuffle(2).apply({}, {}, jnp.ones((1, 4, 4, 12)))[0].shape
      (1, 8, 8, 3)

    Source: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
    Network", https://arxiv.org/abs/1609.05158.
    """
    check_sizes("pixel_shuffle", factor=factor)
    return function(functools.partial(functional.pixel_shuffle, factor=factor))


def pixel_unshuffle(factor: int | Sequence[int]) -> Layer:
    """Makes channels of space (space to depth), the inverse of `pixel_shuffle`.

    Args:
      factor: how many times smaller space gets, one for all spatial axes or one each.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, *(spatial / factor), channels * prod(factor))`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.pixel_unshuffle(2).apply({}, {}, jnp.ones((1, 8, 8, 3)))[0].shape
      (1, 4, 4, 12)
    """
    check_sizes("pixel_unshuffle", factor=factor)
    return function(functools.partial(functional.pixel_unshuffle, factor=factor))


def channel_shuffle(groups: int) -> Layer:
    """Deals the channels of groups out in turn.

    Args:
      groups: how many groups the channels come in.

    Returns:
      A Layer on arrays of `(..., channels)`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.channel_shuffle(2).apply({}, {}, jnp.arange(4.0))[0].tolist()
      [0.0, 2.0, 1.0, 3.0]

    Source: Zhang et al., "ShuffleNet", https://arxiv.org/abs/1707.01083.
    """
    _check.positive("channel_shuffle", groups=groups)
    return function(functools.partial(functional.channel_shuffle, groups=groups))
