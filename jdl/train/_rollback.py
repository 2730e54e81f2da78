"""Back to where all was well."""

from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.train._state import TrainState, remembering
from jdl.train._step import Step

_GOES_ON = {"scale_loss"}  # a scale that comes back would overflow again, and be halved for nothing


def rollback(step: Step, *, after: int | jax.Array = 3, every: int | jax.Array = 100) -> Step:
    """Makes a step that goes back to a snapshot when several in a row were skipped.

    A snapshot is taken after every `every` good steps, and put in use when the next one is taken: so what comes back is at least
    `every` good steps old, or the beginning, and not what was about to go wrong. Params, state, optimizer and averages come back,
    and what other steps remember, but for the scale of `scale_loss`. The data do not: epoch, position and the number of steps go
    on, so that the run sees new batches, not those again that led here, and no key of a step that was taken. As long as nothing is
    skipped, nothing changes.

    What goes by the optimizer's count, such as a schedule of the learning rate, so goes back, and from then on lags behind what
    goes by the number of steps, such as a schedule in the objective.

    Two snapshots take three times the memory of what comes back.

    Args:
      step: a Step with a metric `skipped`, such as `train.skip_nonfinite(step)` or `train.skip_spikes(step, 10.0)`.
      after: skipped steps in a row, at least 1; may be traced.
      every: good steps from one snapshot to the next, at least 1; may be traced.

    Returns:
      A Step with one more metric, `rolled_back`, 1 or 0; its train state has `memory["rollback"]`.

    Raises:
      ValueError: if a number is out of range; at the first step, if there is no metric `skipped`.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> step = train.skip_nonfinite(train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.sgd(0.1)))
      >>> step = train.rollback(step, after=2, every=10)
      >>> batches = jnp.ones((6, 8, 3)), jnp.ones((6, 8, 1)).at[3:5].set(jnp.nan)
      >>> first = step.init(jax.random.key(0), (batches[0][0], batches[1][0]))
      >>> jax.lax.scan(step.update, first, batches)[1]["rolled_back"].tolist()
      [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    """
    _check.within("rollback", 1, float("inf"), after=after, every=every)

    def init(key: jax.Array, batch: Any) -> TrainState:
        train_state, none = step.init(key, batch), jnp.zeros((), jnp.int32)
        kept = _restorable(train_state, train_state.averages, train_state.memory.keys() - _GOES_ON)
        return remembering("rollback", train_state, {"older": kept, "newer": kept, "good": none, "skipped": none})

    def update(train_state: TrainState, batch: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        memory = train_state.memory["rollback"]
        new, metrics = step.update(train_state, batch)
        if "skipped" not in metrics:
            raise ValueError("rollback: the step has no metric 'skipped'; wrap it in skip_nonfinite or skip_spikes first")
        good = metrics["skipped"] == 0
        skipped = jnp.where(good, 0, memory["skipped"] + 1)
        back, due = skipped >= after, good & (memory["good"] + 1 >= every)
        index = jnp.where(back, 2, due.astype(jnp.int32))
        now = _restorable(new, memory["older"]["averages"], memory["older"]["memory"])
        now, older, newer = jax.lax.switch(index, (_keep, _shift, _restore), now, memory["older"], memory["newer"])
        counts = {"good": jnp.where(due | back, 0, memory["good"] + good), "skipped": jnp.where(back, 0, skipped)}
        memory = {"older": older, "newer": newer} | counts
        outer = {"averages": new.averages | now["averages"], "memory": new.memory | now["memory"] | {"rollback": memory}}
        return new.replace(**now | outer), metrics | {"rolled_back": back.astype(jnp.float32)}

    return Step(init, update)


def _keep(now: Any, older: Any, newer: Any) -> tuple[Any, Any, Any]:
    return now, older, newer


def _shift(now: Any, older: Any, newer: Any) -> tuple[Any, Any, Any]:
    return now, newer, now


def _restore(now: Any, older: Any, newer: Any) -> tuple[Any, Any, Any]:
    return older, older, older


def _restorable(train_state: TrainState, averages: Iterable[str], memory: Iterable[str]) -> dict[str, Any]:
    """What comes back: all but the key, the counts of steps and data, hyperparameters, and what is kept around the step."""
    parts = {name: getattr(train_state, name) for name in ("params", "state", "optimizer_state")}
    parts["averages"] = {name: train_state.averages[name] for name in averages}
    return parts | {"memory": {name: train_state.memory[name] for name in memory}}
