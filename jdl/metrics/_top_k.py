"""Whether the label is among the best guesses."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._reduce import Reduction, reduce


def top_k_accuracy(
    logits: jax.Array,
    labels: jax.Array,
    *,
    k: int = 5,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Share of samples whose label is among the `k` largest scores; of equal scores, those of smaller classes come first.

    Args:
      logits: scores, with classes along `axis`.
      labels: integers of the shape of `logits` without `axis`.
      k: how many guesses, at most the number of classes.
      axis: the axis of classes.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` 1 or 0 for each sample.

    Raises:
      TypeError: if labels are not integers.
      ValueError: if shapes don't fit, `k` or a label is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.top_k_accuracy(jnp.array([[3.0, 2.0, 1.0], [3.0, 1.0, 2.0]]), jnp.array([1, 1]), k=2).item()
      0.5
    """
    _check.positive("top_k_accuracy", k=k)
    logits = jnp.moveaxis(logits, axis, -1)
    _check.within("top_k_accuracy", 1, logits.shape[-1], k=k)
    labels = _check.array(labels)
    guesses = jax.lax.top_k(logits, k)[1]
    _check.same_shape("top_k_accuracy", predictions=guesses[..., 0], labels=labels)
    _check.indices("top_k_accuracy", "labels", labels, logits.shape[-1])
    hits = (guesses == jnp.expand_dims(labels, -1)).any(-1)
    return reduce("top_k_accuracy", hits.astype(float), where, weights, reduction)
