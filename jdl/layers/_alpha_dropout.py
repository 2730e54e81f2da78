"""Alpha dropout layers."""

import jax

from jdl import functional
from jdl.functional import _check
from jdl.functional._dropout import images
from jdl.layer import Layer
from jdl.layers._drawing import rated


def alpha_dropout(rate: float | jax.Array) -> Layer:
    """Sets entries to the lowest value of SELU at random in training, keeping mean 0 and variance 1; does nothing in evaluation.

    Args:
      rate: probability of *dropping* an entry, in [0, 1]; may be traced. 1 gives zeros.

    Returns:
      A Layer on floating-point arrays of any shape; in training it needs a key.

    Raises:
      ValueError: if `rate` is a number outside [0, 1], or no key is given in training.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> model = L.chain(L.dense(64), jax.nn.selu, L.alpha_dropout(0.1), L.dense(10))
      >>> sorted(model.init(jax.random.key(0), jnp.ones((2, 8)))[0])
      ['0', '3']

    Source: Klambauer et al., "Self-Normalizing Neural Networks", https://arxiv.org/abs/1706.02515.
    """
    return rated(functional.alpha_dropout, rate, _check.floating)


def feature_alpha_dropout(rate: float | jax.Array) -> Layer:
    """Does what `alpha_dropout` does to whole channels.

    Args:
      rate: probability of *dropping* a channel of a sample, in [0, 1]; may be traced. 1 gives zeros.

    Returns:
      A Layer on `(batch, *spatial, channels)` with one to three spatial axes; in training it needs a key.

    Raises:
      ValueError: if `rate` is a number outside [0, 1], or no key is given in training.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> y, _ = L.feature_alpha_dropout(0.5).apply({}, {}, jnp.ones((2, 5, 3)), key=jax.random.key(0), train=True)
      >>> bool((y == y[:, :1]).all())
      True

    Source: Klambauer et al., "Self-Normalizing Neural Networks", https://arxiv.org/abs/1706.02515.
    """
    return rated(functional.feature_alpha_dropout, rate, images)
