"""Areas under curves of a threshold, exact: over all scores, with equal ones passing the threshold together."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import divisor, widen
from jdl.metrics import _sums
from jdl.metrics._ties import before_and_through


def roc_auc(scores: jax.Array, labels: jax.Array, *, where: jax.Array | None = None, weights: jax.Array | None = None) -> jax.Array:
    """Area under the receiver operating characteristic: how likely a positive scores higher than a negative (a tie counts half).

    Args:
      scores: of any shape, larger for what is rather positive; probabilities or logits, only their order counts. For several
        classes map over them: `jax.vmap(roc_auc, in_axes=-1)(scores, one_hot)`.
      labels: bools, or 0 and 1, of the same shape.
      where, weights: of the leading shape, as in every loss, see `jdl.losses`.

    Returns:
      A scalar; NaN if there are no positives or no negatives, or a score is NaN.

    Raises:
      ValueError: if shapes don't fit, or a label is neither 0 nor 1 where the host sees it.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.roc_auc(jnp.array([0.1, 0.4, 0.35, 0.8]), jnp.array([0, 0, 1, 1])).item()
      0.75
    """
    scores, positives, share = _descending("roc_auc", scores, labels, where, weights)
    negatives = share - positives
    above, through = before_and_through(scores, positives / divisor(positives.sum()))
    area = (negatives / divisor(negatives.sum()) * (above + through) / 2).sum()
    defined = (positives.sum() > 0) & (negatives.sum() > 0) & ~jnp.isnan(scores).any()
    return jnp.where(defined, area, jnp.nan)


def average_precision(
    scores: jax.Array, labels: jax.Array, *, where: jax.Array | None = None, weights: jax.Array | None = None
) -> jax.Array:
    """Area under the curve of precision over recall, as a sum of steps: `sum_n (recall_n - recall_(n-1)) precision_n`.

    Args:
      scores: of any shape, larger for what is rather positive; only their order counts.
      labels: bools, or 0 and 1, of the same shape.
      where, weights: of the leading shape, as in every loss, see `jdl.losses`.

    Returns:
      A scalar; 0 if there are no positives, NaN if a score is NaN.

    Raises:
      ValueError: if shapes don't fit, or a label is neither 0 nor 1 where the host sees it.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.average_precision(jnp.array([0.1, 0.4, 0.35, 0.8]), jnp.array([0, 0, 1, 1])).round(4).item()
      0.833299994468689
    """
    scores, positives, share = _descending("average_precision", scores, labels, where, weights)
    _, hits = before_and_through(scores, positives)
    _, passed = before_and_through(scores, share)
    area = (positives * (hits / divisor(passed))).sum() / divisor(positives.sum())
    return jnp.where(jnp.isnan(scores).any(), jnp.nan, area)


def _descending(name: str, scores: jax.Array, labels: Any, where: Any, weights: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    """In the order of a falling threshold: negated scores, what each counts as a positive, and what it counts."""
    labels = _check.array(labels)
    _check.same_shape(name, scores=scores, labels=labels)
    share = _sums.shares(name, scores.shape, where, weights).ravel()
    scores, labels = (jnp.where(share == 0, 0, x.ravel()) for x in (widen(scores), labels))
    _check.report(name, "labels must be 0 or 1", labels, lambda labels: (labels != 0) & (labels != 1))
    order = jnp.argsort(-scores)
    return -scores[order], (share * labels.astype(share.dtype))[order], share[order]
