"""Rules of early stopping, inside the program."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jdl.functional import _check


class Progress(NamedTuple):
    """How far early stopping has come.

    Attributes:
      best_score: the highest score, minus infinity before the first.
      best_params: the params that had it.
      waited: how many scores since have not been higher.
      stopped: whether patience is at its end; then nothing changes any more.
    """

    best_score: jax.Array
    best_params: Any
    waited: jax.Array
    stopped: jax.Array


class EarlyStopping(NamedTuple):
    """A rule of early stopping: a pair of pure functions.

    Attributes:
      init: `params -> progress`.
      update: `(progress, score, params) -> progress`, the higher the score the better.
    """

    init: Callable[[Any], Progress]
    update: Callable[[Progress, jax.Array, Any], Progress]


def patience(scores: int | jax.Array, *, min_delta: float | jax.Array = 0.0) -> EarlyStopping:
    """Makes the rule of early stopping that waits for so many scores in a row that are no better; `train.stop_early` goes by it.

    It keeps the best params. Being values in and values out, it works in `lax.scan`, where a stopped run's params just count no
    more, as the condition of `lax.while_loop`, and under `vmap`, where each member stops by itself. A NaN is no better than
    anything.

    Args:
      scores: how many in a row may be no better, at least 1; may be traced.
      min_delta: a score is better if it is higher than the best by more than this, at least 0; may be traced.

    Returns:
      An EarlyStopping, which takes scores, the higher the better: for a loss, minus it.

    Raises:
      ValueError: if a number is out of range.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import train
      >>> stopping = train.patience(2)
      >>> def one(progress, given):
      ...     return stopping.update(progress, *given), None
      >>> scores, params = jnp.array([1.0, 2.0, 1.5, 2.0, 3.0]), jnp.arange(5)
      >>> progress, _ = jax.lax.scan(one, stopping.init(params[0]), (scores, params))
      >>> progress.stopped.item(), progress.best_score.item(), progress.best_params.item()
      (True, 2.0, 1)

    Source: Prechelt, "Early Stopping - But When?", https://doi.org/10.1007/3-540-49430-8_3.
    """
    _check.within("patience", 1, float("inf"), scores=scores)
    _check.within("patience", 0, float("inf"), min_delta=min_delta)

    def init(params: Any) -> Progress:
        params = jax.tree.map(jnp.asarray, params)
        return Progress(jnp.full((), -jnp.inf), params, jnp.zeros((), jnp.int32), jnp.zeros((), bool))

    def update(progress: Progress, score: jax.Array, params: Any) -> Progress:
        better = (score > progress.best_score + min_delta) & ~progress.stopped
        waited = jnp.where(better, 0, progress.waited + ~progress.stopped)
        keep = lambda new, old: jnp.where(better, new, old).astype(old.dtype)
        best = keep(score, progress.best_score), jax.tree.map(keep, params, progress.best_params)
        return Progress(*best, waited, progress.stopped | (waited >= scores))

    return EarlyStopping(init, update)
