"""Error bars of any statistic, by drawing samples again."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jdl.functional import _check


class Bootstrap(NamedTuple):
    """A statistic with its bootstrap interval.

    Attributes:
      value: the statistic of all samples.
      error: its standard error, the standard deviation over resamples.
      low: lower end of the confidence interval.
      high: its upper end.
    """

    value: jax.Array
    error: jax.Array
    low: jax.Array
    high: jax.Array


def bootstrap_interval(
    key: jax.Array,
    statistic: Callable[..., jax.Array],
    *samples: Any,
    resamples: int = 1000,
    confidence: float | jax.Array = 0.95,
) -> Bootstrap:
    """The percentile bootstrap: a statistic's quantiles over resamples of the samples, drawn with replacement.

    It takes any statistic, such as `metrics.roc_auc` of a test set. Of few samples (seeds, say) it is too narrow: use `interval`.

    Args:
      key: a typed key.
      statistic: from as many arguments as there are `samples` to an array; it is mapped over resamples.
      *samples: arrays or trees of arrays with a first axis of samples, which are drawn together.
      resamples: how many.
      confidence: in [0, 1]; may be traced.

    Returns:
      A Bootstrap; fields have the shape of the statistic. Resamples for which it is NaN (one class only, say) make them NaN.

    Raises:
      ValueError: if samples are none or not equally many, or `resamples` is no positive integer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import metrics
      >>> scores, labels = jnp.arange(100.0), jnp.arange(100) % 7 > 2
      >>> found = metrics.bootstrap_interval(jax.random.key(0), metrics.roc_auc, scores, labels)
      >>> bool(found.low < found.value < found.high)
      True

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", https://doi.org/10.1201/9780429246593.
    """
    _check.positive("bootstrap_interval", resamples=resamples)
    _check.within("bootstrap_interval", 0, 1, confidence=confidence)
    samples = jax.tree.map(jnp.asarray, samples)
    sizes = {leaf.shape[0] if leaf.ndim else 0 for leaf in jax.tree.leaves(samples)}
    if len(sizes) != 1 or 0 in sizes:
        raise ValueError(f"bootstrap_interval: samples must have one first axis, not empty, got {_check.describe(samples)}")
    (size,) = sizes

    def once(key):
        drawn = jax.random.randint(key, (size,), 0, size)
        return statistic(*jax.tree.map(lambda leaf: leaf[drawn], samples))

    batch = max(1, 2**20 // size)  # so that the resamples at work at a time fit the memory
    values = jax.lax.map(once, jax.random.split(key, resamples), batch_size=min(batch, resamples))
    tail = (1 - jnp.asarray(confidence, float)) / 2
    low, high = jnp.quantile(values, jnp.stack([tail, 1 - tail]), axis=0)
    return Bootstrap(statistic(*samples), values.std(0), low, high)
