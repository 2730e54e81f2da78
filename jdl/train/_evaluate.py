"""Metrics over data that training doesn't see."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.train._objective import Objective
from jdl.train._run import rows
from jdl.train._state import TrainState


def evaluate(objective: Objective, data: Any, *, batch_size: int = 1024) -> jax.tree_util.Partial:
    """Makes the function from a train state to the objective's metrics over all of `data`, in evaluation mode.

    Metrics are averaged over samples, the last, smaller batch included; so a mean over samples is exact.

    Args:
      objective: what to measure.
      data: a tree of arrays with one first axis, that of samples.
      batch_size: samples at a time; what doesn't fit in memory at once is measured in turn.

    Returns:
      A `jax.tree_util.Partial` from a train state to named scalars. It is a tree, so the data pass through `jit` as arguments.

    Raises:
      ValueError: if `batch_size` is not positive, or arrays differ in length.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> objective = train.objective(L.dense(1), losses.mean_squared_error)
      >>> data = jnp.ones((5, 3)), jnp.ones((5, 1))
      >>> train_state = train.step(objective, optax.sgd(0.1)).init(jax.random.key(0), data)
      >>> list(train.evaluate(objective, data, batch_size=2)(train_state))
      ['loss']
    """
    _check.positive("evaluate", batch_size=batch_size)
    rows(data)

    def measure(data: Any, train_state: TrainState) -> dict[str, jax.Array]:
        size = rows(data)
        batch = min(batch_size, size)
        whole = size - size % batch

        def of(samples: Any) -> dict[str, jax.Array]:
            return objective.apply(train_state.params, train_state.state, samples, None, train=False)[1][1]

        batches = jax.tree.map(lambda a: a[:whole].reshape(-1, batch, *a.shape[1:]), data)
        metrics = jax.tree.map(lambda m: m.mean(0), jax.lax.map(of, batches))
        if whole == size:
            return metrics
        rest = of(jax.tree.map(lambda a: a[whole:], data))
        return jax.tree.map(lambda m, r: (m * whole + r * (size - whole)) / size, metrics, rest)

    return jax.tree_util.Partial(measure, jax.tree.map(jnp.asarray, data))
