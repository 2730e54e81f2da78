"""Averages of params over a run, kept beside it."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import divisor, widen
from jdl.train._state import TrainState, remembering
from jdl.train._step import Step


def average(step: Step, decay: float | jax.Array, *, debias: bool = False) -> Step:
    """Makes a step that also keeps an exponential moving average of params: `a = decay a + (1 - decay) params`, after each step.

    The run itself is unchanged; `averaged` puts the average in place of params, for evaluation.

    Args:
      step: a Step.
      decay: in [0, 1], usually 0.99 to 0.9999; may be traced.
      debias: whether the average is over the steps taken alone, by dividing by the sum of their weights, as Adam does. Without, it
        starts from the first params.

    Returns:
      A Step, whose train state has `averages["average"]`, of float32 at least.

    Raises:
      ValueError: if `decay` is out of range; at init, if the train state has such an average already.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> step = train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.sgd(0.1))
      >>> step = train.average(step, decay=0.99)
      >>> batch = jnp.ones((4, 3)), jnp.zeros((4, 1))
      >>> train_state, metrics = step.update(step.init(jax.random.key(0), batch), batch)
      >>> averaged = train.averaged(train_state)

    Source: Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", https://doi.org/10.1137/0330046.
    """
    _check.within("average", 0, 1, decay=decay)

    def init(train_state: TrainState) -> dict[str, Any]:
        return {"params": wide(train_state.params), "weight": jnp.zeros(()) if debias else jnp.ones(())}

    def update(average: dict[str, Any], train_state: TrainState, counted: jax.Array) -> dict[str, Any]:
        new = jnp.where(counted, 1 - decay, 0)
        weight = (1 - new) * average["weight"] + new if debias else average["weight"]
        weight = jnp.asarray(weight, average["weight"].dtype)
        share = new / divisor(weight)  # a decay of 1 gives no step any weight
        return {"params": towards(average["params"], train_state.params, share), "weight": weight}

    return keeping("average", step, init, update)


def stochastic_weight_average(step: Step, *, start: int | jax.Array, every: int | jax.Array = 1) -> Step:
    """Makes a step that also keeps the mean of the params at steps `start`, `start + every`, ... (SWA).

    It wants a learning rate that stays high, or a cyclic one averaged where it is lowest. The run itself is unchanged; `averaged`
    puts the average in place of params. Batch norms' statistics are then of other params, and have to be recomputed:

        averaged = train.averaged(train_state)
        averaged = averaged.replace(state=layers.recompute_statistics(model, averaged.params, averaged.state, batches))

    Args:
      step: a Step.
      start: the first step, counted from 1, whose params are averaged; may be traced. Before it, the average is the params.
      every: steps from one average to the next, at least 1; may be traced.

    Returns:
      A Step, whose train state has `averages["stochastic_weight_average"]`, of float32 at least.

    Raises:
      ValueError: if `start` or `every` is less than 1; at init, if the train state has such an average already.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> step = train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.sgd(0.1))
      >>> run = train.run(train.stochastic_weight_average(step, start=10, every=5), batch_size=4)
      >>> data = jnp.ones((8, 3)), jnp.zeros((8, 1))
      >>> train_state, metrics = run.advance(run.init(jax.random.key(0), data), data, 20)
      >>> train_state.averages["stochastic_weight_average"]["count"].item()
      3

    Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", https://arxiv.org/abs/1803.05407.
    """
    _check.within("stochastic_weight_average", 1, float("inf"), start=start, every=every)

    def init(train_state: TrainState) -> dict[str, Any]:
        return {"params": wide(train_state.params), "count": jnp.zeros((), jnp.int32)}

    def update(average: dict[str, Any], train_state: TrainState, counted: jax.Array) -> dict[str, Any]:
        taken = counted & visited(train_state.step, start, every)
        count = average["count"] + taken
        share = jnp.where(taken | (count == 0), 1 / jnp.maximum(count, 1), 0)
        return {"params": towards(average["params"], train_state.params, share), "count": count}

    return keeping("stochastic_weight_average", step, init, update)


def averaged(train_state: TrainState, name: str | None = None) -> TrainState:
    """Puts averaged params in place of a train state's params, to be evaluated; all else stays.

    Args:
      train_state: of a step that keeps an average. Members' train states in one are fine.
      name: which average: `"average"`, `"stochastic_weight_average"` or `"swag"`; not needed if there is only one.

    Returns:
      A train state; params have the dtypes they had.

    Raises:
      ValueError: if there is no such average, or there are several and no name.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> objective, data = train.objective(L.dense(1), losses.mean_squared_error), (jnp.ones((8, 3)), jnp.zeros((8, 1)))
      >>> run = train.run(train.average(train.step(objective, optax.sgd(0.1)), decay=0.9), batch_size=4)
      >>> train_state, metrics = run.advance(run.init(jax.random.key(0), data), data, 20)
      >>> measured = train.evaluate(objective, data)(train.averaged(train_state))
    """
    names = sorted(train_state.averages)
    if name is None and len(names) == 1:
        name = names[0]
    if name not in names:
        raise ValueError(f"averaged: the train state keeps {names}, asked for is {name!r}; which is it to be?")
    params = train_state.averages[name]["params"]
    return train_state.replace(params=jax.tree.map(lambda mean, like: mean.astype(like.dtype), params, train_state.params))


def keeping(name: str, step: Step, init: Any, update: Any, where: str = "averages") -> Step:
    """A step that also keeps `averages[name]`, or `memory[name]`: `init(train_state)`, then `update(kept, train_state, counted)`.

    A skipped step is not counted: its params are those of the step before, which the average has seen.
    """

    def begin(key: jax.Array, batch: Any) -> TrainState:
        train_state = step.init(key, batch)
        return remembering(name, train_state, init(train_state), where)

    def proceed(train_state: TrainState, batch: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        new, metrics = step.update(train_state, batch)
        there = getattr(new, where)
        return new.replace(**{where: there | {name: update(there[name], new, new.step > train_state.step)}}), metrics

    return Step(begin, proceed)


def visited(step: jax.Array, start: int | jax.Array, every: int | jax.Array) -> jax.Array:
    """Whether a step is one of `start`, `start + every`, ..."""
    return (step >= start) & ((step - start) % every == 0)


def wide(params: Any) -> Any:
    """Params in float32 at least: in less, an average would not move."""
    return jax.tree.map(widen, params)


def towards(average: Any, params: Any, share: Any) -> Any:
    """The average moved by a share of the way to the params."""
    return jax.tree.map(lambda a, w: (a + share * (w.astype(a.dtype) - a)).astype(a.dtype), average, params)
