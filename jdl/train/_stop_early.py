"""Runs that stop by themselves, and keep the best that they had."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.train._patience import EarlyStopping
from jdl.train._run import Run, any_member, branch
from jdl.train._state import Score, TrainState, chosen, remembering

_NAME = "stop_early"


def stop_early(run: Run, stopping: EarlyStopping, score: Score) -> Run:
    """Makes a run that is scored after every epoch, keeps the params and state with the highest score, and stops when it should.

    All is in the program. In a population (of `train.population`, `jdl.fit` or `jdl.sweep`) each member stops by itself: it stays
    as it is, with the metrics of its last step and its count of steps, while the others go on; once all have stopped, steps cost
    next to nothing. Under a `jax.vmap` of one's own it does the same, but is scored at every step.

    Args:
      run: a Run.
      stopping: when to stop, such as `train.patience(5)`; what never stops keeps the best of all epochs.
      score: from a train state (of one member) to a scalar on held-out data, the higher the better: for a loss, minus it.

    Returns:
      A Run with one more metric, `stopped`, 1 or 0. `train.best` gives the best that its train state has.

    Raises:
      ValueError: at init, if the run stops early already, has a metric named `stopped`, or is of a population; at the first step,
        if the score is not a scalar.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> x = jnp.linspace(-1, 1, 16).reshape(-1, 1)
      >>> objective, data, held_out = train.objective(L.dense(1), losses.mean_squared_error), (x, x), (x, x + 1)
      >>> run = train.run(train.step(objective, optax.sgd(0.1)), batch_size=4)
      >>> score = lambda train_state: -train.evaluate(objective, held_out)(train_state)["loss"]
      >>> run = train.stop_early(run, train.patience(3), score)
      >>> train_state, metrics = run.advance(run.init(jax.random.key(0), data), data, 400)
      >>> bool(metrics["stopped"][-1]), bool(score(train.best(train_state)) >= score(train_state))
      (True, True)

    Source: Prechelt, "Early Stopping - But When?", https://doi.org/10.1007/3-540-49430-8_3.
    """

    def init(key: jax.Array, data: Any) -> TrainState:
        train_state = run.init(key, data)
        if train_state.step.ndim:
            raise ValueError("stop_early: the run is of a population; stop each member, train.population(train.stop_early(...))")
        metrics = jax.eval_shape(lambda train_state: _single(run.advance(train_state, data, 1)[1]), train_state)
        kept = {
            "progress": stopping.init(_model(train_state)),
            "metrics": jax.tree.map(lambda m: jnp.zeros(m.shape, m.dtype), metrics),
            "stride": jnp.zeros_like(train_state.position),  # samples in a step
            "last": jnp.zeros_like(train_state.position),  # where the last step of an epoch begins
        }
        train_state = remembering(_NAME, train_state, kept)
        if "stopped" in metrics:
            raise ValueError("stop_early: the run has a metric named 'stopped' already")
        return train_state

    def proceed(train_state: TrainState, data: Any) -> TrainState:
        """Takes a step, which counts for members that have not stopped, and scores if it was the last of an epoch."""
        kept = train_state.memory[_NAME]
        stopped = kept["progress"].stopped
        new, metrics = run.advance(train_state, data, 1)
        over = new.epoch > train_state.epoch
        pace = {
            "stride": jnp.where(over, kept["stride"], new.position - train_state.position),
            "last": jnp.where(over, train_state.position, kept["last"]),
        }
        new = chosen(stopped, train_state.replace(epoch=new.epoch, position=new.position), new)
        new = _keep(new, metrics=chosen(stopped, kept["metrics"], _single(metrics)), **pace)
        return branch(any_member(over), lambda new: scored(new, over), lambda new: new, new)

    def scored(train_state: TrainState, over: jax.Array) -> TrainState:
        """Counts the score of members whose epoch is over."""
        progress = train_state.memory[_NAME]["progress"]
        found = _check.scalar("stop_early", "score", score(train_state))
        return _keep(train_state, progress=chosen(over, stopping.update(progress, found, _model(train_state)), progress))

    def advance(train_state: TrainState, data: Any, steps: int) -> tuple[TrainState, dict[str, jax.Array]]:
        _check.positive("stop_early", steps=steps)

        def one(train_state: TrainState, _: None):
            alive = any_member(~train_state.memory[_NAME]["progress"].stopped)
            train_state = branch(alive, lambda train_state: proceed(train_state, data), _idle, train_state)
            kept = train_state.memory[_NAME]
            return train_state, kept["metrics"] | {"stopped": kept["progress"].stopped.astype(jnp.float32)}

        return jax.lax.scan(one, train_state, length=steps)

    return Run(init, advance, run.left)


def best(train_state: TrainState) -> TrainState:
    """Puts the params and state with the highest score that a run has had in place of its last; all else stays.

    Args:
      train_state: of a run made by `stop_early`. Members' train states in one are fine.

    Returns:
      A train state.

    Raises:
      ValueError: if the run does not stop early.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> objective, data = train.objective(L.dense(1), losses.mean_squared_error), (jnp.ones((8, 3)), jnp.ones((8, 1)))
      >>> measure = train.evaluate(objective, data)
      >>> run = train.run(train.step(objective, optax.sgd(0.1)), batch_size=4)
      >>> run = train.stop_early(run, train.patience(3), lambda train_state: -measure(train_state)["loss"])
      >>> train_state, metrics = run.advance(run.init(jax.random.key(0), data), data, 20)
      >>> loss = measure(train.best(train_state))["loss"]
    """
    if _NAME not in train_state.memory:
        raise ValueError(f"best: the train state keeps {sorted(train_state.memory)}; train.stop_early keeps the best")
    return train_state.replace(**train_state.memory[_NAME]["progress"].best_params)


def _idle(train_state: TrainState) -> TrainState:
    """A step that does nothing but pass over its data, at the pace of others: who stops alone must not be ahead of them."""
    kept = train_state.memory[_NAME]
    over = train_state.position >= kept["last"]
    position = jnp.where(over, 0, train_state.position + kept["stride"])
    return train_state.replace(epoch=train_state.epoch + over, position=position)


def _keep(train_state: TrainState, **changes: Any) -> TrainState:
    """A train state that keeps something else from now on."""
    return train_state.replace(memory=train_state.memory | {_NAME: train_state.memory[_NAME] | changes})


def _model(train_state: TrainState) -> dict[str, Any]:
    """What is kept of the best."""
    return {"params": train_state.params, "state": train_state.state}


def _single(metrics: dict[str, jax.Array]) -> dict[str, jax.Array]:
    """Metrics of one step without the axis of steps."""
    return jax.tree.map(lambda m: m[..., 0], metrics)
