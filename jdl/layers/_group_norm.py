"""Normalisation of every sample over its places."""

from typing import Any

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.layer import Layer, stateless
from jdl.layers._affine import affine


def group_norm(
    groups: int,
    *,
    epsilon: float = 1e-5,
    scale: bool = True,
    bias: bool = True,
    scale_init: initializers.Initializer = initializers.ones,
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """Normalises each group of channels, over all places of a sample, then scales and shifts channels.

    Args:
      groups: how many groups the channels are split into, neighbours together; 1 normalises a sample as a whole.
      epsilon: what keeps the root away from zero.
      scale: whether to scale.
      bias: whether to add a bias.
      scale_init: makes the scale, `(features,)`.
      bias_init: makes the bias, `(features,)`.

    Returns:
      A Layer on `(batch, ..., features)` with params `scale` and `bias`.

    Raises:
      ValueError: if `groups` is not a positive integer, or `epsilon` is below 0.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.group_norm(2).init(jax.random.key(0), jnp.ones((1, 8, 8, 6)))
      >>> params["scale"].shape
      (6,)

    Source: Wu and He, "Group Normalization", https://arxiv.org/abs/1803.08494.
    """
    _check.positive("group_norm", groups=groups)
    _check.within("group_norm", 0, float("inf"), epsilon=epsilon)

    def init(key: jax.Array, x: Any) -> dict:
        x = _check.floating("group_norm", x)
        _check.rank("group_norm", x, range(2, 65), "(batch, ..., features)")
        if x.shape[-1] % groups:
            raise ValueError(f"group_norm: the channels of {_check.describe(x)} can't be split into {groups} groups")
        return affine(key, x.shape[-1:], x, scale_init=scale_init if scale else None, bias_init=bias_init if bias else None)

    def forward(params: dict, x: jax.Array) -> jax.Array:
        return functional.group_norm(x, params.get("scale"), params.get("bias"), groups=groups, epsilon=epsilon)

    return stateless(init, forward)


def instance_norm(
    *,
    epsilon: float = 1e-5,
    scale: bool = True,
    bias: bool = True,
    scale_init: initializers.Initializer = initializers.ones,
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """Normalises each channel of each sample, over its places, then scales and shifts channels.

    Args:
      epsilon: what keeps the root away from zero.
      scale: whether to scale.
      bias: whether to add a bias.
      scale_init: makes the scale, `(features,)`.
      bias_init: makes the bias, `(features,)`.

    Returns:
      A Layer on `(batch, *spatial, features)` with params `scale` and `bias`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.instance_norm().init(jax.random.key(0), jnp.ones((1, 8, 8, 6)))
      >>> params["bias"].shape
      (6,)

    Source: Ulyanov et al., "Instance Normalization", https://arxiv.org/abs/1607.08022.
    """
    _check.within("instance_norm", 0, float("inf"), epsilon=epsilon)

    def init(key: jax.Array, x: Any) -> dict:
        x = _check.floating("instance_norm", x)
        _check.rank("instance_norm", x, range(3, 65), "(batch, *spatial, features)")
        return affine(key, x.shape[-1:], x, scale_init=scale_init if scale else None, bias_init=bias_init if bias else None)

    def forward(params: dict, x: jax.Array) -> jax.Array:
        return functional.instance_norm(x, params.get("scale"), params.get("bias"), epsilon=epsilon)

    return stateless(init, forward)
