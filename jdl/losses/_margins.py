"""Losses of scores that want a margin between right and wrong, not probabilities."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._reduce import Reduction, reduce
from jdl.losses._labels import at_labels, class_labels, integer_labels


def hinge(
    scores: jax.Array,
    labels: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Wants scores of at least 1 on the right side of 0, as a support vector machine does: `max(0, 1 - y s)`, with `y` 1 or -1.

    Args:
      scores: of any shape.
      labels: of the same shape, positive for `y = 1` and else `y = -1`: bools, 1 and 0, or 1 and -1; nothing is broadcast.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `scores`; of float32 at least.

    Raises:
      ValueError: if shapes differ, or labels are none of -1, 0 and 1 where the host can see them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.hinge(jnp.array([0.5, 3.0, 1.0]), jnp.array([1, 1, 0]), reduction="none").tolist()
      [0.5, 0.0, 2.0]

    Source: Cortes and Vapnik, "Support-Vector Networks", https://doi.org/10.1007/BF00994018.
    """
    return reduce("hinge", jax.nn.relu(1 - _signed("hinge", scores, labels)), where, weights, reduction)


def squared_hinge(
    scores: jax.Array,
    labels: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Squares the hinge loss, which makes it smooth: `max(0, 1 - y s)^2`, with `y` 1 or -1.

    Args:
      scores: of any shape.
      labels: of the same shape, positive for `y = 1` and else `y = -1`: bools, 1 and 0, or 1 and -1; nothing is broadcast.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `scores`; of float32 at least.

    Raises:
      ValueError: if shapes differ, or labels are none of -1, 0 and 1 where the host can see them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.squared_hinge(jnp.array([0.5, 3.0, 1.0]), jnp.array([1, 1, 0]), reduction="none").tolist()
      [0.25, 0.0, 4.0]
    """
    values = jnp.square(jax.nn.relu(1 - _signed("squared_hinge", scores, labels)))
    return reduce("squared_hinge", values, where, weights, reduction)


def perceptron(
    scores: jax.Array,
    labels: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Wants scores on the right side of 0, without a margin: `max(0, -y s)`, with `y` 1 or -1.

    Args:
      scores: of any shape.
      labels: of the same shape, positive for `y = 1` and else `y = -1`: bools, 1 and 0, or 1 and -1; nothing is broadcast.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `scores`; of float32 at least.

    Raises:
      ValueError: if shapes differ, or labels are none of -1, 0 and 1 where the host can see them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.perceptron(jnp.array([0.5, 1.0]), jnp.array([1, -1]), reduction="none").tolist()
      [0.0, 1.0]

    Source: Rosenblatt, "The Perceptron", https://doi.org/10.1037/h0042519.
    """
    return reduce("perceptron", jax.nn.relu(-_signed("perceptron", scores, labels)), where, weights, reduction)


def multiclass_hinge(
    scores: jax.Array,
    labels: jax.Array,
    *,
    margin: float | jax.Array = 1.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Wants the label's score above the best other by a margin (Crammer and Singer): `max(0, margin + max_other s - s_label)`.

    Args:
      scores: with classes along `axis`.
      labels: integers in 0..classes-1, of the shape of `scores` without `axis`. Integers out of range are an error where the host
        sees them, and give NaN under jit.
      margin: at least 0; may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`.
      axis: the axis of classes.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if labels are not integers of the shape of samples.
      ValueError: if `margin` is negative or a label is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.multiclass_hinge(jnp.array([[0.0, 2.0, 1.5]]), jnp.array([1])).item()
      0.5

    Source: Crammer and Singer, "On the Algorithmic Implementation of Multiclass Kernel-based Vector Machines",
    https://www.jmlr.org/papers/v2/crammer01a.html.
    """
    _, short = _short("multiclass_hinge", scores, labels, margin, axis)
    return reduce("multiclass_hinge", jax.nn.relu(short.max(-1)), where, weights, reduction)


def multi_margin(
    scores: jax.Array,
    labels: jax.Array,
    *,
    margin: float | jax.Array = 1.0,
    p: int = 1,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Wants the label's score above every other by a margin: `sum_other max(0, margin + s_other - s_label)^p / classes`.

    Unlike `multiclass_hinge` it counts all classes that come too near, not only the nearest (Weston and Watkins).

    Args:
      scores: with classes along `axis`.
      labels: integers in 0..classes-1, of the shape of `scores` without `axis`. Integers out of range are an error where the host
        sees them, and give NaN under jit.
      margin: at least 0; may be traced.
      p: power, a positive integer; 2 squares.
      where, weights, reduction: as in every loss, see `jdl.losses`.
      axis: the axis of classes.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if labels are not integers of the shape of samples.
      ValueError: if `margin` is negative, `p` is no positive integer, or a label is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.multi_margin(jnp.array([[0.0, 2.0, 1.5, 2.5]]), jnp.array([1])).item()
      0.5
    """
    _check.positive("multi_margin", p=p)
    others, short = _short("multi_margin", scores, labels, margin, axis)
    values = jnp.where(others, jax.nn.relu(short), 0) ** p
    return reduce("multi_margin", values.mean(-1), where, weights, reduction)


def capsule_margin(
    lengths: jax.Array,
    labels: jax.Array,
    *,
    present: float | jax.Array = 0.9,
    absent: float | jax.Array = 0.1,
    absent_weight: float | jax.Array = 0.5,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Wants long capsules for what is there, and short ones for the rest.

    A class costs `max(0, m+ - length)^2` if it is there, and else `w max(0, length - m-)^2`; a sample costs the sum over classes.

    Args:
      lengths: of capsules, in [0, 1], with classes along `axis`.
      labels: integers in 0..classes-1, of the shape of `lengths` without `axis`, or, where several classes may be there, floats of
        the shape of `lengths`, 1 for those that are. Integers out of range are an error where the host sees them, and give NaN
        under jit.
      present: m+, the length that a class which is there should have at least; may be traced.
      absent: m-, the length that another should have at most; may be traced.
      absent_weight: w, of classes that are not there, at least 0; may be traced. Less than 1 keeps lengths from shrinking at first.
      where, weights, reduction: as in every loss, see `jdl.losses`.
      axis: the axis of classes.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if labels are neither integers of the shape of samples nor floats of that of lengths.
      ValueError: if an option is out of range, or a label is.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.capsule_margin(jnp.array([[0.4, 0.3, 0.0]]), jnp.array([0])).round(3).item()  # 0.5^2 + 0.2^2 / 2
      0.27000001072883606

    Source: Sabour, Frosst and Hinton, "Dynamic Routing Between Capsules", https://arxiv.org/abs/1710.09829, equation 4.
    """
    _check.within("capsule_margin", 0, 1, present=present, absent=absent)
    _check.within("capsule_margin", 0, float("inf"), absent_weight=absent_weight)
    lengths = widen(jnp.moveaxis(_check.floating("capsule_margin", lengths, "lengths"), axis, -1))
    labels = class_labels("capsule_margin", labels, lengths, axis)
    there = jnp.square(jax.nn.relu(present - lengths))
    away = absent_weight * jnp.square(jax.nn.relu(lengths - absent))
    return reduce("capsule_margin", away.sum(-1) + at_labels(there - away, labels), where, weights, reduction)


def _signed(name: str, scores: jax.Array, labels: jax.Array) -> jax.Array:
    """Scores whose sign is turned where the label is negative: positive ones are right."""
    labels = _check.array(labels)
    _check.same_shape(name, scores=scores, labels=labels)
    _check.report(name, "labels must be 1, and 0 or -1", labels, lambda labels: (labels != 1) & (labels != 0) & (labels != -1))
    scores = widen(scores)
    return jnp.where(jnp.asarray(labels) > 0, scores, -scores)


def _short(name: str, scores: jax.Array, labels: jax.Array, margin: float | jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """Which classes are not the label, and by how much the label's score is too low beside each; 0 beside itself."""
    _check.within(name, 0, float("inf"), margin=margin)
    scores = widen(jnp.moveaxis(scores, axis, -1))
    labels = integer_labels(name, labels, scores)
    others = ~jax.nn.one_hot(labels, scores.shape[-1], dtype=bool)
    return others, scores - jnp.expand_dims(at_labels(scores, labels), -1) + jnp.where(others, margin, 0).astype(scores.dtype)
