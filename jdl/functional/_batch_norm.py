"""Batch normalisation, as statistics and as the map that uses them."""

import functools
from collections.abc import Hashable

import jax
import jax.numpy as jnp

from jdl.functional import _check


def moments(x: jax.Array, *, axis_name: Hashable | None = None) -> tuple[jax.Array, jax.Array]:
    """Takes the mean and the biased variance over all axes but the last, in two passes, in float32 at least.

    Args:
      x: input, `(..., features)`, floating point.
      axis_name: name (or names) of mapped axes to average over too, under `vmap`, `shard_map` or `pmap`.

    Returns:
      Mean and variance, `(features,)` each.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> mean, variance = functional.moments(jnp.array([[1.0], [3.0]]))
      >>> mean.item(), variance.item()
      (2.0, 1.0)
    """
    x = _check.floating("moments", x)
    return _moments(axis_name, x.astype(jnp.promote_types(x.dtype, jnp.float32)))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _moments(axis_name: Hashable | None, x: jax.Array) -> tuple[jax.Array, jax.Array]:
    mean = _average(axis_name, x)
    return mean, _average(axis_name, jnp.square(x - _spread(mean, x)))


@_moments.defjvp
def _moments_jvp(axis_name, primals, tangents):  # the mean's tangent times sum(x - mean), which is 0, is left out
    (x,), (dx,) = primals, tangents
    mean, variance = _moments(axis_name, x)
    return (mean, variance), (_average(axis_name, dx), _average(axis_name, 2 * (x - _spread(mean, x)) * dx))


def _average(axis_name: Hashable | None, x: jax.Array) -> jax.Array:
    mean = x.mean(range(x.ndim - 1))
    return mean if axis_name is None else jax.lax.pmean(mean, axis_name)


def _spread(feature: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.expand_dims(feature, range(x.ndim - 1))


def batch_norm(
    x: jax.Array,
    mean: jax.Array,
    variance: jax.Array,
    scale: jax.Array | None = None,
    bias: jax.Array | None = None,
    *,
    epsilon: float = 1e-5,
) -> jax.Array:
    """Normalises every feature by given statistics: `y = (x - mean) / sqrt(variance + epsilon) * scale + bias`.

    Args:
      x: input, `(..., features)`, floating point.
      mean: `(features,)`, of the batch in training, running in evaluation.
      variance: `(features,)`, likewise.
      scale: `(features,)`, gamma in the paper.
      bias: `(features,)`, beta in the paper.
      epsilon: what keeps the root away from zero.

    Returns:
      An array like `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if the statistics are not as long as the last axis of `x`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> x = jnp.array([[1.0], [3.0]])
      >>> functional.batch_norm(x, *functional.moments(x), epsilon=0).ravel().tolist()
      [-1.0, 1.0]

    Source: Ioffe and Szegedy, "Batch Normalization", https://arxiv.org/abs/1502.03167.
    """
    x = _check.floating("batch_norm", x)
    for name, weight in {"mean": mean, "variance": variance, "scale": scale, "bias": bias}.items():
        if x.ndim == 0 or (weight is not None and weight.shape != x.shape[-1:]):
            raise ValueError(f"batch_norm: {name} is for {jnp.size(weight)} features, x is {_check.describe(x)}")
    wide = jnp.promote_types(x.dtype, jnp.float32)
    factor = jax.lax.rsqrt(variance.astype(wide) + epsilon)
    if scale is not None:
        factor = factor * scale.astype(wide)
    shift = jnp.zeros_like(factor) if bias is None else bias.astype(wide)
    return _normalise(x.astype(wide), mean.astype(wide), factor, shift).astype(x.dtype)


@jax.custom_jvp
def _normalise(x: jax.Array, mean: jax.Array, factor: jax.Array, shift: jax.Array) -> jax.Array:
    return (x - _spread(mean, x)) * _spread(factor, x) + _spread(shift, x)


@_normalise.defjvp
def _normalise_jvp(primals, tangents):  # the mean and the shift share one sum over the samples
    (x, mean, factor, _), (dx, dmean, dfactor, dshift) = primals, tangents
    dy = _spread(factor, x) * dx + (x - _spread(mean, x)) * _spread(dfactor, x) + _spread(dshift - factor * dmean, x)
    return _normalise(*primals), dy
