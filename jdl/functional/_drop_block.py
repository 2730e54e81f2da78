"""Dropout of contiguous blocks."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._dropout import images, share_kept
from jdl.functional._max_pool import max_pool
from jdl.functional._numbers import widen
from jdl.functional._window import expand


def drop_block(key: jax.Array, x: jax.Array, rate: float | jax.Array, block_size: int | Sequence[int]) -> jax.Array:
    """Sets blocks of every channel to zero, and scales what is left of a sample by `entries / entries kept`.

    As in the paper, a block starts wherever it fits with probability `rate * prod(size / ((size - block_size + 1) * block_size))`.
    Blocks overlap, so that somewhat less than `rate` of the entries is dropped.

    Args:
      key: a typed key.
      x: input, `(batch, *spatial, channels)` with one to three spatial axes, floating point.
      rate: about the share of entries *dropped*, in [0, 1]; may be traced. 0 returns `x` exactly. It has no gradient.
      block_size: size of a block, one for all spatial axes or one each. With 1, this is dropout.

    Returns:
      An array like `x`; zeros where nothing of a sample is left.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if ranks don't fit, a block is larger than the input, or `rate` is a number outside [0, 1].

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.drop_block(jax.random.key(2), jnp.ones((1, 9, 1)), 0.5, 3).ravel().tolist()
      [1.5, 1.5, 1.5, 1.5, 1.5, 0.0, 0.0, 0.0, 1.5]

    Source: Ghiasi et al., "DropBlock: A regularization method for convolutional networks", https://arxiv.org/abs/1810.12890.
    """
    x = images("drop_block", x)
    block = block_of(x, block_size)
    starts = tuple(n - b + 1 for n, b in zip(x.shape[1:-1], block))
    crowding = math.prod(x.shape[1:-1]) / math.prod(block) / math.prod(starts)
    gamma = (1 - share_kept("drop_block", x, rate)) * crowding
    begins = jax.random.bernoulli(key, gamma, (x.shape[0], *starts, x.shape[-1]))  # `gamma` is small: 16 bits would be coarse
    covered = max_pool(begins.astype(jnp.int8), block, stride=1, padding=[(b - 1, b - 1) for b in block])
    kept = covered <= 0
    left = kept.sum(range(1, x.ndim), keepdims=True)
    factor = jnp.where(left > 0, math.prod(x.shape[1:]) / jnp.maximum(left, 1).astype(gamma.dtype), 0)
    wide = widen(x)
    return jnp.where(kept, (wide * factor).astype(x.dtype), jnp.zeros((), x.dtype))


def block_of(x: jax.Array, block_size: int | Sequence[int]) -> tuple[int, ...]:
    """One size for each spatial axis; raises ValueError if one is larger than its axis."""
    block = expand("drop_block", "block_size", block_size, x.ndim - 2)
    if any(b > n for b, n in zip(block, x.shape[1:-1])):
        raise ValueError(f"drop_block: a block of {block} does not fit x, {_check.describe(x)}")
    return block
