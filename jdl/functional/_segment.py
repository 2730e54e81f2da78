"""Reductions over segments: entries that share an index."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import divisor, widen

Reduction = Literal["sum", "mean", "max", "min"]


def segment_sum(x: jax.Array, segment_ids: jax.Array, num_segments: int, *, where: jax.Array | None = None) -> jax.Array:
    """Adds up the rows of each segment: `y[s] = sum_{n: ids[n] = s} x[n]`. A segment without rows gives 0.

    Args:
      x: input, `(n, ...)`, floating point.
      segment_ids: integers in 0..num_segments-1, `(n,)`, in any order. Out of range, they are an error where the host sees them,
        and all is NaN under jit.
      num_segments: how many segments there are; static.
      where: bools `(n,)`, the rows that count; the ids of others may be anything.

    Returns:
      `(num_segments, ...)`, of the dtype of `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point, or `segment_ids` are not integers.
      ValueError: if shapes don't fit, or an id is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.segment_sum(jnp.array([1.0, 2.0, 3.0]), jnp.array([0, 2, 0]), 3).tolist()
      [4.0, 0.0, 2.0]
    """
    x, ids, sound = _checked("segment_sum", x, segment_ids, num_segments, where)
    return sound(_sum(x, ids, num_segments)).astype(x.dtype)


def segment_mean(x: jax.Array, segment_ids: jax.Array, num_segments: int, *, where: jax.Array | None = None) -> jax.Array:
    """Takes the mean of the rows of each segment. A segment without rows gives 0.

    Args:
      x: input, `(n, ...)`, floating point.
      segment_ids: integers in 0..num_segments-1, `(n,)`, in any order. Out of range, they are an error where the host sees them,
        and all is NaN under jit.
      num_segments: how many segments there are; static.
      where: bools `(n,)`, the rows that count; the ids of others may be anything.

    Returns:
      `(num_segments, ...)`, of the dtype of `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point, or `segment_ids` are not integers.
      ValueError: if shapes don't fit, or an id is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.segment_mean(jnp.array([1.0, 2.0, 3.0]), jnp.array([0, 2, 0]), 3).tolist()
      [2.0, 0.0, 2.0]
    """
    x, ids, sound = _checked("segment_mean", x, segment_ids, num_segments, where)
    return sound(_sum(x, ids, num_segments) / divisor(_counts(x, ids, num_segments))).astype(x.dtype)


def segment_max(x: jax.Array, segment_ids: jax.Array, num_segments: int, *, where: jax.Array | None = None) -> jax.Array:
    """Takes the largest entries of the rows of each segment; equal ones share the gradient. A segment without rows gives 0.

    Args:
      x: input, `(n, ...)`, floating point.
      segment_ids: integers in 0..num_segments-1, `(n,)`, in any order. Out of range, they are an error where the host sees them,
        and all is NaN under jit.
      num_segments: how many segments there are; static.
      where: bools `(n,)`, the rows that count; the ids of others may be anything.

    Returns:
      `(num_segments, ...)`, of the dtype of `x`.

    Raises:
      TypeError: if `x` is not floating point, or `segment_ids` are not integers.
      ValueError: if shapes don't fit, or an id is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.segment_max(jnp.array([-1.0, 2.0, -3.0]), jnp.array([0, 2, 0]), 3).tolist()
      [-1.0, 0.0, 2.0]
    """
    x, ids, sound = _checked("segment_max", x, segment_ids, num_segments, where)
    largest = jax.ops.segment_max(x, ids, num_segments)
    return sound(jnp.where(_counts(x, ids, num_segments) > 0, largest, 0)).astype(x.dtype)


def segment_min(x: jax.Array, segment_ids: jax.Array, num_segments: int, *, where: jax.Array | None = None) -> jax.Array:
    """Takes the smallest entries of the rows of each segment; equal ones share the gradient. A segment without rows gives 0.

    Args:
      x: input, `(n, ...)`, floating point.
      segment_ids: integers in 0..num_segments-1, `(n,)`, in any order. Out of range, they are an error where the host sees them,
        and all is NaN under jit.
      num_segments: how many segments there are; static.
      where: bools `(n,)`, the rows that count; the ids of others may be anything.

    Returns:
      `(num_segments, ...)`, of the dtype of `x`.

    Raises:
      TypeError: if `x` is not floating point, or `segment_ids` are not integers.
      ValueError: if shapes don't fit, or an id is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.segment_min(jnp.array([1.0, 2.0, -3.0]), jnp.array([0, 2, 0]), 3).tolist()
      [-3.0, 0.0, 2.0]
    """
    x, ids, sound = _checked("segment_min", x, segment_ids, num_segments, where)
    smallest = jax.ops.segment_min(x, ids, num_segments)
    return sound(jnp.where(_counts(x, ids, num_segments) > 0, smallest, 0)).astype(x.dtype)


def segment_softmax(x: jax.Array, segment_ids: jax.Array, num_segments: int, *, where: jax.Array | None = None) -> jax.Array:
    """Softmax among the rows of each segment: `y[n] = exp(x[n]) / sum_{m: ids[m] = ids[n]} exp(x[m])`.

    Args:
      x: logits, `(n, ...)`, floating point.
      segment_ids: integers in 0..num_segments-1, `(n,)`, in any order. Out of range, they are an error where the host sees them,
        and all is NaN under jit.
      num_segments: how many segments there are; static.
      where: bools `(n,)`, the rows that count; the ids of others may be anything, and their share is 0.

    Returns:
      An array like `x`, whose entries of each segment sum to 1; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point, or `segment_ids` are not integers.
      ValueError: if shapes don't fit, or an id is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.segment_softmax(jnp.array([1.0, 7.0, 1.0]), jnp.array([0, 2, 0]), 3).tolist()
      [0.5, 1.0, 0.5]
    """
    x, ids, sound = _checked("segment_softmax", x, segment_ids, num_segments, where)
    of_row = lambda values: values.at[ids].get(mode="fill", fill_value=0, wrap_negative_indices=False)
    counted = True if where is None else jnp.expand_dims(jnp.asarray(where), range(1, x.ndim))
    logits = jnp.where(counted, widen(x), 0)
    top = of_row(jax.lax.stop_gradient(jax.ops.segment_max(logits, ids, num_segments)))
    parts = jnp.where(counted, jnp.exp(logits - jnp.where(jnp.isfinite(top), top, 0)), 0)
    return sound(parts / divisor(of_row(_sum(parts, ids, num_segments)))).astype(x.dtype)


segment_reductions = {"sum": segment_sum, "mean": segment_mean, "max": segment_max, "min": segment_min}


def check_reduction(name: str, reduction: str) -> None:
    """Raises ValueError unless segments can be reduced so."""
    _check.choice(name, "reduction", reduction, tuple(segment_reductions))


def _checked(
    name: str, x: Any, segment_ids: Any, num_segments: int, where: Any
) -> tuple[jax.Array, jax.Array, Callable[[jax.Array], jax.Array]]:
    """`x`, the ids, out of range for rows that don't count, so that JAX drops them, and what makes wrong results NaN."""
    x, ids = _check.floating(name, x), _check.array(segment_ids)
    _check.positive(name, num_segments=num_segments)
    if x.ndim == 0 or ids.shape != x.shape[:1]:
        raise ValueError(f"{name}: segment_ids must be one for each row of x, got {_check.describe(ids)} for {_check.describe(x)}")
    counted = ids
    if where is not None:
        where = _check.array(where)
        if where.dtype != bool:
            raise TypeError(f"{name}: where must be bools, True for what counts, got {_check.describe(where)}")
        _check.same_shape(name, segment_ids=ids, where=where)
        counted, ids = jnp.where(where, ids, 0), jnp.where(where, ids, num_segments)
    _check.indices(name, "segment_ids", counted, num_segments)
    if _check.seen(counted):
        return x, jnp.asarray(ids), lambda y: y
    broken = ((counted < 0) | (counted >= num_segments)).any()
    return x, jnp.asarray(ids), lambda y: jnp.where(broken, jnp.asarray(jnp.nan, y.dtype), y)


def _sum(x: jax.Array, ids: jax.Array, num_segments: int) -> jax.Array:
    return jax.ops.segment_sum(widen(x), ids, num_segments)


def _counts(x: jax.Array, ids: jax.Array, num_segments: int) -> jax.Array:
    """How many rows each segment has, of the rank of `x`."""
    counts = jax.ops.segment_sum(jnp.ones(ids.shape, widen(x).dtype), ids, num_segments)
    return jnp.expand_dims(counts, range(1, x.ndim))
