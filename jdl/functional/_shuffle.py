"""Shuffles between space and channels, and among channels: no arithmetic, another order."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._window import expand, spatial_axes


def pixel_shuffle(x: jax.Array, factor: int | Sequence[int]) -> jax.Array:
    """Makes space of channels (depth to space): `y[p * factor + k, c] = x[p, (c, k)]`.

    Args:
      x: input, `(batch, *spatial, channels * prod(factor))` with one to three spatial axes; in the last axis, the place `k` within
        a block changes fastest, as in PyTorch.
      factor: how many times as large space gets, one for all axes or one each.

    Returns:
      `(batch, *(spatial * factor), channels)`.

    Raises:
      ValueError: if ranks don't fit, or channels can't be split.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.pixel_shuffle(jnp.arange(4.0).reshape(1, 1, 1, 4), 2)[0, ..., 0].tolist()
      [[0.0, 1.0], [2.0, 3.0]]

    Source: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
    Network", https://arxiv.org/abs/1609.05158.
    """
    spatial = spatial_axes("pixel_shuffle", x)
    factor = expand("pixel_shuffle", "factor", factor, spatial)
    batch, *size, channels = x.shape
    if channels % (block := math.prod(factor)):
        raise ValueError(f"pixel_shuffle: channels must be a multiple of {block}, got {_check.describe(x)}")
    blocks = jnp.asarray(x).reshape(batch, *size, channels // block, *factor)
    pairs = [axis for i in range(spatial) for axis in (1 + i, 2 + spatial + i)]
    larger = (n * f for n, f in zip(size, factor))
    return blocks.transpose(0, *pairs, 1 + spatial).reshape(batch, *larger, channels // block)


def pixel_unshuffle(x: jax.Array, factor: int | Sequence[int]) -> jax.Array:
    """Makes channels of space (space to depth): `y[p, (c, k)] = x[p * factor + k, c]`, the inverse of `pixel_shuffle`.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes.
      factor: how many times smaller space gets, one for all axes or one each.

    Returns:
      `(batch, *(spatial / factor), channels * prod(factor))`.

    Raises:
      ValueError: if ranks don't fit, or `factor` does not divide the spatial axes.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.pixel_unshuffle(jnp.arange(4.0).reshape(1, 4, 1), 2).tolist()
      [[[0.0, 1.0], [2.0, 3.0]]]

    Source: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient Sub-Pixel Convolutional Neural
    Network", https://arxiv.org/abs/1609.05158.
    """
    spatial = spatial_axes("pixel_unshuffle", x)
    factor = expand("pixel_unshuffle", "factor", factor, spatial)
    batch, *size, channels = x.shape
    if any(n % f for n, f in zip(size, factor)):
        raise ValueError(f"pixel_unshuffle: spatial axes must be multiples of {factor}, got {_check.describe(x)}")
    places = [n // f for n, f in zip(size, factor)]
    blocks = jnp.asarray(x).reshape(batch, *(n for pair in zip(places, factor) for n in pair), channels)
    order = 0, *range(1, 2 * spatial, 2), 2 * spatial + 1, *range(2, 2 * spatial + 1, 2)
    return blocks.transpose(order).reshape(batch, *places, channels * math.prod(factor))


def channel_shuffle(x: jax.Array, groups: int) -> jax.Array:
    """Deals the channels of groups out in turn, so that a grouped convolution sees all groups of the one before.

    Args:
      x: input, `(..., channels)`.
      groups: how many groups the channels come in.

    Returns:
      An array like `x`: the first channels of all groups, then the second, and so on.

    Raises:
      ValueError: if channels can't be split into `groups`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.channel_shuffle(jnp.arange(6.0), 2).tolist()
      [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]

    Source: Zhang et al., "ShuffleNet", https://arxiv.org/abs/1707.01083.
    """
    _check.rank("channel_shuffle", x, range(1, 65), "(..., channels)")
    _check.positive("channel_shuffle", groups=groups)
    if x.shape[-1] % groups:
        raise ValueError(f"channel_shuffle: the channels of {_check.describe(x)} can't be split into {groups} groups")
    return jnp.asarray(x).reshape(*x.shape[:-1], groups, x.shape[-1] // groups).swapaxes(-1, -2).reshape(x.shape)
