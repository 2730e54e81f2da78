"""DropBlock layer."""

import functools
from collections.abc import Sequence
from typing import Any

import jax

from jdl import functional
from jdl.functional import _check
from jdl.functional._drop_block import block_of
from jdl.functional._dropout import images
from jdl.functional._window import check_sizes
from jdl.layer import Layer
from jdl.layers._drawing import drawing


def drop_block(rate: float | jax.Array, block_size: int | Sequence[int]) -> Layer:
    """Sets contiguous blocks of every channel to zero at random in training, and does nothing in evaluation.

    Args:
      rate: about the share of entries *dropped*, in [0, 1]; may be traced. The paper lets it grow from 0 while it trains.
      block_size: size of a block, one for all spatial axes or one each.

    Returns:
      A Layer on `(batch, *spatial, channels)` with one to three spatial axes; in training it needs a key.

    Raises:
      ValueError: if `rate` is a number outside [0, 1], `block_size` is not positive, or no key is given in training.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.drop_block(0.5, 3).apply({}, {}, jnp.ones((1, 9, 1)), key=jax.random.key(2), train=True)[0].ravel().tolist()
      [1.5, 1.5, 1.5, 1.5, 1.5, 0.0, 0.0, 0.0, 1.5]

    Source: Ghiasi et al., "DropBlock: A regularization method for convolutional networks", https://arxiv.org/abs/1810.12890.
    """
    _check.within("drop_block", 0, 1, rate=rate)
    check_sizes("drop_block", block_size=block_size)

    def check(x: Any) -> Any:
        x = images("drop_block", x)
        block_of(x, block_size)
        return x

    return drawing("drop_block", functools.partial(functional.drop_block, rate=rate, block_size=block_size), check)
