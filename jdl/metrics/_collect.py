"""A stream that is kept whole, for figures that need all samples at once."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.metrics import _room, _sums
from jdl.metrics._metric import Metric


def collect(function: Callable[..., jax.Array], *, capacity: int) -> Metric:
    """Makes a Metric of a function of all samples, such as `metrics.roc_auc`: it keeps them in arrays of a fixed size.

    Samples that don't count (`where` is False, or their weight is 0) take no room. More than there is room for are an error where
    the host sees it, and make the value NaN under `jit`.

    Args:
      function: `(predictions, targets, *, where, weights) -> value`; bind options with `functools.partial`.
      capacity: for how many samples there is room, in all states that are merged together.

    Returns:
      A Metric. Predictions and targets are one number for each sample, of one shape; its state keeps them as floats, with weights,
      and how many there are. It is no sum: states are merged by `merge`.

    Raises:
      ValueError: if `capacity` is no positive integer.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metric = metrics.collect(metrics.roc_auc, capacity=1000)
      >>> state = metric.update(metric.init(), jnp.array([0.1, 0.4]), jnp.array([0, 0]))
      >>> state = metric.update(state, jnp.array([0.35, 0.8]), jnp.array([1, 1]))
      >>> metric.compute(state).item()
      0.75
    """
    _check.positive("collect", capacity=capacity)

    def init():
        return _room.empty(capacity, predictions=(), targets=(), weights=())

    def update(state, predictions, targets, *, where=None, weights=None):
        targets = _check.array(targets)
        _check.same_shape("collect", predictions=predictions, targets=targets)
        share = _sums.shares("collect", predictions.shape, where, weights).ravel()
        samples = {"predictions": predictions.ravel(), "targets": jnp.ravel(targets), "weights": share}
        return _room.put("collect", state, samples, share != 0)

    def compute(state):
        value = function(state["predictions"], state["targets"], where=_room.there(state), weights=state["weights"])
        return jnp.where(state["count"] > capacity, jnp.nan, value)

    return Metric(init, update, functools.partial(_room.merge, "collect"), compute)
