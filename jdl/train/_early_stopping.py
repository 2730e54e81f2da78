"""Early stopping inside the program."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jdl.functional import _check


class Progress(NamedTuple):
    """How far early stopping has come.

    Attributes:
      best_value: the lowest value, infinite before the first.
      best_params: the params that had it.
      waited: how many values since have not been lower.
      stopped: whether patience is at its end; then nothing changes any more.
    """

    best_value: jax.Array
    best_params: Any
    waited: jax.Array
    stopped: jax.Array


class EarlyStopping(NamedTuple):
    """A pair of pure functions.

    Attributes:
      init: `params -> progress`.
      update: `(progress, value, params) -> progress`.
    """

    init: Callable[[Any], Progress]
    update: Callable[[Progress, jax.Array, Any], Progress]


def early_stopping(patience: int | jax.Array, *, min_delta: float | jax.Array = 0.0) -> EarlyStopping:
    """Makes early stopping as a state that is carried: it stops after `patience` values without a better one.

    It keeps the best params. Being values in and values out, it works in `lax.scan`, where a stopped run's params just count no
    more, as the condition of `lax.while_loop`, and under `vmap`, where each member stops by itself. A NaN is no better than
    anything.

    Args:
      patience: values in a row that may be no better, at least 1; may be traced.
      min_delta: a value is better if it is lower than the best by more than this, at least 0; may be traced. What is to be high is
        given negative.

    Returns:
      An EarlyStopping.

    Raises:
      ValueError: if a number is out of range.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import train
      >>> stopping = train.early_stopping(patience=2)
      >>> def one(progress, given):
      ...     return stopping.update(progress, *given), None
      >>> values, params = jnp.array([3.0, 2.0, 2.5, 2.0, 1.0]), jnp.arange(5)
      >>> progress, _ = jax.lax.scan(one, stopping.init(params[0]), (values, params))
      >>> progress.stopped.item(), progress.best_value.item(), progress.best_params.item()
      (True, 2.0, 1)

    Source: Prechelt, "Early Stopping - But When?", https://doi.org/10.1007/3-540-49430-8_3.
    """
    _check.within("early_stopping", 1, float("inf"), patience=patience)
    _check.within("early_stopping", 0, float("inf"), min_delta=min_delta)

    def init(params: Any) -> Progress:
        params = jax.tree.map(jnp.asarray, params)
        return Progress(jnp.full((), jnp.inf), params, jnp.zeros((), jnp.int32), jnp.zeros((), bool))

    def update(progress: Progress, value: jax.Array, params: Any) -> Progress:
        better = (value < progress.best_value - min_delta) & ~progress.stopped
        waited = jnp.where(better, 0, progress.waited + ~progress.stopped)
        keep = lambda new, old: jnp.where(better, new, old).astype(old.dtype)
        best = keep(value, progress.best_value), jax.tree.map(keep, params, progress.best_params)
        return Progress(*best, waited, progress.stopped | (waited >= patience))

    return EarlyStopping(init, update)
