"""Losses of class scores."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._reduce import Reduction, reduce
from jdl.losses._labels import at_labels, binary_labels, class_labels, masses, per_class, reduce_weighted, split_ignored


def cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    *,
    label_smoothing: float | jax.Array = 0.0,
    class_weights: jax.Array | None = None,
    ignore_index: int | None = None,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Cross-entropy of the softmax of logits: `-sum_c p_c log softmax(logits)_c`.

    With smoothing `s`, the targets are `(1 - s) p + s / classes`. With weights `w` of classes, each term has the factor `w_c`, and
    a mean divides by the sum of the weights of the labels, `sum_c w_c p_c` before smoothing.

    Args:
      logits: unnormalised scores, with classes along `axis`.
      labels: integers in 0..classes-1, of the shape of `logits` without `axis`; or probabilities of the shape of `logits`. Integers
        out of range are an error where the host sees them, and give NaN under jit.
      label_smoothing: share of probability spread over all classes, in [0, 1]; may be traced.
      class_weights: at least 0, one for each class.
      ignore_index: an integer, in range or not; samples with this label count for nothing.
      where: bools of the leading shape, which samples count.
      weights: of the leading shape; a weight of 2 counts as two samples.
      axis: the axis of classes.
      reduction: `"mean"` (divides by the sum of weights), `"sum"` or `"none"`.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if labels are neither integers of the shape of samples nor floats of the shape of logits; if `ignore_index` is
        given with the latter.
      ValueError: if shapes don't fit or a value is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.cross_entropy(jnp.zeros((2, 4)), jnp.array([0, 3])).round(4).item() == jnp.log(4.0).round(4).item()
      True

    Source: label smoothing, Szegedy et al., "Rethinking the Inception Architecture", https://arxiv.org/abs/1512.00567.
    """
    _check.within("cross_entropy", 0, 1, label_smoothing=label_smoothing)
    logits = widen(jnp.moveaxis(logits, axis, -1))
    labels, counts = split_ignored("cross_entropy", labels, ignore_index)
    labels = class_labels("cross_entropy", labels, logits, axis)
    each = None if class_weights is None else per_class("cross_entropy", logits, class_weights=class_weights)
    weighted = logits if each is None else logits * jnp.expand_dims(each, range(logits.ndim - 1))
    total, mass = jax.nn.logsumexp(logits, -1), masses(each, labels)
    values = total * mass - at_labels(weighted, labels)
    if not (isinstance(label_smoothing, float | int) and label_smoothing == 0):
        even = total * (1.0 if each is None else each.mean()) - weighted.mean(-1)
        values = (1 - label_smoothing) * values + label_smoothing * even
    if each is None and counts is None:
        return reduce("cross_entropy", values, where, weights, reduction)
    return reduce_weighted("cross_entropy", values, mass, counts, where, weights, reduction)


def binary_cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    *,
    positive_weight: float | jax.Array = 1.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Cross-entropy of the sigmoid of logits: `-p log sigmoid(z) - (1 - p) log sigmoid(-z)` for each entry.

    With a weight of positives, the first term has it as a factor; a mean divides by the number of entries all the same.

    Args:
      logits: unnormalised scores, of any shape.
      labels: probabilities in [0, 1], bools, or integers 0 and 1, of the same shape; nothing is broadcast.
      positive_weight: at least 0, a number or one for each entry of the last axis: above 1 it favours recall, below 1 precision.
      where: bools of the leading shape, which entries count.
      weights: of the leading shape; a weight of 2 counts as two samples.
      reduction: `"mean"` (divides by the sum of weights), `"sum"` or `"none"`.

    Returns:
      A scalar, or for `"none"` an array like `logits`; of float32 at least.

    Raises:
      ValueError: if shapes don't fit, or labels lie outside [0, 1] where the host can see them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.binary_cross_entropy(jnp.array([100.0, -100.0]), jnp.array([1, 0])).item()
      0.0
    """
    labels = binary_labels("binary_cross_entropy", labels, logits=logits)
    logits = widen(logits)
    labels = jnp.asarray(labels, logits.dtype)
    factor = per_class("binary_cross_entropy", logits, positive_weight=positive_weight)
    positive = labels * jnp.broadcast_to(factor, logits.shape)
    values = -positive * jax.nn.log_sigmoid(logits) - (1 - labels) * jax.nn.log_sigmoid(-logits)
    return reduce("binary_cross_entropy", values, where, weights, reduction)
