"""Losses of rankings: scores of the items of a list, of which some are more relevant than others."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._ratio import ratio
from jdl.functional._reduce import Reduction, reduce
from jdl.losses._parts import blank, counted


def ranking_softmax_loss(
    scores: jax.Array,
    relevances: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Cross-entropy of the softmax over a list: `-sum_i y_i log softmax(scores)_i`.

    With relevances that sum to 1 it is that of ListNet. They are not normalised: a list with more relevant items weighs more.

    Args:
      scores: `(..., items)`, floating point.
      relevances: of the same shape, at least 0.
      where: bools of the leading shape of `scores`: which items count, since lists are padded. A list without any is left out.
      weights, reduction: as in every loss, see `jdl.losses`; weights are for lists.

    Returns:
      A scalar, or for `"none"` one number for each list; of float32 at least.

    Raises:
      ValueError: if shapes don't fit, or a relevance is negative where the host can see it.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.ranking_softmax_loss(jnp.array([[9.0, 0.0, 0.0]]), jnp.array([[1, 0, 0]])).round(4).item()
      0.00019999999494757503

    Source: Cao et al., "Learning to Rank: From Pairwise Approach to Listwise Approach", https://doi.org/10.1145/1273496.1273513.
    """
    scores, relevances, counts, some = _lists("ranking_softmax_loss", scores, relevances, where)
    total = jax.nn.logsumexp(_last(scores, counts), -1, keepdims=True)
    values = (relevances * jnp.where(counts, total - scores, 0)).sum(-1)
    return reduce("ranking_softmax_loss", values, some, weights, reduction)


def pairwise_logistic(
    scores: jax.Array,
    relevances: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """RankNet: the mean of `log(1 + exp(s_j - s_i))` over pairs of items of a list of which `i` is more relevant than `j`.

    Args:
      scores: `(..., items)`, floating point; time and memory grow with the square of the number of items.
      relevances: of the same shape; only their order counts. A list of equally relevant items costs 0.
      where: bools of the leading shape of `scores`: which items count, since lists are padded. A list without any is left out.
      weights, reduction: as in every loss, see `jdl.losses`; weights are for lists.

    Returns:
      A scalar, or for `"none"` one number for each list; of float32 at least.

    Raises:
      ValueError: if shapes don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.pairwise_logistic(jnp.array([[0.0, 100.0, 0.0]]), jnp.array([[0, 2, 0]])).item()
      0.0

    Source: Burges et al., "Learning to Rank using Gradient Descent", https://doi.org/10.1145/1102351.1102363.
    """
    scores, relevances, counts, some = _lists("pairwise_logistic", scores, relevances, where, signed=True)
    better = _better(relevances, counts)
    total = jnp.where(better, jax.nn.softplus(-_differences(scores)), 0).sum((-2, -1))
    return reduce("pairwise_logistic", total / jnp.maximum(better.sum((-2, -1)), 1), some, weights, reduction)


def lambda_rank(
    scores: jax.Array,
    relevances: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """LambdaRank: a sum like that of `pairwise_logistic`, in which each pair weighs what NDCG would change by if it were swapped.

    The weights `|gain_i - gain_j| |discount_i - discount_j| / ideal` are taken as constants by gradients. Gains are `2^y - 1`, the
    discount of the item of rank r, from 1, is `1 / log2(1 + r)`.

    Args:
      scores: `(..., items)`, floating point; time and memory grow with the square of the number of items.
      relevances: of the same shape, at least 0: grades such as 0 to 4. A list without a relevant item costs 0.
      where: bools of the leading shape of `scores`: which items count, since lists are padded. A list without any is left out.
      weights, reduction: as in every loss, see `jdl.losses`; weights are for lists.

    Returns:
      A scalar, or for `"none"` one number for each list; of float32 at least.

    Raises:
      ValueError: if shapes don't fit, or a relevance is negative where the host can see it.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import losses
      >>> jax.jit(losses.lambda_rank)(jnp.array([[0.0, 100.0, 0.0]]), jnp.array([[0, 2, 0]])).item()
      0.0

    Source: Burges, "From RankNet to LambdaRank to LambdaMART: An Overview",
    https://www.microsoft.com/en-us/research/publication/from-ranknet-to-lambdarank-to-lambdamart-an-overview/.
    """
    scores, relevances, counts, some = _lists("lambda_rank", scores, relevances, where)
    gains, ideal = _gains(relevances)
    ranks = 1 + jnp.argsort(jnp.argsort(_last(scores, counts), descending=True)).astype(scores.dtype)
    swap = jnp.abs(_differences(gains) * _differences(1 / jnp.log2(1 + ranks)))
    costs = jnp.where(_better(relevances, counts), swap * jax.nn.softplus(-_differences(scores)), 0)
    return reduce("lambda_rank", ratio(costs.sum((-2, -1)), ideal, 0.0), some, weights, reduction)


def list_mle(
    scores: jax.Array,
    relevances: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """ListMLE: minus the log-probability of the order by relevance, if items are drawn one by one by the softmax of those left.

    Args:
      scores: `(..., items)`, floating point.
      relevances: of the same shape; only their order counts, and of equally relevant items the first comes first.
      where: bools of the leading shape of `scores`: which items count, since lists are padded. A list without any is left out.
      weights, reduction: as in every loss, see `jdl.losses`; weights are for lists.

    Returns:
      A scalar, or for `"none"` one number for each list, a sum over its items; of float32 at least.

    Raises:
      ValueError: if shapes don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.list_mle(jnp.zeros((1, 3)), jnp.array([[0, 2, 1]])).item() == jnp.log(6.0).item()
      True

    Source: Xia et al., "Listwise Approach to Learning to Rank: Theory and Algorithm", https://doi.org/10.1145/1390156.1390306.
    """
    scores, relevances, counts, some = _lists("list_mle", scores, relevances, where, signed=True)
    order = jnp.argsort(_last(relevances, counts), descending=True)
    scores, counts = (jnp.take_along_axis(x, order, -1) for x in (scores, counts))
    left = jax.lax.cumlogsumexp(_last(scores, counts), scores.ndim - 1, reverse=True)
    return reduce("list_mle", jnp.where(counts, left - scores, 0).sum(-1), some, weights, reduction)


def approx_ndcg_loss(
    scores: jax.Array,
    relevances: jax.Array,
    *,
    temperature: float | jax.Array = 0.1,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """One minus NDCG with smooth ranks `r_i = 1 + sum_j sigmoid((s_j - s_i) / temperature)`, over the other items.

    `NDCG = sum_i gain_i / log2(1 + r_i) / ideal`, with gains `2^y - 1` and the largest sum that an order can have.

    Args:
      scores: `(..., items)`, floating point; time and memory grow with the square of the number of items.
      relevances: of the same shape, at least 0: grades such as 0 to 4. A list without a relevant item costs 0.
      temperature: over 0; ranks are exact in the limit of 0. May be traced.
      where: bools of the leading shape of `scores`: which items count, since lists are padded. A list without any is left out.
      weights, reduction: as in every loss, see `jdl.losses`; weights are for lists.

    Returns:
      A scalar, or for `"none"` one number for each list; of float32 at least.

    Raises:
      ValueError: if shapes don't fit, or a value is out of range where the host can see it.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import losses
      >>> jax.jit(losses.approx_ndcg_loss)(jnp.array([[0.0, 100.0, 50.0]]), jnp.array([[0, 2, 1]])).item()
      0.0

    Source: Qin et al., "A general approximation framework for direct optimization of information retrieval measures",
    https://doi.org/10.1007/s10791-009-9124-x.
    """
    _check.above_zero("approx_ndcg_loss", temperature=temperature)
    scores, relevances, counts, some = _lists("approx_ndcg_loss", scores, relevances, where)
    gains, ideal = _gains(relevances)
    above = jnp.where(jnp.expand_dims(counts, -2), jax.nn.sigmoid(-_differences(scores) / temperature), 0).sum(-1)
    ranks = above + 0.5  # of itself an item counts half
    return reduce("approx_ndcg_loss", 1 - ratio((gains / jnp.log2(1 + ranks)).sum(-1), ideal, 1.0), some, weights, reduction)


def _lists(name: str, scores: jax.Array, relevances: Any, where: Any, signed: bool = False) -> tuple[jax.Array, ...]:
    """Scores and relevances in float32 at least, 0 for items that don't count; which items count, and which lists have any."""
    if scores.ndim == 0:
        raise ValueError(f"{name}: scores must be (..., items), got {_check.describe(scores)}")
    relevances = _check.array(relevances)
    _check.same_shape(name, scores=scores, relevances=relevances)
    counts, some = counted(name, scores, where, scores.ndim - 1)
    if where is not None:
        relevances = blank(relevances, counts)
    if not signed:
        _check.report(name, "relevances must be at least 0", relevances, lambda relevances: ~(relevances >= 0))
    scores = blank(widen(scores), counts)
    return scores, blank(jnp.asarray(relevances, scores.dtype), counts), counts, some


def _last(x: jax.Array, counts: jax.Array) -> jax.Array:
    """`x` with the least of numbers for items that don't count: finite, so that a list of nothing else has a gradient."""
    return jnp.where(counts, x, jnp.finfo(x.dtype).min / 2)


def _differences(x: jax.Array) -> jax.Array:
    """`x_i - x_j` at `(..., i, j)`."""
    return jnp.expand_dims(x, -1) - jnp.expand_dims(x, -2)


def _better(relevances: jax.Array, counts: jax.Array) -> jax.Array:
    """Whether i is more relevant than j, and both count, at `(..., i, j)`."""
    return (_differences(relevances) > 0) & jnp.expand_dims(counts, -1) & jnp.expand_dims(counts, -2)


def _gains(relevances: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Gains of items, and the gain of the best order; both relative to the largest power of 2, which may be beyond all numbers."""
    most = relevances.max(-1, keepdims=True, initial=0)
    gains = jnp.exp2(relevances - most) - jnp.exp2(-most)
    ranks = jnp.arange(1, gains.shape[-1] + 1, dtype=gains.dtype)
    best = jnp.sort(gains, descending=True) / jnp.expand_dims(jnp.log2(1 + ranks), range(gains.ndim - 1))
    return gains, best.sum(-1)
