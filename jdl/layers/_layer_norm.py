"""Normalisation of every sample by its own features."""

from typing import Any

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.layer import Layer, stateless
from jdl.layers._parameter import parameter


def layer_norm(
    *,
    epsilon: float = 1e-5,
    scale_init: initializers.Initializer = initializers.ones,
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """Normalises the last axis to mean 0 and variance 1, then scales and shifts it.

    Args:
      epsilon: what keeps the root away from zero.
      scale_init: makes the scale, `(features,)`.
      bias_init: makes the bias, `(features,)`.

    Returns:
      A Layer on `(..., features)` with params `scale` and `bias`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.layer_norm().init(jax.random.key(0), jnp.ones((2, 5)))
      >>> params["scale"].shape
      (5,)

    Source: Ba, Kiros and Hinton, "Layer Normalization", https://arxiv.org/abs/1607.06450.
    """

    def init(key: jax.Array, x: Any) -> dict:
        shape = _features("layer_norm", x)
        return {"scale": parameter(key, "scale", scale_init, shape, x), "bias": parameter(key, "bias", bias_init, shape, x)}

    return stateless(init, lambda params, x: functional.layer_norm(x, params["scale"], params["bias"], epsilon=epsilon))


def rms_norm(*, epsilon: float = 1e-6, scale_init: initializers.Initializer = initializers.ones) -> Layer:
    """Divides the last axis by its root mean square, then scales it.

    Args:
      epsilon: what keeps the root away from zero.
      scale_init: makes the scale, `(features,)`.

    Returns:
      A Layer on `(..., features)` with param `scale`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.rms_norm().init(jax.random.key(0), jnp.ones((2, 5)))
      >>> params["scale"].shape
      (5,)

    Source: Zhang and Sennrich, "Root Mean Square Layer Normalization", https://arxiv.org/abs/1910.07467.
    """

    def init(key: jax.Array, x: Any) -> dict:
        return {"scale": parameter(key, "scale", scale_init, _features("rms_norm", x), x)}

    return stateless(init, lambda params, x: functional.rms_norm(x, params["scale"], epsilon=epsilon))


def _features(name: str, x: Any) -> tuple[int, ...]:
    x = _check.floating(name, x)
    _check.rank(name, x, range(1, 65), "(..., features)")
    return x.shape[-1:]
