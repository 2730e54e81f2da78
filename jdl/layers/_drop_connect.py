"""Dropout of weights."""

from collections.abc import Callable

import jax

from jdl import functional
from jdl.functional import _check
from jdl.layer import Layer
from jdl.layers._reparametrize import reparametrize


def drop_connect(layer: Layer | Callable, rate: float | jax.Array, where: str | None = "**/kernel") -> Layer:
    """Sets weights to zero at random in training and divides the others by `1 - rate`; evaluation uses them as they are.

    All samples of a call share what is dropped. Every kernel is drawn for by its path. Inside and outside `repeat`, each
    repetition drops weights of its own.

    Args:
      layer: any Layer.
      rate: probability of *dropping* a weight, in [0, 1]; may be traced.
      where: glob over the paths of its params, see `jdl.paths`; None selects everything.

    Returns:
      A Layer like `layer`, with the same params and state; in training it needs a key.

    Raises:
      ValueError: if `rate` is a number outside [0, 1]; from `init` and `apply` if `where` matches nothing; if no key is given in
        training.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> model = L.drop_connect(L.dense(3, kernel_init=jax.nn.initializers.ones), 0.5)
      >>> params, state = model.init(jax.random.key(0), jnp.ones(4))
      >>> model.apply(params, state, jnp.ones(4))[0].tolist()
      [4.0, 4.0, 4.0]

    Source: Wan et al., "Regularization of Neural Networks using DropConnect", https://proceedings.mlr.press/v28/wan13.html.
    """
    _check.within("drop_connect", 0, 1, rate=rate)

    def restore(kernel, own, kept, key, train):
        return functional.dropout(key, kernel, rate) if train else kernel, {}

    return reparametrize("drop_connect", layer, where, restore, draws=True)
