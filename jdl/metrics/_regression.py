"""How well numbers predict numbers."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import divisor, widen
from jdl.metrics import _moments, _sums
from jdl.metrics._metric import Metric
from jdl.metrics._ties import before_and_through


def r2_score(
    predictions: jax.Array, targets: jax.Array, *, where: jax.Array | None = None, weights: jax.Array | None = None
) -> jax.Array:
    """Coefficient of determination: `1 - sum (t - p)^2 / sum (t - mean t)^2`, the share of variance that is explained.

    Args:
      predictions: of any shape; every entry is a sample. For several outputs map over them with `jax.vmap`.
      targets: of the same shape.
      where, weights: of the leading shape, as in every loss, see `jdl.losses`.

    Returns:
      A scalar, at most 1. If all targets are equal, 1 where predictions are right and 0 otherwise; NaN if there are no samples.

    Raises:
      ValueError: if shapes don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.r2_score(jnp.array([1.0, 2.0, 4.0]), jnp.array([1.0, 2.0, 3.0])).item()
      0.5
    """
    return _once(streaming_r2_score(), predictions, targets, where, weights)


def streaming_r2_score() -> Metric:
    """Makes a Metric of `r2_score`.

    Returns:
      A Metric. Its state is the weight, means and co-moments of residuals and targets. It is no sum: states are merged by `merge`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metric = metrics.streaming_r2_score()
      >>> state = metric.update(metric.init(), jnp.array([1.0, 2.0]), jnp.array([1.0, 2.0]))
      >>> metric.compute(metric.update(state, jnp.array([4.0]), jnp.array([3.0]))).item()
      0.5
    """

    def update(state, predictions, targets, *, where=None, weights=None):
        predictions, targets, share = _pair("r2_score", predictions, targets, where, weights)
        return _moments.merge(state, _moments.of(predictions - targets, targets, share))

    def compute(state):
        weight, (bias, _) = _sums.value(state["weight"]), _sums.value(state["mean"])
        variance, _, total = _sums.value(state["moments"])
        rest = variance + weight * jnp.square(bias)
        constant = jnp.where(rest == 0, 1.0, 0.0)
        score = jnp.where(total == 0, constant, 1 - rest / divisor(total))
        return jnp.where(weight == 0, jnp.nan, score)

    return Metric(_moments.zero, update, _moments.merge, compute)


def pearson_correlation(
    predictions: jax.Array, targets: jax.Array, *, where: jax.Array | None = None, weights: jax.Array | None = None
) -> jax.Array:
    """Pearson's correlation coefficient: covariance over the product of standard deviations.

    Args:
      predictions: of any shape; every entry is a sample.
      targets: of the same shape.
      where, weights: of the leading shape, as in every loss, see `jdl.losses`.

    Returns:
      A scalar in [-1, 1]; NaN if predictions or targets are constant.

    Raises:
      ValueError: if shapes don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.pearson_correlation(jnp.array([1.0, 2.0, 3.0]), jnp.array([3.0, 5.0, 7.0])).round(4).item()
      1.0
    """
    return _once(streaming_pearson_correlation(), predictions, targets, where, weights)


def streaming_pearson_correlation() -> Metric:
    """Makes a Metric of `pearson_correlation`.

    Returns:
      A Metric. Its state is weight, means and co-moments of predictions and targets. It is no sum: states are merged by `merge`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metric = metrics.streaming_pearson_correlation()
      >>> state = metric.update(metric.init(), jnp.array([1.0, 2.0]), jnp.array([3.0, 5.0]))
      >>> metric.compute(metric.update(state, jnp.array([3.0]), jnp.array([7.0]))).round(4).item()
      1.0
    """

    def update(state, predictions, targets, *, where=None, weights=None):
        predictions, targets, share = _pair("pearson_correlation", predictions, targets, where, weights)
        return _moments.merge(state, _moments.of(predictions, targets, share))

    return Metric(_moments.zero, update, _moments.merge, _correlation)


def spearman_correlation(
    predictions: jax.Array, targets: jax.Array, *, where: jax.Array | None = None, weights: jax.Array | None = None
) -> jax.Array:
    """Spearman's rank correlation: Pearson's of the ranks, where equals share the average of theirs.

    It takes all samples at once; for a stream, `metrics.collect(metrics.spearman_correlation, capacity=...)`.

    Args:
      predictions: of any shape; every entry is a sample.
      targets: of the same shape.
      where, weights: of the leading shape, as in every loss, see `jdl.losses`.

    Returns:
      A scalar in [-1, 1]; NaN if predictions or targets are constant, or one of them is NaN.

    Raises:
      ValueError: if shapes don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.spearman_correlation(jnp.array([1.0, 2.0, 3.0]), jnp.array([1.0, 10.0, 100.0])).round(4).item()
      1.0
    """
    predictions, targets, share = _pair("spearman_correlation", predictions, targets, where, weights)
    first, second = (_ranks(jnp.where(share == 0, 0, x).ravel(), share.ravel()) for x in (predictions, targets))
    return _correlation(_moments.of(first, second, share))


def _pair(name: str, predictions: jax.Array, targets: Any, where: Any, weights: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
    targets = _check.array(targets)
    _check.same_shape(name, predictions=predictions, targets=targets)
    predictions = widen(predictions)
    return predictions, jnp.asarray(targets, predictions.dtype), _sums.shares(name, predictions.shape, where, weights)


def _once(metric: Metric, predictions: Any, targets: Any, where: Any, weights: Any) -> jax.Array:
    return metric.compute(metric.update(metric.init(), predictions, targets, where=where, weights=weights))


def _correlation(state: dict[str, _sums.Sum]) -> jax.Array:
    xx, xy, yy = _sums.value(state["moments"])
    return jnp.clip(xy / (jnp.sqrt(xx) * jnp.sqrt(yy)), -1, 1)


def _ranks(values: jax.Array, share: jax.Array) -> jax.Array:
    """Average ranks (up to a constant), in which an entry that counts twice takes two places; NaN where a value is."""
    order = jnp.argsort(values)
    below, through = before_and_through(values[order], share[order])
    ranks = jnp.zeros(values.shape, float).at[order].set((below + through) / 2)
    return jnp.where(jnp.isnan(values), jnp.nan, ranks)
