"""Metrics of class scores."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._reduce import Reduction, reduce


def accuracy(
    logits: jax.Array,
    labels: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Share of samples whose largest score is that of the label.

    Args:
      logits: scores, with classes along `axis`.
      labels: integers of the shape of `logits` without `axis`, or probabilities of the shape of `logits`, whose largest counts.
      where: bools of the leading shape, which samples count.
      weights: of the leading shape; a weight of 2 counts as two samples.
      axis: the axis of classes.
      reduction: `"mean"`, `"sum"` (the number of hits) or `"none"`.

    Returns:
      A float32 scalar, or for `"none"` 1 or 0 for each sample.

    Raises:
      ValueError: if shapes don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.accuracy(jnp.eye(4), jnp.array([0, 1, 2, 0])).item()
      0.75
    """
    guess = logits.argmax(axis)
    labels = _check.array(labels)
    if jnp.issubdtype(labels.dtype, jnp.floating):
        _check.same_shape("accuracy", logits=logits, labels=labels)
        labels = labels.argmax(axis)
    _check.same_shape("accuracy", predictions=guess, labels=labels)
    return reduce("accuracy", (guess == labels).astype(jnp.float32), where, weights, reduction)
