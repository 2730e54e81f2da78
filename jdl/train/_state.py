"""Everything that decides a run's future."""

from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from jdl.functional import _check


class TrainState(flax.struct.PyTreeNode):
    """The whole state of a run, as a tree of arrays: what a checkpoint holds, and what `vmap` maps over members.

    Attributes:
      params: parameters of the model.
      state: its state, such as running statistics of batch norm.
      optimizer_state: of the Optax optimizer.
      key: from which every step's randomness and every epoch's order are derived; it never changes.
      step: how many steps were taken.
      epoch: how many passes over the data were finished.
      position: how many samples of this pass were seen.
      averages: of params, by name, for the steps that keep any.
      memory: what steps remember besides, by name: statistics of spikes, snapshots, the scale of the loss.
      hyperparameters: of this member, by name, in a population whose members have their own.
    """

    params: Any
    state: Any
    optimizer_state: Any
    key: jax.Array
    step: jax.Array
    epoch: jax.Array
    position: jax.Array
    averages: dict[str, Any] = flax.struct.field(default_factory=dict)
    memory: dict[str, Any] = flax.struct.field(default_factory=dict)
    hyperparameters: dict[str, Any] = flax.struct.field(default_factory=dict)


Score = Callable[[TrainState], jax.Array]  # of one member: a scalar on held-out data, the higher the better


def unused(a: jax.Array) -> jax.Array:
    """The array; keys as new ones, since what picks or moves them counts as a use."""
    return jax.random.clone(a) if _check.is_key(a) else a


def member(train_state: TrainState, place: Any) -> TrainState:
    """Some members of a population, or one."""
    return jax.tree.map(lambda a: unused(a)[place], train_state)


def chosen(first: jax.Array, new: Any, old: Any) -> Any:
    """One of two trees of the same arrays, in the dtypes of the old."""

    def pick(new: jax.Array, old: jax.Array) -> jax.Array:
        picked = unused(jnp.where(first, unused(new), unused(old)))
        return picked if _check.is_key(old) else picked.astype(old.dtype)

    return jax.tree.map(pick, new, old)


def remembering(name: str, train_state: TrainState, kept: Any, where: str = "memory") -> TrainState:
    """A first train state that also holds `memory[name]`, or `averages[name]`; raises ValueError if there is one."""
    if name in (there := getattr(train_state, where)):
        raise ValueError(f"{name}: the train state has {where}[{name!r}] already; it can be done only once")
    return train_state.replace(**{where: there | {name: kept}})
