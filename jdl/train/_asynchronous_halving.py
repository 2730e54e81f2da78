"""Asynchronous successive halving: what falls behind is stopped, and a new setting takes its place."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl.functional import _check
from jdl.train._halving import Halving, Score, arrays, member, own_keys, scored
from jdl.train._run import Run, population
from jdl.train._state import TrainState


def asynchronous_halving(
    make: Callable[..., Run],
    hyperparameters: Mapping[str, Any],
    score: Score,
    *,
    members: int,
    steps: int,
    rungs: int,
    factor: int = 3,
) -> Callable[[jax.Array, Any], Halving]:
    """Makes the function that trains settings in a population of fixed width, stopping bad ones and starting others in their place.

    A member that comes to a rung goes on if its score is among the best `1 / factor` of all that came to this rung so far, itself
    included; the best always goes on. So the population is always full, whatever the number of settings, until they run out, and
    the program is one loop with one body.

    That is the stopping variant of ASHA: a setting that was good enough only in the light of later ones is not taken up again.
    For this it would have to be kept, and there is memory for the members that train. Where all settings fit at once,
    `successive_halving` compares each with all others and wastes nothing.

    Args:
      make: from hyperparameters, by keyword, to a run.
      hyperparameters: arrays by name, with an entry for each setting, in the order in which they are tried. They are traced.
      score: from a train state (of one member) to a scalar on held-out data, the higher the better: for a loss, minus it.
      members: how many train at once.
      steps: up to the first rung; up to rung i it is `steps * factor**i`.
      rungs: how many; who comes to the last is done.
      factor: which share goes on, `1 / factor`, at least 2.

    Returns:
      A pure function `(key, data) -> Halving`, to be compiled: `jax.jit(halve)(key, data)`. Setting i has the key
      `jax.random.fold_in(key, i)`.

    Raises:
      ValueError: if a number is out of range, or there are no settings, or fewer than members.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, search, train
      >>> data = jnp.linspace(-1, 1, 32).reshape(-1, 1), jnp.linspace(1, 3, 32).reshape(-1, 1)
      >>> objective = train.objective(L.dense(1), losses.mean_squared_error)
      >>> def make(learning_rate):
      ...     return train.run(train.step(objective, optax.sgd(learning_rate)), batch_size=8)
      >>> score = lambda train_state: -train.evaluate(objective, data)(train_state)["loss"]
      >>> settings = search.random(jax.random.key(0), 20, learning_rate=search.log_uniform(1e-5, 1e-1))
      >>> halve = train.asynchronous_halving(make, settings, score, members=4, steps=4, rungs=3)
      >>> found = jax.jit(halve)(jax.random.key(1), data)
      >>> table = found.table()
      >>> bool(table["steps"][found.best] == 36), bool((table["rung"] >= 0).all())
      (True, True)

    Source: Li et al., "A System for Massively Parallel Hyperparameter Tuning", https://arxiv.org/abs/1810.05934.
    """
    each, settings = arrays("asynchronous_halving", hyperparameters, steps, factor)
    _check.positive("asynchronous_halving", members=members, rungs=rungs)
    if members > settings:
        raise ValueError(f"asynchronous_halving: there are {settings} settings, fewer than members, {members}")
    ages = np.power(factor, range(rungs))  # of a member at each rung, in intervals

    def begun(key: jax.Array, setting: jax.Array, data: Any) -> TrainState:
        """Train states at their start; where settings have run out, of the last of them."""
        setting = jnp.minimum(setting, settings - 1)
        own = {name: values[setting] for name, values in each.items()}
        return population(make, own).init(own_keys(key, setting), data)

    advance = population(make, each).advance

    def halve(key: jax.Array, data: Any) -> Halving:
        def interval(carry: tuple) -> tuple:
            train_state, setting, age, rung, started, scores, best, best_score, best_state = carry
            train_state, _ = advance(train_state, data, steps)
            age, found = age + 1, scored(score, train_state)
            arrived = (setting < settings) & (age == jnp.asarray(ages)[rung])
            scores = scores.at[jnp.where(arrived, setting, settings), rung].set(found, mode="drop")

            others = scores[:, rung].T  # (members, settings): what all that came to this member's rung scored there
            ahead = (others > jnp.expand_dims(found, 1)).sum(1)
            stays = ahead < jnp.maximum(1, (~jnp.isnan(others)).sum(1) // factor)
            finished = arrived & (rung == rungs - 1)
            done = finished | (arrived & ~stays)

            final = jnp.where(finished, found, -jnp.inf)
            first = final.argmax()
            better = finished[first] & ((best == settings) | (final[first] > best_score))
            best, best_score = jnp.where(better, setting[first], best), jnp.where(better, final[first], best_score)
            best_state = _where(better, member(train_state, first), best_state)

            setting = jnp.where(done, started + jnp.cumsum(done) - 1, setting)
            train_state = jax.lax.cond(done.any(), lambda old: _replaced(done, begun(key, setting, data), old), _same, train_state)
            rung, age = jnp.where(done, 0, rung + arrived), jnp.where(done, 0, age)
            return train_state, setting, age, rung, started + done.sum(), scores, best, best_score, best_state

        setting, zeros = jnp.arange(members), jnp.zeros(members, int)
        train_state = begun(key, setting, data)
        scores = jnp.full((settings, rungs), jnp.nan)
        none = jnp.array(settings), jnp.array(-jnp.inf), member(train_state, 0)
        start = train_state, setting, zeros, zeros, jnp.array(members), scores, *none
        *_, scores, best, _, best_state = jax.lax.while_loop(lambda carry: (carry[1] < settings).any(), interval, start)
        return Halving(each, jnp.asarray(steps * ages), scores, best, best_state)

    return halve


def _replaced(where: jax.Array, new: TrainState, old: TrainState) -> TrainState:
    """A population with some of its members replaced."""
    return jax.vmap(_where)(where, new, old)


def _where(where: jax.Array, new: TrainState, old: TrainState) -> TrainState:
    fresh = lambda a: jax.random.clone(a) if _check.is_key(a) else a
    return jax.tree.map(lambda new, old: jnp.where(where, fresh(new), fresh(old)).astype(old.dtype), new, old)


def _same(train_state: TrainState) -> TrainState:
    return train_state
