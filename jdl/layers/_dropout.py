"""Dropout layers."""

from collections.abc import Sequence
from typing import Any

import jax

from jdl import functional
from jdl.functional import _check
from jdl.functional._dropout import check_shared, images, mask_shape, sequences
from jdl.layer import Layer
from jdl.layers._drawing import drawing, rated


def dropout(rate: float | jax.Array, *, shared: int | Sequence[int] = ()) -> Layer:
    """Sets entries to zero at random in training, and does nothing in evaluation.

    Args:
      rate: probability of *dropping* an entry, in [0, 1]; may be traced.
      shared: axes along which one mask is shared: entries that differ in these indices only are dropped together.

    Returns:
      A Layer on floating-point arrays of any shape; in training it needs a key.

    Raises:
      ValueError: if `rate` is a number outside [0, 1], or no key is given in training.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.dropout(0.5).apply({}, {}, jnp.ones(3))[0].tolist()
      [1.0, 1.0, 1.0]

    Source: Srivastava et al., "Dropout", https://jmlr.org/papers/v15/srivastava14a.html.
    """
    _check.within("dropout", 0, 1, rate=rate)
    check_shared("dropout", shared)

    def check(x: Any) -> Any:
        x = _check.floating("dropout", x)
        mask_shape("dropout", x, shared)
        return x

    return drawing("dropout", lambda key, x: functional.dropout(key, x, rate, shared=shared), check)


def spatial_dropout(rate: float | jax.Array) -> Layer:
    """Sets whole channels to zero at random in training, and does nothing in evaluation.

    Neighbouring entries of an image say much the same, so that dropping single ones changes little.

    Args:
      rate: probability of *dropping* a channel of a sample, in [0, 1]; may be traced.

    Returns:
      A Layer on `(batch, *spatial, channels)` with one to three spatial axes; in training it needs a key.

    Raises:
      ValueError: if `rate` is a number outside [0, 1], or no key is given in training.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.spatial_dropout(0.5).apply({}, {}, jnp.ones((1, 2, 4)), key=jax.random.key(1), train=True)[0].tolist()
      [[[2.0, 0.0, 2.0, 2.0], [2.0, 0.0, 2.0, 2.0]]]

    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", https://arxiv.org/abs/1411.4280.
    """
    return rated(functional.spatial_dropout, rate, images)


def locked_dropout(rate: float | jax.Array) -> Layer:
    """Drops the same features at all times in training (variational dropout), and does nothing in evaluation.

    Args:
      rate: probability of *dropping* a feature of a sample, in [0, 1]; may be traced.

    Returns:
      A Layer on `(batch, time, features)`; in training it needs a key.

    Raises:
      ValueError: if `rate` is a number outside [0, 1], or no key is given in training.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.locked_dropout(0.5).apply({}, {}, jnp.ones((1, 2, 4)), key=jax.random.key(1), train=True)[0].tolist()
      [[[2.0, 0.0, 2.0, 2.0], [2.0, 0.0, 2.0, 2.0]]]

    Source: Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks",
    https://arxiv.org/abs/1512.05287.
    """
    return rated(functional.locked_dropout, rate, sequences)
