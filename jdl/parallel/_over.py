"""Steps and objectives over a mesh: the same arithmetic, and the compiler splits it."""

from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jdl.parallel._place import shardings
from jdl.parallel._rules import Axis, Rule, _parts, check_mesh
from jdl.train import Objective, Step, TrainState


def over(step: Step, mesh: Mesh, rules: Rule = PartitionSpec(), *, axis: Axis | None = "data") -> Step:
    """Makes a step whose train state lies on a mesh as rules say, and whose batches are split over one of its axes.

    The arithmetic is that of one device: batch norm is over the whole batch, dropout has the same masks, `train.run` the same order
    of samples, and losses differ by the order of sums alone. Parameters are made where they lie, never all on one device. A batch
    may have any size: XLA pads what doesn't divide, and masks what it padded.

    Args:
      step: a Step.
      mesh: from `parallel.mesh`.
      rules: for the train state; see `parallel.place`. Without any, it is replicated: data parallel.
      axis: the mesh axis, or axes, over which samples are split; None leaves that to the compiler.

    Returns:
      A Step, to be compiled (`train.run`, `jdl.fit`, `jax.jit`).

    Raises:
      ValueError: if the mesh has no such axis; at init, what `place` raises.
      TypeError: if the mesh is none.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, parallel, train
      >>> data = jnp.ones((64, 3)), jnp.ones((64, 8))
      >>> step = train.step(train.objective(L.dense(8), losses.mean_squared_error), optax.adam(1e-3))
      >>> step = parallel.over(step, parallel.mesh("data=-1"), parallel.fully_sharded("data"))
      >>> run = train.run(step, batch_size=16)
      >>> train_state, metrics = run.advance(run.init(jax.random.key(0), data), data, 10)
      >>> len(train_state.params["kernel"].sharding.device_set) == jax.device_count()
      True
    """
    samples = _samples("over", mesh, axis)

    def init(key: jax.Array, batch: Any) -> TrainState:
        make = lambda key: step.init(key, batch)  # closes over the batch, whose values are checked
        return jax.jit(make, out_shardings=shardings(jax.eval_shape(make, key), mesh, rules))(key)

    def update(train_state: TrainState, batch: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        layout, key = shardings(train_state, mesh, rules), train_state.key
        # The key stays the very same value, so that a loop takes it for the constant that it is, as it does without a mesh.
        train_state = jax.lax.with_sharding_constraint(train_state, layout).replace(key=key)
        # Left alone, the compiler would rather gather the samples than parameters that lie along the same mesh axis.
        params = _gathered(train_state.params, mesh, rules)
        train_state, metrics = step.update(train_state.replace(params=params), samples(batch))
        return jax.lax.with_sharding_constraint(train_state, layout).replace(key=key), metrics

    return Step(init, update)


def split(objective: Objective, mesh: Mesh, rules: Rule = PartitionSpec(), *, axis: Axis = "data") -> Objective:
    """Makes an objective whose batches are split over a mesh axis: for evaluation over many devices.

    `train.evaluate` takes data in batches, of which the last may be smaller. XLA pads what doesn't divide, and masks what it
    padded, so metrics are exact. (The step of `parallel.over` splits its batches itself.)

    Args:
      objective: an Objective.
      mesh: from `parallel.mesh`.
      rules: those of `parallel.over`, for the parameters.
      axis: the mesh axis, or axes, over which samples are split.

    Returns:
      An Objective, to be compiled.

    Raises:
      ValueError: if the mesh has no such axis.
      TypeError: if the mesh is none.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, parallel, train
      >>> data = jnp.ones((21, 3)), jnp.ones((21, 8))
      >>> objective = train.objective(L.dense(8), losses.mean_squared_error)
      >>> evaluate = train.evaluate(parallel.split(objective, parallel.mesh("data=-1")), data, batch_size=8)
      >>> train_state = train.step(objective, optax.sgd(0.1)).init(jax.random.key(0), data)
      >>> list(jax.jit(evaluate)(train_state))
      ['loss']
    """
    samples = _samples("split", mesh, axis)

    def apply(params: Any, state: Any, batch: Any, key: jax.Array | None = None, train: bool = True):
        return objective.apply(_gathered(params, mesh, rules), state, samples(batch), key, train)

    return Objective(objective.init, apply)


def _gathered(params: Any, mesh: Mesh, rules: Rule) -> Any:
    """Params as rules say that they are used."""
    return jax.lax.with_sharding_constraint(params, shardings(params, mesh, rules, used=True))


def _samples(name: str, mesh: Mesh, axis: Axis | None) -> Any:
    """Splits the first axis of every array of a batch."""
    check_mesh(name, mesh)
    if axis is None:
        return lambda batch: batch
    _parts(name, axis, mesh)
    sharding = NamedSharding(mesh, PartitionSpec(axis))
    return lambda batch: jax.tree.map(lambda a: jax.lax.with_sharding_constraint(a, sharding), batch)
