"""Stochastic depth layer."""

import jax

from jdl import functional
from jdl.functional._drop_path import samples
from jdl.layer import Layer
from jdl.layers._drawing import rated


def drop_path(rate: float | jax.Array) -> Layer:
    """Sets whole samples to zero at random in training, and does nothing in evaluation: the last layer of a residual branch.

    Args:
      rate: probability of *dropping* a sample, in [0, 1]; may be traced. In the paper it grows linearly with depth.

    Returns:
      A Layer on `(batch, ...)`; in training it needs a key.

    Raises:
      ValueError: if `rate` is a number outside [0, 1], or no key is given in training.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> block = L.residual(L.chain(L.layer_norm(), L.dense(8), jax.nn.relu, L.drop_path(0.1)))
      >>> params, state = block.init(jax.random.key(0), jnp.ones((4, 8)))
      >>> block.apply(params, state, jnp.ones((4, 8)), key=jax.random.key(1), train=True)[0].shape
      (4, 8)

    Source: Huang et al., "Deep Networks with Stochastic Depth", https://arxiv.org/abs/1603.09382.
    """
    return rated(functional.drop_path, rate, samples)
