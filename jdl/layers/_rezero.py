"""A residual connection that starts as the identity."""

from collections.abc import Callable
from typing import Any

import jax

from jdl.functional import _check
from jdl.layer import Layer, compose, stateless
from jdl.layers._parameter import parameter


def rezero(layer: Layer | Callable) -> Layer:
    """Adds a layer's output to its input, times a learned number that starts at 0: `x + alpha * layer(x)`.

    Args:
      layer: a Layer that keeps the shape of its input.

    Returns:
      A Layer with the params of `layer`, and `scale/alpha`, a scalar.

    Raises:
      ValueError: when called, if `layer` changes the shape.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> x, layer = jnp.ones((2, 3)), L.rezero(L.dense(3))
      >>> params, state = layer.init(jax.random.key(0), x)
      >>> bool((layer.apply(params, state, x)[0] == x).all()), params["scale"]["alpha"].item()
      (True, 0.0)

    Source: Bachlechner et al., "ReZero is All You Need", https://arxiv.org/abs/2003.04887.
    """

    def init(key: jax.Array, x: Any) -> dict:
        return {"alpha": parameter(key, "alpha", jax.nn.initializers.zeros, (), x)}

    @compose(layer=layer, scale=stateless(init, lambda params, x: params["alpha"].astype(x.dtype) * x))
    def forward(net, x):
        new = net.scale(net.layer(x))
        _check.same_shape("rezero", x=x, layer=new)
        return x + new

    return forward
