"""Losses of probabilities, and of their logarithms. From logits, `cross_entropy` and `binary_cross_entropy` are more accurate."""

import jax
import jax.numpy as jnp

from jdl.functional._numbers import widen
from jdl.functional._reduce import Reduction, reduce
from jdl.losses._labels import (
    at_labels,
    binary_labels,
    class_labels,
    integer_labels,
    masses,
    per_class,
    reduce_weighted,
    split_ignored,
)

_POLE = 1e-12


def bounded_log(x: jax.Array) -> jax.Array:
    """The logarithm, below 1e-12 continued along its tangent: at 0 it is -28.6, with a slope of 1e12 and not an infinite one."""
    return jnp.log(jnp.maximum(x, _POLE)) + jnp.minimum(x - _POLE, 0) / _POLE


def negative_log_likelihood(
    log_probabilities: jax.Array,
    labels: jax.Array,
    *,
    class_weights: jax.Array | None = None,
    ignore_index: int | None = None,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """What log-probabilities say of the labels: `-log p_label`.

    For models that end in a log-softmax, or give log-probabilities by other means. With weights `w` of classes, each sample has the
    factor `w_label`, and a mean divides by the sum of these.

    Args:
      log_probabilities: with classes along `axis`.
      labels: integers in 0..classes-1, of the shape of `log_probabilities` without `axis`. Integers out of range are an error where
        the host sees them, and give NaN under jit.
      class_weights: at least 0, one for each class.
      ignore_index: an integer, in range or not; samples with this label count for nothing.
      where, weights, reduction: as in every loss, see `jdl.losses`.
      axis: the axis of classes.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if labels are not integers of the shape of samples.
      ValueError: if shapes don't fit or a value is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.negative_log_likelihood(jnp.array([[-1.0, -0.5], [-2.0, -0.1]]), jnp.array([0, 0])).item()
      1.5
    """
    name = "negative_log_likelihood"
    log_probabilities = widen(jnp.moveaxis(log_probabilities, axis, -1))
    labels, counts = split_ignored(name, labels, ignore_index)
    labels = integer_labels(name, labels, log_probabilities)
    mass = masses(None if class_weights is None else per_class(name, log_probabilities, class_weights=class_weights), labels)
    values = -at_labels(log_probabilities, labels) * mass
    return reduce_weighted(name, values, mass, counts, where, weights, reduction)


def cross_entropy_from_probabilities(
    probabilities: jax.Array,
    labels: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Cross-entropy of probabilities: `-sum_c p_c log q_c`.

    Below 1e-12 the logarithm is continued along its tangent, so a probability of 0 costs 28.6 and has a gradient of 1e12, not an
    infinite one. Where there are logits, `cross_entropy` is more accurate.

    Args:
      probabilities: in [0, 1], with classes along `axis`; they are not normalised here.
      labels: integers in 0..classes-1, of the shape of `probabilities` without `axis`; or probabilities of the shape of
        `probabilities`. Integers out of range are an error where the host sees them, and give NaN under jit.
      where, weights, reduction: as in every loss, see `jdl.losses`.
      axis: the axis of classes.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if labels are neither integers of the shape of samples nor floats of the shape of `probabilities`.
      ValueError: if shapes don't fit or a label is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> f"{losses.cross_entropy_from_probabilities(jnp.array([[0.25, 0.75]]), jnp.array([0])):.4f}"
      '1.3863'
    """
    probabilities = widen(jnp.moveaxis(probabilities, axis, -1))
    labels = class_labels("cross_entropy_from_probabilities", labels, probabilities, axis)
    values = -at_labels(bounded_log(probabilities), labels)
    return reduce("cross_entropy_from_probabilities", values, where, weights, reduction)


def binary_cross_entropy_from_probabilities(
    probabilities: jax.Array,
    labels: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Cross-entropy of probabilities: `-p log q - (1 - p) log(1 - q)` for each entry.

    Below 1e-12 the logarithm is continued along its tangent, so to be certain and wrong costs 28.6 and has a gradient of 1e12, not
    an infinite one. Where there are logits, `binary_cross_entropy` is more accurate.

    Args:
      probabilities: in [0, 1], of any shape.
      labels: probabilities in [0, 1], bools, or integers 0 and 1, of the same shape; nothing is broadcast.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `probabilities`; of float32 at least.

    Raises:
      ValueError: if shapes differ, or labels lie outside [0, 1] where the host can see them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> f"{losses.binary_cross_entropy_from_probabilities(jnp.array([0.5, 1.0]), jnp.array([0, 1])):.4f}"
      '0.3466'
    """
    name = "binary_cross_entropy_from_probabilities"
    labels = binary_labels(name, labels, probabilities=probabilities)
    probabilities = widen(probabilities)
    labels = jnp.asarray(labels, probabilities.dtype)
    values = -labels * bounded_log(probabilities) - (1 - labels) * bounded_log(1 - probabilities)
    return reduce(name, values, where, weights, reduction)
