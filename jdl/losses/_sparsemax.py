"""The loss that belongs to sparsemax as cross-entropy belongs to softmax."""

import jax
import jax.numpy as jnp

from jdl import functional
from jdl.functional._numbers import widen
from jdl.functional._reduce import Reduction, reduce
from jdl.losses._labels import at_labels, class_labels


def sparsemax(
    logits: jax.Array,
    labels: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Is least, 0, where `functional.sparsemax(logits)` is the labels: `z . p - |p|^2 / 2 - z . t + |t|^2 / 2`.

    Here `z` are logits, `p` is their sparsemax, and `t` are probabilities of labels. It is a Fenchel-Young loss, convex with
    gradient `p - t`, and 0 from a finite margin of 1 on.

    Args:
      logits: unnormalised scores, with classes along `axis`.
      labels: integers or probabilities, as in `cross_entropy`; probabilities must sum to 1.
      where, weights, reduction: as in every loss, see `jdl.losses`.
      axis: the axis of classes.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if labels are neither integers of the shape of samples nor floats of the shape of logits.
      ValueError: if shapes don't fit or a label is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.sparsemax(jnp.array([[1.0, 0.0, -2.0], [0.5, 0.5, 0.0]]), jnp.array([0, 1]), reduction="none").tolist()
      [0.0, 0.25]

    Source: Martins and Astudillo, "From Softmax to Sparsemax", https://arxiv.org/abs/1602.02068.
    """
    logits = widen(jnp.moveaxis(logits, axis, -1))
    labels = class_labels("sparsemax", labels, logits, axis)
    logits = logits - jax.lax.stop_gradient(logits.max(-1, keepdims=True))  # changes nothing but rounding
    shares = functional.sparsemax(logits)
    square = jnp.square(labels).sum(-1) if labels.ndim == logits.ndim else 1.0
    values = (shares * (logits - shares / 2)).sum(-1) - at_labels(logits, labels) + square / 2
    return reduce("sparsemax", values, where, weights, reduction)
