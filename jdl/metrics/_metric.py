"""A metric over a stream of batches is four pure functions; `mean` makes one of any loss, `together` one of several."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from jdl.metrics import _sums


class Metric(NamedTuple):
    """Four pure functions that measure a stream of batches: the result doesn't depend on how it is cut or merged.

    States are nested dicts of arrays, so they pass through `jit`, `scan` and `vmap` (population members). Where the state consists
    of sums (`mean`, `confusion`, `streaming_expected_calibration_error`), `jax.lax.psum` merges it over devices too, rounding once;
    all states are merged by `merge`, and stacked ones (of `vmap`, or `jax.lax.all_gather`) by `merge_all`.

    Attributes:
      init: `() -> state`.
      update: `(state, predictions, targets, *, where=None, weights=None) -> state`, with `where` and `weights` as in every loss.
      merge: `(state, state) -> state`.
      compute: `(state) -> value`, a scalar, or a dict of arrays.
    """

    init: Callable[[], Any]
    update: Callable[..., Any]
    merge: Callable[[Any, Any], Any]
    compute: Callable[[Any], Any]


def mean(function: Callable[..., jax.Array]) -> Metric:
    """Makes a Metric of a loss, or of a metric with the contract of losses: its exact mean over samples, of ragged batches too.

    Args:
      function: `(predictions, targets, *, where, weights, reduction)`; bind options with `functools.partial`.

    Returns:
      A Metric. Its state is the sum of values and that of weights (both are sums); the mean over nothing is 0.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses, metrics
      >>> metric = metrics.mean(losses.mean_squared_error)
      >>> state = metric.update(metric.init(), jnp.array([1.0, 2.0]), jnp.zeros(2))
      >>> state = metric.update(state, jnp.array([4.0]), jnp.zeros(1))
      >>> metric.compute(state).item()
      7.0
    """

    def init():
        return {"total": _sums.zero(), "weight": _sums.zero()}

    def update(state, predictions, targets, *, where=None, weights=None):
        values = function(predictions, targets, where=where, weights=weights, reduction="none")
        share = _sums.shares("mean", values.shape, where, weights)
        return {"total": _sums.add(state["total"], values.sum()), "weight": _sums.add(state["weight"], share.sum())}

    def compute(state):
        weight = _sums.value(state["weight"])
        return _sums.value(state["total"]) / (weight + (weight == 0))

    return Metric(init, update, merge_sums, compute)


def together(metrics: Mapping[str, Metric]) -> Metric:
    """Makes one Metric of several that take the same predictions and targets.

    Args:
      metrics: Metrics by name.

    Returns:
      A Metric whose state and value are dicts with an entry for each name.

    Raises:
      TypeError: if one of them is no Metric.

    Example:
      >>> import functools, jax.numpy as jnp
      >>> from jdl import metrics
      >>> top_2 = functools.partial(metrics.top_k_accuracy, k=2)
      >>> metric = metrics.together({"top_1": metrics.mean(metrics.accuracy), "top_2": metrics.mean(top_2)})
      >>> state = metric.update(metric.init(), jnp.array([[3.0, 2.0, 1.0], [3.0, 1.0, 2.0]]), jnp.array([1, 0]))
      >>> {name: value.item() for name, value in metric.compute(state).items()}
      {'top_1': 0.5, 'top_2': 1.0}
    """
    for name, metric in metrics.items():
        if not isinstance(metric, Metric):
            raise TypeError(f"together: {name} must be a Metric, such as metrics.mean(losses.cross_entropy), got {metric!r}")
    metrics = dict(metrics)

    def update(state, predictions, targets, *, where=None, weights=None):
        named = {"where": where, "weights": weights}
        return {name: metric.update(state[name], predictions, targets, **named) for name, metric in metrics.items()}

    return Metric(
        init=lambda: {name: metric.init() for name, metric in metrics.items()},
        update=update,
        merge=lambda a, b: {name: metric.merge(a[name], b[name]) for name, metric in metrics.items()},
        compute=lambda state: {name: metric.compute(state[name]) for name, metric in metrics.items()},
    )


def merge_all(metric: Metric, states: Any) -> Any:
    """Merges states that are stacked along a first axis: those of `vmap`, or of devices after `jax.lax.all_gather`.

    Args:
      metric: whose states they are.
      states: a tree of arrays with one more axis, in front, than a state.

    Returns:
      One state.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import losses, metrics
      >>> metric = metrics.mean(losses.mean_squared_error)
      >>> update = lambda predictions: metric.update(metric.init(), predictions, jnp.zeros(2))
      >>> states = jax.vmap(update)(jnp.array([[1.0, 1.0], [3.0, 3.0]]))
      >>> metric.compute(metrics.merge_all(metric, states)).item()
      5.0
    """
    return jax.lax.scan(lambda state, other: (metric.merge(state, other), None), metric.init(), states)[0]


def merge_sums(a: Any, b: Any) -> Any:
    """Merges two states that are dicts of sums."""
    return {name: _sums.merge(a[name], b[name]) for name in a}
