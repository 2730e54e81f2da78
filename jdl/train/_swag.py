"""A Gaussian over params, from those that a run visits."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.train._average import keeping, towards, visited, wide
from jdl.train._state import TrainState
from jdl.train._step import Step


def swag(step: Step, *, start: int | jax.Array, every: int | jax.Array = 1, rank: int = 20) -> Step:
    """Makes a step that also keeps mean and covariance of the params at steps `start`, `start + every`, ... (SWAG).

    The covariance is that of `swag_sample`: half of it a diagonal, half of low rank, from the last `rank` params less the mean at
    their time. The run itself is unchanged.

    Args:
      step: a Step, with a learning rate that stays high.
      start: the first step, counted from 1, whose params count; may be traced. Before it, the mean is the params.
      every: steps from one to the next, at least 1; may be traced.
      rank: how many deviations are kept, at least 2; so many copies of params are held in memory.

    Returns:
      A Step, whose train state has `averages["swag"]`, of float32 at least.

    Raises:
      ValueError: if a number is out of range; at init, if the train state has such an average already.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> step = train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.sgd(0.1))
      >>> run = train.run(train.swag(step, start=10, every=2, rank=5), batch_size=4)
      >>> data = jnp.ones((8, 3)), jnp.zeros((8, 1))
      >>> train_state, metrics = run.advance(run.init(jax.random.key(0), data), data, 20)
      >>> samples = jax.jit(jax.vmap(train.swag_sample, (0, None)))(jax.random.split(jax.random.key(1), 30), train_state)
      >>> samples.params["kernel"].shape
      (30, 3, 1)

    Source: Maddox et al., "A Simple Baseline for Bayesian Uncertainty in Deep Learning", https://arxiv.org/abs/1902.02476.
    """
    _check.within("swag", 1, float("inf"), start=start, every=every)
    _check.positive("swag", rank=rank)
    _check.within("swag", 2, float("inf"), rank=rank)

    def init(train_state: TrainState) -> dict[str, Any]:
        params = wide(train_state.params)
        zeros = jax.tree.map(jnp.zeros_like, params)
        deviations = jax.tree.map(lambda x: jnp.zeros((rank, *x.shape), x.dtype), zeros)
        return {"params": params, "squares": zeros, "deviations": deviations, "count": jnp.zeros((), jnp.int32)}

    def update(average: dict[str, Any], train_state: TrainState, counted: jax.Array) -> dict[str, Any]:
        taken = counted & visited(train_state.step, start, every)
        count = average["count"] + taken
        share = jnp.where(taken | (count == 0), 1 / jnp.maximum(count, 1), 0)
        params = wide(train_state.params)
        mean = towards(average["params"], params, share)
        after = jax.tree.map(jnp.subtract, params, mean)
        # Squares less the mean's, summed by Welford's rule: a difference of two means of squares would lose all digits.
        add = lambda total, w, old, new: jnp.where(count > 1, jnp.where(taken, total + (w - old) * new, total), 0)
        squares = jax.tree.map(add, average["squares"], params, average["params"], after)
        place = (count - 1) % rank
        put = lambda kept, new: kept.at[place].set(jnp.where(taken, new, kept[place]))
        deviations = jax.tree.map(put, average["deviations"], after)
        return {"params": mean, "squares": squares, "deviations": deviations, "count": count}

    return keeping("swag", step, init, update)


def swag_sample(key: jax.Array, train_state: TrainState, *, scale: float | jax.Array = 1.0) -> TrainState:
    """Draws params from the Gaussian that a step of `swag` keeps, and puts them in place of a train state's params.

    The covariance is `scale^2 (diag(variance) + D D^T / (K - 1)) / 2` with the `K` deviations `D` that were kept. Batch norms'
    statistics have to be recomputed for each sample, by `layers.recompute_statistics`.

    Args:
      key: a typed key.
      train_state: of a step made by `swag`.
      scale: of the deviations from the mean, at least 0; may be traced.

    Returns:
      A train state; params have the dtypes they had.

    Raises:
      ValueError: if the train state keeps no such average, or `scale` is a negative number.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> objective, data = train.objective(L.dense(1), losses.mean_squared_error), (jnp.ones((8, 3)), jnp.zeros((8, 1)))
      >>> run = train.run(train.swag(train.step(objective, optax.sgd(0.1)), start=5, rank=3), batch_size=4)
      >>> train_state, metrics = run.advance(run.init(jax.random.key(0), data), data, 20)
      >>> deviation = lambda scale: train.swag_sample(jax.random.key(1), train_state, scale=scale).params["kernel"] - mean
      >>> mean = train.averaged(train_state).params["kernel"]
      >>> bool(jnp.allclose(deviation(1.0), 2 * deviation(0.5), atol=1e-6)), bool((deviation(0.0) == 0).all())
      (True, True)

    Source: Maddox et al., "A Simple Baseline for Bayesian Uncertainty in Deep Learning", https://arxiv.org/abs/1902.02476.
    """
    _check.within("swag_sample", 0, float("inf"), scale=scale)
    if "swag" not in train_state.averages:
        raise ValueError(f"swag_sample: the train state keeps {sorted(train_state.averages)}, not swag")
    kept = train_state.averages["swag"]
    leaves, structure = jax.tree.flatten(kept["params"])
    rank = jax.tree.leaves(kept["deviations"])[0].shape[0]
    common, *keys = jax.random.split(key, 1 + len(leaves))
    factors = jax.random.normal(common, (rank,))
    held = jnp.maximum(jnp.minimum(kept["count"], rank) - 1, 1)

    def draw(key, mean, squares, deviations, like):
        own = jnp.sqrt(squares / jnp.maximum(kept["count"], 1)) * jax.random.normal(key, mean.shape, mean.dtype)
        shared = jnp.tensordot(factors.astype(mean.dtype), deviations, 1) / jnp.sqrt(held).astype(mean.dtype)
        return (mean + scale * (own + shared) / 2**0.5).astype(like.dtype)

    given = kept["params"], kept["squares"], kept["deviations"], train_state.params
    return train_state.replace(params=jax.tree.map(draw, structure.unflatten(keys), *given))
