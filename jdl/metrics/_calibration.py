"""Whether probabilities mean what they say."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._reduce import Reduction, reduce
from jdl.metrics import _sums
from jdl.metrics._metric import Metric, merge_sums


def brier_score(
    probabilities: jax.Array,
    labels: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Squared error of the probabilities of classes, in [0, 2]: `sum_c (p_c - [c = label])^2`.

    For the probability of a single event, in [0, 1], that is `losses.mean_squared_error`.

    Args:
      probabilities: with classes along `axis`.
      labels: integers in 0..classes-1, of the shape of `probabilities` without `axis`. Those out of range are an error where the
        host sees them, and match no class under jit.
      axis: the axis of classes.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if labels are not integers.
      ValueError: if shapes don't fit or a label is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.brier_score(jnp.array([[0.5, 0.5, 0.0]]), jnp.array([0])).item()
      0.5

    Source: Brier, "Verification of Forecasts Expressed in Terms of Probability",
      https://doi.org/10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    """
    probabilities = widen(jnp.moveaxis(probabilities, axis, -1))
    labels = _labels("brier_score", probabilities, labels)
    hits = jax.nn.one_hot(labels, probabilities.shape[-1], dtype=probabilities.dtype)
    return reduce("brier_score", jnp.square(probabilities - hits).sum(-1), where, weights, reduction)


def expected_calibration_error(
    probabilities: jax.Array,
    labels: jax.Array,
    *,
    bins: int = 15,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
) -> jax.Array:
    """How far confidence is from accuracy, over bins of confidence: `sum_b share_b |accuracy_b - confidence_b|`.

    Confidence is the largest probability of a sample. Of `bins` bins of equal width, bin b holds ((b - 1) / bins, b / bins].

    Args:
      probabilities: `(..., classes)`.
      labels: integers in 0..classes-1, of the leading shape.
      bins: how many.
      where, weights: of the leading shape, as in every loss, see `jdl.losses`.

    Returns:
      A scalar in [0, 1]; 0 if there are no samples.

    Raises:
      TypeError: if labels are not integers.
      ValueError: if shapes don't fit, a label is out of range where the host sees it, or `bins` is no positive integer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import metrics
      >>> jax.jit(metrics.expected_calibration_error)(jnp.array([[0.75, 0.25], [0.25, 0.75]]), jnp.array([0, 0])).item()
      0.25

    Source: Guo et al., "On Calibration of Modern Neural Networks", https://arxiv.org/abs/1706.04599.
    """
    metric = streaming_expected_calibration_error(bins=bins)
    return metric.compute(metric.update(metric.init(), probabilities, labels, where=where, weights=weights))


def streaming_expected_calibration_error(*, bins: int = 15) -> Metric:
    """Makes a Metric of `expected_calibration_error`.

    Args:
      bins: how many.

    Returns:
      A Metric. Its state is, for each bin, the sum of weights, of confidence and of hits: what a diagram of reliability shows.

    Raises:
      ValueError: if `bins` is no positive integer.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metric = metrics.streaming_expected_calibration_error(bins=10)
      >>> state = metric.update(metric.init(), jnp.array([[0.75, 0.25]]), jnp.array([0]))
      >>> state = metric.update(state, jnp.array([[0.25, 0.75]]), jnp.array([0]))
      >>> metric.compute(state).item()
      0.25
    """
    name = "expected_calibration_error"
    _check.positive(name, bins=bins)

    def update(state, probabilities, labels, *, where=None, weights=None):
        labels = _labels(name, probabilities, labels)
        share = _sums.shares(name, probabilities.shape[:-1], where, weights)
        confidence = jnp.where(share == 0, 0, widen(probabilities).max(-1))
        hits = probabilities.argmax(-1) == labels
        index = jnp.clip(jnp.ceil(confidence * bins).astype(jnp.int32) - 1, 0, bins - 1)
        batch = {"weight": share, "confidence": share * confidence, "hits": share * hits}
        sums = {key: jnp.zeros(bins, amount.dtype).at[index].add(amount) for key, amount in batch.items()}
        return {key: _sums.add(state[key], amount) for key, amount in sums.items()}

    def compute(state):
        gaps = jnp.abs(_sums.difference(state["hits"], state["confidence"])).sum()
        weight = _sums.value(state["weight"]).sum()
        return gaps / (weight + (weight == 0))

    init = lambda: {key: _sums.zero((bins,)) for key in ("weight", "confidence", "hits")}
    return Metric(init, update, merge_sums, compute)


def _labels(name: str, probabilities: jax.Array, labels: jax.Array) -> jax.Array:
    """Labels as an array, if they fit probabilities with classes along the last axis."""
    labels = _check.array(labels)
    if labels.shape != probabilities.shape[:-1]:
        takes = f"must have shape {list(probabilities.shape[:-1])}, got {_check.describe(labels)}"
        raise ValueError(f"{name}: labels {takes}, probabilities are {_check.describe(probabilities)}")
    _check.indices(name, "labels", labels, probabilities.shape[-1])
    return labels
