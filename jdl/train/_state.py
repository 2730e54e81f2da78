"""Everything that decides a run's future."""

from typing import Any

import flax.struct
import jax


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
