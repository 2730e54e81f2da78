"""Steps that change nothing when they go wrong."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.train._state import TrainState
from jdl.train._step import Step


def skip_nonfinite(step: Step) -> Step:
    """Makes a step that leaves the train state as it was if anything in it, or a metric, became infinite or NaN.

    The run is then, to the bit, the run without that batch: a skipped step is not counted, so that keys, schedules and averages
    don't see it. Wrap what keeps averages too: `skip_nonfinite(average(step, 0.999))`. A member of a population skips alone.

    Args:
      step: a Step.

    Returns:
      A Step with one more metric, `skipped`, 1 or 0. The other metrics are what they were, also NaN.

    Raises:
      ValueError: at the first step, if there is a metric of that name.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> step = train.skip_nonfinite(train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.sgd(0.1)))
      >>> batch = jnp.ones((4, 3)), jnp.full((4, 1), jnp.nan)
      >>> train_state, metrics = step.update(step.init(jax.random.key(0), batch), batch)
      >>> metrics["skipped"].item(), train_state.step.item()
      (1.0, 0)
    """

    def update(train_state: TrainState, batch: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        new, metrics = step.update(train_state, batch)
        if "skipped" in metrics:
            raise ValueError("skip_nonfinite: the step has a metric named 'skipped' already")
        fine = [_finite(a) for a in metrics.values()] + jax.tree.leaves(jax.tree.map(_finite, new, train_state))
        good = jnp.stack(fine).all()
        kept = jax.tree.map(lambda new, old: new if _check.is_key(new) else jnp.where(good, new, old), new, train_state)
        return kept, metrics | {"skipped": 1.0 - good}

    return Step(step.init, update)


def _finite(new: jax.Array, old: jax.Array | None = None) -> jax.Array:
    """Whether no entry became infinite or NaN; one that was infinite may stay so."""
    if not jnp.issubdtype(new.dtype, jnp.inexact):
        return jnp.array(True)
    return jnp.isfinite(new).all() if old is None else (jnp.isfinite(new) | (new == old)).all()
