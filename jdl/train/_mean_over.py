"""One step on many devices by hand: gradients averaged over a named axis."""

from collections.abc import Callable, Hashable
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional._bilinear import same_axes
from jdl.layer import derive
from jdl.train._step import Gradient, value_and_gradient


def mean_over(axis_name: Hashable, gradient: Gradient = value_and_gradient) -> Gradient:
    """Makes what `train.step(..., gradient=mean_over("data"))` takes: the gradient as the mean over a mapped axis.

    For steps under `jax.shard_map`, `jax.pmap` or `jax.vmap(..., axis_name="data")`, each with its part of a batch: all take the
    same step, that of the whole batch. Each draws its own dropout masks, from the key and its index. Batch norm takes part with
    `batch_norm(axis_name="data")`; without, each normalises by its own statistics, and the running ones are averaged. (Under
    `jax.jit` with shardings, as `parallel.over` makes them, none of this is needed.) Optimizers that search along a line would see
    the value of their own part alone: they are not for this.

    Args:
      axis_name: of the mapped axis, or of several.
      gradient: of a part, such as `train.accumulate(4)`.

    Returns:
      A function to take the place of `jax.value_and_grad(..., has_aux=True)`: loss, metrics and state are means over the axis too,
      metrics that are integers as floating point. Of integers in the state, such as counts, it is the largest.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> objective = train.objective(L.dense(1), losses.mean_squared_error)
      >>> step = train.step(objective, optax.adam(1e-3), gradient=train.mean_over("data"))
      >>> parts = jnp.ones((8, 4, 3)), jnp.zeros((8, 4, 1))  # eight parts of four samples
      >>> train_state = step.init(jax.random.key(0), (parts[0][0], parts[1][0]))
      >>> update = jax.vmap(step.update, (None, 0), axis_name="data")
      >>> train_state, metrics = jax.tree.map(lambda a: a[0], jax.jit(update)(train_state, parts))
    """

    def of(apply: Callable) -> Callable:
        part = gradient(apply)

        def mean(params: Any, state: Any, batch: Any, key: jax.Array) -> tuple[Any, Any]:
            index = jax.lax.axis_index(axis_name)
            # Inside shard_map, the gradient of what is the same for all would be summed already.
            params, state = jax.tree.map(lambda a: same_axes(a, index)[0], (params, state))
            (value, (state, metrics)), slope = part(params, state, batch, derive(key, "part", index))
            metrics = jax.tree.map(lambda a: a if _inexact(a) else jnp.asarray(a, jnp.float32), metrics)
            found = (value, (state, metrics)), slope
            return jax.tree.map(lambda a: (jax.lax.pmean if _inexact(a) else jax.lax.pmax)(a, axis_name), found)

        return mean

    return of


def _inexact(a: jax.Array) -> bool:
    return jnp.issubdtype(a.dtype, jnp.inexact)
