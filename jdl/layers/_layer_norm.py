"""Normalisation of every sample by its own features."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.functional._layer_norm import check_axis, trailing
from jdl.layer import Layer, stateless
from jdl.layers._affine import affine
from jdl.layers._parameter import parameter


def layer_norm(
    *,
    axis: int | Sequence[int] = -1,
    epsilon: float = 1e-5,
    scale: bool = True,
    bias: bool = True,
    scale_init: initializers.Initializer = initializers.ones,
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """Normalises the last axis to mean 0 and variance 1, then scales and shifts it.

    Args:
      axis: the last axis, or several trailing ones together, such as `(-2, -1)`.
      epsilon: what keeps the root away from zero.
      scale: whether to scale.
      bias: whether to add a bias.
      scale_init: makes the scale, `(features,)`, or of the shape of the axes.
      bias_init: makes the bias, likewise.

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
    check_axis("layer_norm", axis)
    _check.within("layer_norm", 0, float("inf"), epsilon=epsilon)

    def init(key: jax.Array, x: Any) -> dict:
        _features("layer_norm", x)
        shape = x.shape[-len(trailing("layer_norm", x, axis)) :]
        return affine(key, shape, x, scale_init=scale_init if scale else None, bias_init=bias_init if bias else None)

    def forward(params: dict, x: jax.Array) -> jax.Array:
        return functional.layer_norm(x, params.get("scale"), params.get("bias"), axis=axis, epsilon=epsilon)

    return stateless(init, forward)


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
    _check.within("rms_norm", 0, float("inf"), epsilon=epsilon)

    def init(key: jax.Array, x: Any) -> dict:
        return {"scale": parameter(key, "scale", scale_init, _features("rms_norm", x), x)}

    return stateless(init, lambda params, x: functional.rms_norm(x, params["scale"], epsilon=epsilon))


def _features(name: str, x: Any) -> tuple[int, ...]:
    x = _check.floating(name, x)
    _check.rank(name, x, range(1, 65), "(..., features)")
    return x.shape[-1:]
