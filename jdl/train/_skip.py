"""Steps that change nothing when they go wrong."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.train._state import TrainState, chosen, remembering
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
        return _skipped("skip_nonfinite", finite(new, train_state, metrics), new, train_state, metrics)

    return Step(step.init, update)


def skip_spikes(step: Step, factor: float | jax.Array, *, by: str = "loss", window: int = 64) -> Step:
    """Makes a step that leaves the train state as it was if a metric spikes, or anything is infinite or NaN.

    A value is a spike above `median + factor * deviation`, of the last values that were none. The deviation is 1.4826 times the
    median distance from the median, for normal numbers the standard deviation, and at least a thousandth of the median. Nothing is
    a spike until there are `window` values.

    A skipped step is not counted, and the run goes on as without that batch, as in `skip_nonfinite`. If the metric has risen for
    good, every step is skipped from then on: where a step has spoilt the params, `rollback` is the way out; where the data have
    changed, it is none, as the old values come back, too.

    Args:
      step: a Step.
      factor: how many deviations above the median are too many, above 0, such as 10; may be traced.
      by: the metric to look at: `"loss"`, or any other that the step has, such as that of `train.with_gradient_norm`.
      window: how many values are remembered.

    Returns:
      A Step with one more metric, `skipped`, 1 or 0; its train state has `memory["skip_spikes"]`.

    Raises:
      ValueError: if a number is out of range; at the first step, if there is no such metric, or one named `skipped`.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> step = train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.sgd(0.1))
      >>> step = train.skip_spikes(step, 10.0, window=4)
      >>> batches = jnp.ones((6, 8, 3)), jnp.ones((6, 8, 1)).at[4].set(1e6)
      >>> first = step.init(jax.random.key(0), (batches[0][0], batches[1][0]))
      >>> jax.lax.scan(step.update, first, batches)[1]["skipped"].tolist()
      [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    """
    _check.above_zero("skip_spikes", factor=factor)
    _check.positive("skip_spikes", window=window)

    def init(key: jax.Array, batch: Any) -> TrainState:
        memory = {"values": jnp.zeros(window), "count": jnp.zeros((), jnp.int32)}
        return remembering("skip_spikes", step.init(key, batch), memory)

    def update(train_state: TrainState, batch: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        new, metrics = step.update(train_state, batch)
        if by not in metrics:
            raise ValueError(f"skip_spikes: the step has no metric {by!r}, only {', '.join(metrics)}")
        memory = train_state.memory["skip_spikes"]
        values, count, value = memory["values"], memory["count"], metrics[by].astype(jnp.float32)
        median = jnp.median(values)
        deviation = jnp.maximum(1.4826 * jnp.median(abs(values - median)), 1e-3 * abs(median))
        limit = median + factor * deviation
        good = ((value <= limit) | (count < window)) & finite(new, train_state, metrics)
        memory = {"values": values.at[count % window].set(value), "count": count + 1}
        new = new.replace(memory=new.memory | {"skip_spikes": memory})
        return _skipped("skip_spikes", good, new, train_state, metrics)

    return Step(init, update)


def _skipped(name: str, good: jax.Array, new: TrainState, old: TrainState, metrics: dict) -> tuple[TrainState, dict]:
    if "skipped" in metrics:
        raise ValueError(f"{name}: the step has a metric named 'skipped' already")
    return chosen(good, new, old), metrics | {"skipped": 1.0 - good}


def finite(new: TrainState, old: TrainState, metrics: dict[str, jax.Array]) -> jax.Array:
    """Whether nothing became infinite or NaN."""
    return jnp.stack([stays_finite(a) for a in metrics.values()] + jax.tree.leaves(jax.tree.map(stays_finite, new, old))).all()


def stays_finite(new: jax.Array, old: jax.Array | None = None) -> jax.Array:
    """Whether no entry became infinite or NaN; one that was infinite may stay so."""
    if not jnp.issubdtype(new.dtype, jnp.inexact):
        return jnp.array(True)
    return jnp.isfinite(new).all() if old is None else (jnp.isfinite(new) | (new == old)).all()
