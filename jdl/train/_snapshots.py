"""Many models from one or several runs, and what they predict."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.layer import Layer, as_layer
from jdl.train._average import keeping, visited
from jdl.train._state import TrainState
from jdl.train._step import Step


def predict_members(model: Layer, train_state: TrainState, *inputs: Any, **named: Any) -> Any:
    """Predicts with every member of a population, in evaluation mode: a deep ensemble, if members differ in their keys.

    `metrics.classification_uncertainty` and `metrics.gaussian_uncertainty` take what comes out.

    Args:
      model: a Layer.
      train_state: with a first axis of members: from `jdl.fit` with an array of keys, of a setting of a sweep
        (`found.member(setting, slice(None))`), or from `snapshot_members`.
      *inputs: what the model is applied to; the same for all.
      **named: inputs by keyword.

    Returns:
      A tree like the model's output, with a first axis of members.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, metrics, train
      >>> model, data = L.dense(3), (jnp.ones((8, 2)), jnp.zeros(8, int))
      >>> run = train.run(train.step(train.objective(model, losses.cross_entropy), optax.sgd(0.1)), batch_size=4)
      >>> ensemble = train.population(run)
      >>> train_state = ensemble.init(jax.random.split(jax.random.key(0), 5), data)
      >>> logits = train.predict_members(model, train_state, data[0])
      >>> logits.shape, metrics.classification_uncertainty(logits).mean.shape
      ((5, 8, 3), (8, 3))

    Source: Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles",
    https://arxiv.org/abs/1612.01474.
    """
    apply = as_layer(model).apply
    return jax.vmap(lambda params, state: apply(params, state, *inputs, **named)[0])(train_state.params, train_state.state)


def snapshots(step: Step, *, every: int, count: int) -> Step:
    """Makes a step that also keeps params and state as they were at the last `count` of the steps `every`, `2 every`, ...

    With a learning rate that falls to 0 along a cosine in each cycle and starts anew, a snapshot is a minimum, and the snapshots of
    one run are an ensemble. The run itself is unchanged.

        cosine = optax.cosine_decay_schedule(0.1, every)
        optimizer = optax.sgd(lambda count: cosine(count % every), momentum=0.9)

    Args:
      step: a Step.
      every: steps in a cycle, at least 1.
      count: how many snapshots to keep; so many copies of params are held in memory.

    Returns:
      A Step, whose train state has `memory["snapshots"]`; see `snapshot_members`.

    Raises:
      ValueError: if a number is out of range; at init, if the train state has such snapshots already.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> model, data = L.dense(1), (jnp.ones((8, 3)), jnp.zeros((8, 1)))
      >>> cosine = optax.cosine_decay_schedule(0.1, 10)
      >>> step = train.step(train.objective(model, losses.mean_squared_error), optax.sgd(lambda count: cosine(count % 10)))
      >>> run = train.run(train.snapshots(step, every=10, count=3), batch_size=4)
      >>> train_state, metrics = run.advance(run.init(jax.random.key(0), data), data, 50)
      >>> train.predict_members(model, train.snapshot_members(train_state), data[0]).shape
      (3, 8, 1)

    Source: Huang et al., "Snapshot Ensembles: Train 1, Get M for Free", https://arxiv.org/abs/1704.00109.
    """
    _check.positive("snapshots", every=every, count=count)

    def init(train_state: TrainState) -> dict[str, Any]:
        several = lambda tree: jax.tree.map(lambda a: jnp.repeat(jnp.expand_dims(a, 0), count, 0), tree)
        return {"params": several(train_state.params), "state": several(train_state.state), "taken": jnp.zeros((), jnp.int32)}

    def update(kept: dict[str, Any], train_state: TrainState, counted: jax.Array) -> dict[str, Any]:
        due = counted & visited(train_state.step, every, every)
        place = kept["taken"] % count
        put = lambda kept, new: kept.at[place].set(jnp.where(due, new, kept[place]))
        models = {name: jax.tree.map(put, kept[name], getattr(train_state, name)) for name in ("params", "state")}
        return models | {"taken": kept["taken"] + due}

    return keeping("snapshots", step, init, update, "memory")


def snapshot_members(train_state: TrainState) -> TrainState:
    """Makes the snapshots of a run into a population, to predict with or to be evaluated.

    Args:
      train_state: of a step made by `snapshots`. For a population, `jax.vmap(train.snapshot_members)`.

    Returns:
      A train state with a first axis of snapshots, without averages and memory.

    Raises:
      ValueError: if it keeps no snapshots, is of a population, or the host sees that fewer were taken than are kept.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> objective, batch = train.objective(L.dense(1), losses.mean_squared_error), (jnp.ones((8, 3)), jnp.zeros((8, 1)))
      >>> step = train.snapshots(train.step(objective, optax.sgd(0.1)), every=1, count=2)
      >>> first, _ = step.update(step.init(jax.random.key(0), batch), batch)
      >>> second, _ = step.update(first, batch)
      >>> members = train.snapshot_members(second)
      >>> bool((members.params["kernel"] == jnp.stack([first.params["kernel"], second.params["kernel"]])).all())
      True
      >>> measured = jax.vmap(train.evaluate(objective, batch))(members)

    Source: Huang et al., "Snapshot Ensembles: Train 1, Get M for Free", https://arxiv.org/abs/1704.00109.
    """
    if "snapshots" not in train_state.memory:
        raise ValueError(f"snapshot_members: the train state keeps {sorted(train_state.memory)}, not snapshots")
    kept = train_state.memory["snapshots"]
    if kept["taken"].ndim:
        raise ValueError(
            "snapshot_members: the train state is of a population; write jax.vmap(train.snapshot_members)(train_state)"
        )
    count = jax.tree.leaves(kept["params"])[0].shape[0]
    enough = f"all {count} snapshots must have been taken"
    _check.report("snapshot_members", enough, kept["taken"], lambda taken: taken < count)
    rest = train_state.replace(averages={}, memory={})
    return jax.vmap(lambda params, state: rest.replace(params=params, state=state))(kept["params"], kept["state"])
