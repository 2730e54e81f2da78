"""Asynchronous successive halving: what falls behind is stopped, and a new setting takes its place."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jdl.functional import _check
from jdl.train._halving import Halving, arrays, own_keys, scored
from jdl.train._run import Run, population
from jdl.train._state import Score, TrainState, chosen, member


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
    included; the best always goes on. Of equals, those that came first are better, and what diverged goes on only if nothing else
    came. So the population is always full, whatever the number of settings, until they run out, and the program is one loop with
    one body.

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
      ValueError: if a number is out of range, or there are no settings, or fewer than members; when called, if the score is not a
        scalar.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> x = jnp.linspace(-1, 1, 32).reshape(-1, 1)
      >>> objective = train.objective(L.dense(1, kernel_init=jax.nn.initializers.zeros), losses.mean_squared_error)
      >>> make = lambda learning_rate: train.run(train.step(objective, optax.sgd(learning_rate)), batch_size=8)
      >>> score = lambda train_state: -abs(train_state.params["kernel"] - 2.0).sum()
      >>> rates = jnp.array([0.1, 1e-4, 1e-4, 1e-4, 1e-4, 0.3])
      >>> halve = train.asynchronous_halving(make, {"learning_rate": rates}, score, members=2, steps=4, rungs=3)
      >>> found = jax.jit(halve)(jax.random.key(1), (x, 2 * x))
      >>> found.best.item(), found.table()["rung"].tolist(), found.table()["steps"].tolist()
      (5, [2, 0, 0, 0, 0, 2], [36, 4, 4, 4, 4, 36])

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
        def interval(race: _Race) -> _Race:
            train_state, _ = advance(race.train_state, data, steps)
            age, found = race.age + 1, scored("asynchronous_halving", score, train_state)
            arrived = (race.setting < settings) & (age == jnp.asarray(ages)[race.rung])
            finished = arrived & (race.rung == rungs - 1)
            scores = race.scores.at[jnp.where(arrived, race.setting, settings), race.rung].set(found, mode="drop")
            done = finished | (arrived & ~_among_best(race.setting, found, scores[:, race.rung].T, factor))
            winner = _ahead(race.winner, finished, found, race.setting, train_state)
            following = race.started + jnp.cumsum(done) - 1
            setting = jnp.where(done, following, race.setting)
            replaced = lambda old: jax.vmap(chosen)(done, begun(key, setting, data), old)
            train_state = jax.lax.cond(done.any(), replaced, lambda old: old, train_state)
            rung = jnp.where(done, 0, race.rung + arrived)
            return _Race(train_state, setting, jnp.where(done, 0, age), rung, race.started + done.sum(), scores, winner)

        setting, zeros, scores = jnp.arange(members), jnp.zeros(members, int), jnp.full((settings, rungs), jnp.nan)
        train_state = begun(key, setting, data)
        nobody = _Winner(jnp.array(-1), jnp.array(-jnp.inf), member(train_state, 0))
        start = _Race(train_state, setting, zeros, zeros, jnp.array(members), scores, nobody)
        race = jax.lax.while_loop(lambda race: (race.setting < settings).any(), interval, start)
        return Halving(each, jnp.asarray(steps * ages), race.scores, race.winner.setting, race.winner.train_state)

    return halve


class _Winner(NamedTuple):
    """The best so far of those that came to the last rung; at first nobody, with the setting -1."""

    setting: jax.Array
    score: jax.Array
    train_state: TrainState


class _Race(NamedTuple):
    """Members with their settings, ages in intervals, and the rungs that they are on the way to; what is left is common to all."""

    train_state: TrainState
    setting: jax.Array
    age: jax.Array
    rung: jax.Array
    started: jax.Array
    scores: jax.Array
    winner: _Winner


def _among_best(setting: jax.Array, found: jax.Array, others: jax.Array, factor: int) -> jax.Array:
    """Whether a member's score is among the best share of all at its rung, `(members, settings)`, NaN where there is none.

    Settings come to a rung in their order, so those that came first are ahead of their equals.
    """
    setting, score = jnp.expand_dims(setting, 1), jnp.expand_dims(found, 1)
    earlier = jnp.expand_dims(jnp.arange(others.shape[1]), 0) < setting
    ahead = ((others > score) | ((others == score) & earlier)).sum(1)
    share = jnp.where(jnp.isneginf(found), 0, (~jnp.isnan(others)).sum(1) // factor)
    return ahead < jnp.maximum(1, share)


def _ahead(winner: _Winner, finished: jax.Array, found: jax.Array, setting: jax.Array, train_state: TrainState) -> _Winner:
    """The winner, or the best of those that finished now."""
    first = jnp.lexsort((found, finished))[-1]
    nobody = winner.setting < 0
    better = finished[first] & (nobody | (found[first] > winner.score))
    return chosen(better, _Winner(setting[first], found[first], member(train_state, first)), winner)
