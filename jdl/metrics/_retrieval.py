"""How good the order of items is: metrics of lists, each sorted by falling score."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import divisor, widen
from jdl.functional._reduce import Reduction, reduce
from jdl.metrics._ties import before_and_through


def ndcg(
    scores: jax.Array,
    relevance: jax.Array,
    *,
    k: int | None = None,
    mask: jax.Array | None = None,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Normalised discounted cumulative gain: `sum_i relevance_i / log2(1 + rank_i)`, over that of the best order.

    Items of equal score share the average of their discounts. For exponential gains give `2**relevance - 1`.

    Args:
      scores: finite, `(..., items)`.
      relevance: at least 0, of the same shape.
      k: only the first k ranks count; None counts all.
      mask: bools of the shape of `scores`, which items there are; None means all.
      where, weights: of the leading shape of lists, `(...)`, as in every loss, see `jdl.losses`.
      reduction: as in every loss.

    Returns:
      A scalar, or for `"none"` one number for each list, in [0, 1]; 0 for a list in which nothing is relevant.

    Raises:
      ValueError: if shapes don't fit, or `k` is no positive integer.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.ndcg(jnp.array([3.0, 2.0, 1.0]), jnp.array([0.0, 0.0, 1.0])).item()
      0.5

    Source: Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", https://doi.org/10.1145/582415.582418.
    """
    scores, relevance = _lists("ndcg", scores, relevance, mask, k)
    rank = jnp.arange(scores.shape[-1])
    discount = jnp.where(rank < (rank.size if k is None else k), 1 / jnp.log2(rank + 2.0), 0)
    order = jnp.argsort(-scores, axis=-1)
    ordered, gains = (jnp.take_along_axis(x, order, -1) for x in (-scores, relevance))
    sums = before_and_through(ordered, jnp.broadcast_to(discount, ordered.shape))
    sizes = before_and_through(ordered, jnp.ones_like(ordered))
    gained = (gains * (sums[1] - sums[0]) / (sizes[1] - sizes[0])).sum(-1)
    best = (-jnp.sort(-relevance, axis=-1) * jnp.broadcast_to(discount, relevance.shape)).sum(-1)
    return reduce("ndcg", gained / divisor(best), where, weights, reduction)


def mean_reciprocal_rank(
    scores: jax.Array,
    relevant: jax.Array,
    *,
    mask: jax.Array | None = None,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """One over the rank of the first relevant item: how soon an answer is found. Irrelevant items of equal score come first.

    Args:
      scores: finite, `(..., items)`.
      relevant: bools, or 0 and 1, of the same shape.
      mask: bools of the shape of `scores`, which items there are; None means all.
      where, weights: of the leading shape of lists, `(...)`, as in every loss, see `jdl.losses`.
      reduction: as in every loss.

    Returns:
      A scalar, or for `"none"` one number for each list; 0 for a list in which nothing is relevant.

    Raises:
      ValueError: if shapes don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.mean_reciprocal_rank(jnp.array([3.0, 2.0, 1.0]), jnp.array([0, 1, 1])).item()
      0.5
    """
    scores, relevant = _lists("mean_reciprocal_rank", scores, relevant, mask)
    found = relevant != 0
    best = jnp.max(scores, -1, keepdims=True, where=found, initial=-jnp.inf)
    rank = 1 + (~found & (scores >= best)).sum(-1)
    return reduce("mean_reciprocal_rank", jnp.where(found.any(-1), 1 / rank, 0), where, weights, reduction)


def average_precision_at_k(
    scores: jax.Array,
    relevant: jax.Array,
    *,
    k: int | None = None,
    mask: jax.Array | None = None,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Mean of the precision at the ranks of relevant items, up to rank `k`; averaged over lists, it is known as MAP@k.

    Of a list with R relevant items, `sum_(i <= k) precision_i relevant_i / min(R, k)`. Irrelevant items of equal score come first.

    Args:
      scores: finite, `(..., items)`.
      relevant: bools, or 0 and 1, of the same shape.
      k: only the first k ranks count; None counts all.
      mask: bools of the shape of `scores`, which items there are; None means all.
      where, weights: of the leading shape of lists, `(...)`, as in every loss, see `jdl.losses`.
      reduction: as in every loss.

    Returns:
      A scalar, or for `"none"` one number for each list, in [0, 1]; 0 for a list in which nothing is relevant.

    Raises:
      ValueError: if shapes don't fit, or `k` is no positive integer.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.average_precision_at_k(jnp.array([4.0, 3.0, 2.0, 1.0]), jnp.array([1, 0, 0, 1]), k=2).item()
      0.5
    """
    scores, relevant = _lists("average_precision_at_k", scores, relevant, mask, k)
    found = (relevant != 0).astype(scores.dtype)
    size = scores.shape[-1] if k is None else k
    hits = jax.lax.sort((-scores, found), num_keys=2)[1]
    rank = jnp.arange(1, hits.shape[-1] + 1)
    precision = jnp.cumsum(hits, -1) / jnp.broadcast_to(rank, hits.shape)
    summed = (precision * hits).sum(-1, where=jnp.broadcast_to(rank <= size, hits.shape))
    most = jnp.clip(found.sum(-1), 1, size)
    return reduce("average_precision_at_k", summed / most, where, weights, reduction)


def _lists(name: str, scores: jax.Array, relevance: Any, mask: Any, k: int | None = None) -> tuple[jax.Array, jax.Array]:
    """Scores and relevance in which items that are masked out are irrelevant and come last."""
    if k is not None:
        _check.positive(name, k=k)
    relevance = _check.array(relevance)
    _check.same_shape(name, scores=scores, relevance=relevance)
    scores = widen(scores)
    relevance = jnp.asarray(relevance, scores.dtype)
    if mask is None:
        return scores, relevance
    _check.same_shape(name, scores=scores, mask=mask)
    return jnp.where(mask, scores, -jnp.inf), jnp.where(mask, relevance, 0)
