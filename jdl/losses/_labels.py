"""What losses of classes share: labels that are integers or probabilities, and weights of classes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl.functional import _check
from jdl.functional._numbers import divisor
from jdl.functional._reduce import Reduction, reduce


def class_labels(name: str, labels: Any, scores: jax.Array, axis: int) -> jax.Array:
    """Labels that fit scores, whose classes are last: integers, or probabilities with the classes moved there too."""
    labels = _check.array(labels)
    if not jnp.issubdtype(labels.dtype, jnp.floating) or labels.ndim != scores.ndim:
        return integer_labels(name, labels, scores, f" or probabilities of shape {list(scores.shape)}")
    labels = jnp.moveaxis(jnp.asarray(labels, scores.dtype), axis, -1)
    _check.same_shape(name, logits=scores, labels=labels)
    return labels


def integer_labels(name: str, labels: Any, scores: jax.Array, otherwise: str = "") -> jax.Array:
    """Labels that are integers below the number of classes, which are the last axis of `scores`."""
    labels = _check.array(labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer) or labels.shape != scores.shape[:-1]:
        takes = f"integers of shape {list(scores.shape[:-1])}{otherwise}"
        raise TypeError(f"{name}: labels must be {takes}, got {_check.describe(labels)}")
    _check.indices(name, "labels", labels, scores.shape[-1])
    return jnp.asarray(labels)


def binary_labels(name: str, labels: Any, **scores: Any) -> Any:
    """Labels of the shape of the named scores, that lie in [0, 1] where the host can see them."""
    labels = _check.array(labels)
    _check.same_shape(name, **scores, labels=labels)
    _check.report(name, "labels must lie in [0, 1]", labels, lambda labels: ~((labels >= 0) & (labels <= 1)))
    return labels


def split_ignored(name: str, labels: Any, ignore_index: int | None) -> tuple[Any, jax.Array | None]:
    """Labels with 0 in the place of those to ignore, and which others count; None if all do."""
    if ignore_index is None:
        return labels, None
    labels = _check.array(labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"{name}: ignore_index is for labels that are integers, got {_check.describe(labels)}")
    counts = labels != ignore_index
    return (np if isinstance(labels, np.ndarray) else jnp).where(counts, labels, 0), counts


def at_labels(values: jax.Array, labels: jax.Array) -> jax.Array:
    """For each sample the value of its label, or the mean of values under its probabilities; NaN for an integer out of range."""
    if jnp.issubdtype(labels.dtype, jnp.floating):
        return (labels * values).sum(-1)
    index = jnp.expand_dims(_from_start(labels, values), -1)
    return jnp.take_along_axis(values, index, -1, mode="fill", fill_value=jnp.nan).squeeze(-1)


def per_class(name: str, scores: jax.Array, **given: Any) -> jax.Array:
    """One number for all classes or one for each (the last axis of `scores`) as the latter; raises unless all are at least 0."""
    ((key, value),) = given.items()
    if jnp.shape(value) not in ((), scores.shape[-1:]):
        takes = f"a number or of shape {list(scores.shape[-1:])}"
        raise ValueError(f"{name}: {key} must be {takes}, got {_check.describe(value)}")
    _check.within(name, 0, float("inf"), **given)
    return jnp.broadcast_to(jnp.asarray(value, scores.dtype), scores.shape[-1:])


def masses(each: jax.Array | None, labels: jax.Array) -> jax.Array | float:
    """For each sample the number of its label, or their mean under its probabilities, from one number for each class: 1 if None."""
    if jnp.issubdtype(labels.dtype, jnp.floating):
        return labels.sum(-1) if each is None else at_labels(jnp.broadcast_to(each, labels.shape), labels)
    return 1.0 if each is None else jnp.take(each, _from_start(labels, each), mode="fill", fill_value=jnp.nan)


def reduce_weighted(
    name: str, values: jax.Array, mass: Any, counts: jax.Array | None, where: Any, weights: Any, reduction: Reduction
) -> jax.Array:
    """Reduces values that are multiplied by `mass`, by whose sum a mean divides; those that don't count are 0."""
    mass = jnp.broadcast_to(jnp.asarray(mass, values.dtype), values.shape)
    if counts is not None:
        values, mass = jnp.where(counts, values, 0), jnp.where(counts, mass, 0)
    if reduction != "mean":
        return reduce(name, values, where, weights, reduction)
    total = reduce(name, mass, where, weights, "sum")
    return reduce(name, values, where, weights, "sum") / divisor(total)


def _from_start(labels: jax.Array, values: jax.Array) -> jax.Array:
    """Labels of which negative ones, which would count from the end, are too large."""
    return jnp.where(labels < 0, jnp.asarray(values.shape[-1], jnp.int32), labels)
