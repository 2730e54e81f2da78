"""What can stand in for a norm: a squashing function that learns its steepness."""

from typing import Any

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.layer import Layer, stateless
from jdl.layers._affine import affine
from jdl.layers._parameter import parameter

_HALF = initializers.constant(0.5)


def dynamic_tanh(
    *,
    alpha_init: initializers.Initializer = _HALF,
    scale_init: initializers.Initializer = initializers.ones,
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """Squashes every entry by itself, in place of a layer norm: `y = tanh(alpha x) * scale + bias`.

    Args:
      alpha_init: makes the steepness, a scalar.
      scale_init: makes the scale, `(features,)`.
      bias_init: makes the bias, `(features,)`.

    Returns:
      A Layer on `(..., features)` with params `alpha`, `scale` and `bias`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.dynamic_tanh().init(jax.random.key(0), jnp.ones((2, 5)))
      >>> params["alpha"].item(), params["scale"].shape
      (0.5, (5,))

    Source: Zhu et al., "Transformers without Normalization", https://arxiv.org/abs/2503.10622.
    """

    def init(key: jax.Array, x: Any) -> dict:
        x = _check.floating("dynamic_tanh", x)
        _check.rank("dynamic_tanh", x, range(1, 65), "(..., features)")
        weights = affine(key, x.shape[-1:], x, scale_init=scale_init, bias_init=bias_init)
        return {"alpha": parameter(key, "alpha", alpha_init, (), x)} | weights

    return stateless(init, lambda params, x: functional.dynamic_tanh(x, params["alpha"], params["scale"], params["bias"]))
