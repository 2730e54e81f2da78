"""Normalisation of every sample over its places: by groups of channels, or channel by channel."""

import math

import jax

from jdl.functional import _check
from jdl.functional._standardise import affine, standardise, widened


def group_norm(
    x: jax.Array, scale: jax.Array | None = None, bias: jax.Array | None = None, *, groups: int, epsilon: float = 1e-5
) -> jax.Array:
    """Normalises each group of channels, over all places of a sample, to mean 0 and variance 1, then scales and shifts channels.

    Args:
      x: input, `(batch, ..., features)`, floating point.
      scale: `(features,)`.
      bias: `(features,)`.
      groups: how many groups the channels are split into, neighbours together; 1 normalises a sample as a whole.
      epsilon: what keeps the root away from zero.

    Returns:
      An array like `x`; computed in float32 at least, the variance in two passes.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if the rank is under 2, `groups` does not divide the channels, or a weight is not as long as the last axis.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.group_norm(jnp.array([[1.0, 3.0, 10.0, 30.0]]), groups=2, epsilon=0).tolist()
      [[-1.0, 1.0, -1.0, 1.0]]

    Source: Wu and He, "Group Normalization", https://arxiv.org/abs/1803.08494.
    """
    wide = widened("group_norm", x, epsilon=epsilon, scale=scale, bias=bias)
    _check.rank("group_norm", x, range(2, 65), "(batch, ..., features)")
    _check.positive("group_norm", groups=groups)
    if x.shape[-1] % groups:
        raise ValueError(f"group_norm: the channels of {_check.describe(x)} can't be split into {groups} groups")
    split = wide.reshape(x.shape[0], math.prod(x.shape[1:-1]), groups, x.shape[-1] // groups)
    return affine(standardise(split, (1, 3), epsilon).reshape(x.shape), scale, bias).astype(x.dtype)


def instance_norm(
    x: jax.Array, scale: jax.Array | None = None, bias: jax.Array | None = None, *, epsilon: float = 1e-5
) -> jax.Array:
    """Normalises each channel of each sample, over its places, to mean 0 and variance 1, then scales and shifts channels.

    Args:
      x: input, `(batch, *spatial, features)`, floating point.
      scale: `(features,)`.
      bias: `(features,)`.
      epsilon: what keeps the root away from zero.

    Returns:
      An array like `x`; computed in float32 at least, the variance in two passes.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if the rank is under 3, or a weight is not as long as the last axis.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.instance_norm(jnp.array([[[1.0, 10.0], [3.0, 30.0]]]), epsilon=0).tolist()
      [[[-1.0, -1.0], [1.0, 1.0]]]

    Source: Ulyanov et al., "Instance Normalization", https://arxiv.org/abs/1607.08022.
    """
    wide = widened("instance_norm", x, epsilon=epsilon, scale=scale, bias=bias)
    _check.rank("instance_norm", x, range(3, 65), "(batch, *spatial, features)")
    return affine(standardise(wide, range(1, x.ndim - 1), epsilon), scale, bias).astype(x.dtype)
