"""A layer that adds a bias."""

from typing import Any

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.layer import Layer, stateless
from jdl.layers._parameter import parameter


def bias(*, bias_init: initializers.Initializer = initializers.zeros) -> Layer:
    """Adds a bias to the last axis: `y = x + b`.

    Args:
      bias_init: makes the bias, `(features,)`.

    Returns:
      A Layer on `(..., features)` with param `bias`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.bias().init(jax.random.key(0), jnp.ones((2, 5)))
      >>> params["bias"].shape
      (5,)
    """

    def init(key: jax.Array, x: Any) -> dict:
        x = _check.floating("bias", x)
        _check.rank("bias", x, range(1, 65), "(..., features)")
        return {"bias": parameter(key, "bias", bias_init, x.shape[-1:], x)}

    return stateless(init, lambda params, x: functional.add_bias(x, params["bias"]))
