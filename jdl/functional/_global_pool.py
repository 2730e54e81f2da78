"""Pooling over all spatial axes."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check, _slide
from jdl.functional._max_pool import lowest
from jdl.functional._numbers import widen
from jdl.functional._window import spatial_axes


def global_max_pool(x: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """Takes the largest value over all spatial axes.

    Args:
      x: input, `(batch, *spatial, channels)`.
      mask: `(batch, *spatial)` bool, False where an entry never wins. With a mask, a sample of nothing else gives 0.

    Returns:
      `(batch, channels)`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.global_max_pool(jnp.arange(8.0).reshape(1, 2, 2, 2)).tolist()
      [[6.0, 7.0]]
    """
    spatial_axes("global_max_pool", x)
    x = jnp.asarray(x)
    if mask is None:
        return x.max(axis=_axes(x))
    mask = _slide.masked("global_max_pool", x, mask)
    y = jnp.where(mask, x, jnp.asarray(lowest(x.dtype), x.dtype)).max(axis=_axes(x))
    return jnp.where(mask.any(axis=_axes(x)), y, jnp.zeros((), x.dtype))


def global_avg_pool(x: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """Takes the mean over all spatial axes.

    Args:
      x: input, `(batch, *spatial, channels)`, floating point.
      mask: `(batch, *spatial)` bool, False where an entry does not count. A sample in which nothing counts gives 0.

    Returns:
      `(batch, channels)`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.global_avg_pool(jnp.arange(8.0).reshape(1, 2, 2, 2)).tolist()
      [[3.0, 4.0]]

    Source: Lin et al., "Network in Network", https://arxiv.org/abs/1312.4400.
    """
    x = _check.floating("global_avg_pool", x)
    spatial_axes("global_avg_pool", x)
    if mask is None:
        return x.mean(axis=_axes(x))
    mask, wide = _slide.masked("global_avg_pool", x, mask), jnp.promote_types(x.dtype, jnp.float32)
    total = jnp.where(mask, x.astype(wide), 0).sum(axis=_axes(x))
    return (total / jnp.maximum(mask.astype(wide).sum(axis=_axes(x)), 1)).astype(x.dtype)


def global_sum_pool(x: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """Takes the sum over all spatial axes.

    Args:
      x: input, `(batch, *spatial, channels)`, floating point.
      mask: `(batch, *spatial)` bool, False where an entry does not count. A sample in which nothing counts gives 0.

    Returns:
      `(batch, channels)`, of the dtype of `x`; computed in float32 at least.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.global_sum_pool(jnp.arange(8.0).reshape(1, 2, 2, 2)).tolist()
      [[12.0, 16.0]]
    """
    x = _check.floating("global_sum_pool", x)
    spatial_axes("global_sum_pool", x)
    wide = widen(x)
    if mask is not None:
        wide = jnp.where(_slide.masked("global_sum_pool", x, mask), wide, 0)
    return wide.sum(axis=_axes(x)).astype(x.dtype)


def generalized_mean_pool(x: jax.Array, power: float | jax.Array, *, epsilon: float = 1e-6) -> jax.Array:
    """Takes the generalised mean (GeM) over all spatial axes: `y = (mean max(x, epsilon)^power)^(1 / power)`.

    A power of 1 is the mean, and the larger it is, the nearer is the result to the maximum. It is computed by logarithms, so
    that no power overflows.

    Args:
      x: input, `(batch, *spatial, channels)`, floating point.
      power: what entries are raised to, a scalar or `(channels,)`, not 0; may be traced.
      epsilon: what smaller entries are taken for, above 0.

    Returns:
      `(batch, channels)`, of the dtype of `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if ranks or channels don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.generalized_mean_pool(jnp.array([1.0, 7.0]).reshape(1, 2, 1), 2.0).round(3).item()
      5.0

    Source: Radenovic et al., "Fine-tuning CNN Image Retrieval with No Human Annotation", https://arxiv.org/abs/1711.02512.
    """
    x = _check.floating("generalized_mean_pool", x)
    spatial_axes("generalized_mean_pool", x)
    _check.above_zero("generalized_mean_pool", epsilon=epsilon)
    if jnp.shape(power) not in ((), x.shape[-1:]):
        raise ValueError(f"generalized_mean_pool: power is for {jnp.size(power)} channels, x is {_check.describe(x)}")
    wide = jnp.promote_types(x.dtype, jnp.float32)
    power = jnp.broadcast_to(jnp.asarray(power, wide), x.shape[-1:])
    logs = jnp.log(jnp.maximum(x.astype(wide), epsilon)) * jnp.expand_dims(power, range(x.ndim - 1))
    means = jax.nn.logsumexp(logs, axis=_axes(x)) - math.log(math.prod(x.shape[1:-1]))
    return jnp.exp(means / jnp.expand_dims(power, 0)).astype(x.dtype)


def _axes(x: Any) -> tuple[int, ...]:
    return tuple(range(1, x.ndim - 1))
