"""Batch normalisation, as statistics and as the map that uses them."""

import functools
import math
from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jdl.functional import _check
from jdl.functional._numbers import widen


def moments(
    x: jax.Array,
    *,
    mask: jax.Array | None = None,
    axis_name: Hashable | None = None,
    axis_index_groups: Sequence[Sequence[int]] | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Takes the mean and the biased variance over all axes but the last, in two passes, in float32 at least.

    Args:
      x: input, `(..., features)`, floating point.
      mask: bools of the leading shape of `x`, features left out: True where a sample counts. Over none, both results are 0.
      axis_name: name (or names) of mapped axes to average over too, under `vmap`, `shard_map` or `pmap`. With a mask, every sample
        weighs the same, on whichever device it is.
      axis_index_groups: lists of the indices of `axis_name` (one name) that share statistics, such as `[[0, 1], [2, 3]]`.

    Returns:
      Mean and variance, `(features,)` each.

    Raises:
      TypeError: if `x` is not floating point, or the mask not bools.
      ValueError: if the mask has another shape, or the groups are not all indices of one axis.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> mean, variance = functional.moments(jnp.array([[1.0], [3.0], [99.0]]), mask=jnp.array([True, True, False]))
      >>> mean.item(), variance.item()
      (2.0, 1.0)
    """
    return statistics("moments", x, mask, Mapped.of("moments", axis_name, axis_index_groups))[:2]


class Mapped(NamedTuple):
    """Mapped axes that statistics are taken over too."""

    name: Hashable | None
    groups: tuple[tuple[int, ...], ...] | None

    @classmethod
    def of(cls, function: str, axis_name: Hashable | None, groups: Sequence[Sequence[int]] | None) -> "Mapped":
        """Raises ValueError if there are groups of no axis, of several, or of indices that are not 0, 1, 2, ..."""
        if groups is None:
            return cls(axis_name, None)
        if axis_name is None or isinstance(axis_name, tuple | list):
            raise ValueError(f"{function}: axis_index_groups are of one axis, axis_name is {axis_name!r}")
        members = sorted(index for group in groups for index in group)
        if members != list(range(len(members))):
            raise ValueError(f"{function}: axis_index_groups must hold every index of the axis once, got {groups}")
        return cls(axis_name, tuple(map(tuple, groups)))

    def sum(self, x: Any) -> Any:
        """The sum over the members, on each. JAX's own `axis_index_groups` works under `pmap` alone."""
        if self.name is None:
            return x
        if self.groups is None:
            return jax.lax.psum(x, self.name)
        size, own = jax.lax.psum(1, self.name), {i: group for group in self.groups for i in group}
        if len(own) != size:
            raise ValueError(f"axis_index_groups {self.groups} are not those of axis {self.name!r}, whose size is {size}")
        together = np.array([[i in own[j] for i in range(size)] for j in range(size)])
        every = jax.lax.all_gather(x, self.name)
        member = jnp.asarray(together)[jax.lax.axis_index(self.name)]
        return jnp.where(jnp.expand_dims(member, range(1, every.ndim)), every, 0).sum(0, dtype=every.dtype)


def statistics(name: str, x: jax.Array, mask: Any, mapped: Mapped) -> tuple[jax.Array, jax.Array, Any]:
    """Mean, biased variance, and the number of samples they are over: an int where it is known, or else an array."""
    x = _check.floating(name, x)
    x, mask = widen(x), _spread_mask(name, mask, x)
    samples = mapped.sum(math.prod(x.shape[:-1]) if mask is None else mask.sum(dtype=jnp.int32))
    if mask is not None:
        x = jnp.where(mask, x, 0)  # whatever is there, NaN too, has no part in values and gradients
    count = None if isinstance(samples, int) else jnp.maximum(samples, 1).astype(x.dtype)
    return *_moments(mapped, x, mask, count), samples


def _spread_mask(name: str, mask: Any, x: jax.Array) -> jax.Array | None:
    if mask is None:
        return None
    mask = jnp.asarray(mask)
    if mask.dtype != bool:
        raise TypeError(f"{name}: mask must be bools, got {_check.describe(mask)}")
    if not 0 < mask.ndim < x.ndim or mask.shape != x.shape[: mask.ndim]:
        takes = f"must have the leading shape of {_check.describe(x)} without features"
        raise ValueError(f"{name}: mask {takes}, got {_check.describe(mask)}")
    return jnp.broadcast_to(jnp.expand_dims(mask, range(mask.ndim, x.ndim)), (*x.shape[:-1], 1))


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _moments(mapped: Mapped, x: jax.Array, mask: Any, count: Any) -> tuple[jax.Array, jax.Array]:
    mean = _average(mapped, x, mask, count)
    return mean, _average(mapped, jnp.square(x - _spread(mean, x)), mask, count)


@_moments.defjvp
def _moments_jvp(mapped, primals, tangents):  # the mean's tangent times sum(x - mean), which is 0, is left out
    (x, *over), (dx, *_) = primals, tangents
    mean, variance = _moments(mapped, x, *over)
    return (mean, variance), (_average(mapped, dx, *over), _average(mapped, 2 * (x - _spread(mean, x)) * dx, *over))


def _average(mapped: Mapped, x: jax.Array, mask: Any, count: Any) -> jax.Array:
    axes = range(x.ndim - 1)
    if count is not None:  # members may have seen unequally many samples
        return mapped.sum((x if mask is None else jnp.where(mask, x, 0)).sum(axes)) / count
    mean = x.mean(axes)
    return mean if mapped.name is None else jax.lax.pmean(mean, mapped.name)


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
    _check.within("batch_norm", 0, float("inf"), epsilon=epsilon)
    for name, weight in {"mean": mean, "variance": variance, "scale": scale, "bias": bias}.items():
        if x.ndim == 0 or (weight is not None and weight.shape != x.shape[-1:]):
            raise ValueError(f"batch_norm: {name} is for {jnp.size(weight)} features, x is {_check.describe(x)}")
    wide = jnp.promote_types(x.dtype, jnp.float32)
    factor = jax.lax.rsqrt(variance.astype(wide) + epsilon)
    if scale is not None:
        factor = factor * scale.astype(wide)
    shift = jnp.zeros_like(factor) if bias is None else bias.astype(wide)
    return _normalise(x.astype(wide), mean.astype(wide), factor, shift).astype(x.dtype)


def batch_renorm(
    x: jax.Array,
    mean: jax.Array,
    variance: jax.Array,
    running_mean: jax.Array,
    running_variance: jax.Array,
    scale: jax.Array | None = None,
    bias: jax.Array | None = None,
    *,
    r_max: float | jax.Array = 3.0,
    d_max: float | jax.Array = 5.0,
    epsilon: float = 1e-5,
) -> jax.Array:
    """Normalises by a batch's statistics, corrected towards running ones: `y = ((x - mean) / std * r + d) * scale + bias`.

    `r = std / running_std` within `[1 / r_max, r_max]` and `d = (mean - running_mean) / running_std` within `[-d_max, d_max]` are
    constants for the gradient. Where nothing is cut off, that is evaluation's map, with a gradient through the batch's statistics.

    Args:
      x: input, `(..., features)`, floating point.
      mean: `(features,)`, of the batch.
      variance: `(features,)`, likewise.
      running_mean: `(features,)`.
      running_variance: `(features,)`.
      scale: `(features,)`.
      bias: `(features,)`.
      r_max: at least 1; may be traced. With 1, and `d_max` of 0, this is batch norm.
      d_max: at least 0; may be traced.
      epsilon: what is added to both variances.

    Returns:
      An array like `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if a statistic is not as long as the last axis of `x`, or a limit is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> x, running = jnp.array([[1.0], [3.0]]), (jnp.zeros(1), jnp.ones(1))
      >>> functional.batch_renorm(x, *functional.moments(x), *running, epsilon=0).ravel().tolist()
      [1.0, 3.0]

    Source: Ioffe, "Batch Renormalization", https://arxiv.org/abs/1702.03275.
    """
    _check.within("batch_renorm", 1, math.inf, r_max=r_max)
    _check.within("batch_renorm", 0, math.inf, d_max=d_max, epsilon=epsilon)
    wide = jnp.promote_types(jnp.result_type(x), jnp.float32)
    deviation = jnp.sqrt(running_variance.astype(wide) + epsilon)
    r = jnp.clip(jnp.sqrt(variance.astype(wide) + epsilon) / deviation, 1 / r_max, r_max)
    d = jnp.clip((mean - running_mean).astype(wide) / deviation, -d_max, d_max)
    r, d = jax.lax.stop_gradient((r.astype(wide), d.astype(wide)))
    gain = r if scale is None else scale.astype(wide) * r
    shift = d if scale is None else scale.astype(wide) * d
    return batch_norm(x, mean, variance, gain, shift if bias is None else bias.astype(wide) + shift, epsilon=epsilon)


@jax.custom_jvp
def _normalise(x: jax.Array, mean: jax.Array, factor: jax.Array, shift: jax.Array) -> jax.Array:
    return (x - _spread(mean, x)) * _spread(factor, x) + _spread(shift, x)


@_normalise.defjvp
def _normalise_jvp(primals, tangents):  # the mean and the shift share one sum over the samples
    (x, mean, factor, _), (dx, dmean, dfactor, dshift) = primals, tangents
    dy = _spread(factor, x) * dx + (x - _spread(mean, x)) * _spread(dfactor, x) + _spread(dshift - factor * dmean, x)
    return _normalise(*primals), dy
