"""Successive halving: all settings train a little, the best of them longer, the best of those longer still."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jdl.functional import _check
from jdl.train._run import Run, population
from jdl.train._state import Score, TrainState, member


class Halving(NamedTuple):
    """What halving found.

    Attributes:
      hyperparameters: by name, arrays with an entry for each setting.
      steps: `(rungs,)`, how many steps were taken up to each rung.
      scores: `(settings, rungs)`: NaN where a setting did not get so far, minus infinity where the score itself was NaN.
      best: the setting with the highest score at the last rung.
      train_state: of that setting, at the last rung.
    """

    hyperparameters: dict[str, jax.Array]
    steps: jax.Array
    scores: jax.Array
    best: jax.Array
    train_state: TrainState

    def table(self) -> dict[str, np.ndarray]:
        """Hyperparameters and, of the last rung that a setting reached, counted from 0: `rung`, `steps` to it, `score` at it.

        A dict of columns with a row for each setting, as `pandas.DataFrame` takes it. A setting that reached none has rung -1, no
        steps and the score NaN.
        """
        scores = np.asarray(self.scores)
        rung = (~np.isnan(scores)).sum(1) - 1
        steps = np.where(rung < 0, 0, np.asarray(self.steps)[rung])
        columns = {name: np.asarray(values) for name, values in self.hyperparameters.items()}
        return columns | {"rung": rung, "steps": steps, "score": scores[np.arange(len(rung)), rung]}


def successive_halving(
    make: Callable[..., Run],
    hyperparameters: Mapping[str, Any],
    score: Score,
    *,
    steps: int,
    factor: int = 3,
    rungs: int | None = None,
) -> Callable[[jax.Array, Any], Halving]:
    """Makes the function that trains all settings for some steps, the best `1 / factor` of them `factor` times as long, and so on.

    The population shrinks from rung to rung, and every rung costs about the same. Shapes are static, so a rung is a loop of its own
    in the program: one compilation of a few loops, where a single loop over all settings would go on computing those that were
    stopped. Those that go on do so from where they are.

    Args:
      make: from hyperparameters, by keyword, to a run.
      hyperparameters: arrays by name, with an entry for each setting, such as `search.random` gives. They are traced.
      score: from a train state (of one member) to a scalar on held-out data, the higher the better: for a loss, minus it.
      steps: up to the first rung; up to rung i it is `steps * factor**i`.
      factor: which share goes on, `1 / factor`, rounded down, at least 2.
      rungs: how many; by default so many that one setting reaches the last.

    Returns:
      A pure function `(key, data) -> Halving`, to be compiled: `jax.jit(halve)(key, data)`. Setting i has the key
      `jax.random.fold_in(key, i)`.

    Raises:
      ValueError: if a number is out of range, there are no settings, or too few for as many rungs; when called, if the
        score is not a scalar.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, search, train
      >>> data = jnp.linspace(-1, 1, 32).reshape(-1, 1), jnp.linspace(1, 3, 32).reshape(-1, 1)
      >>> objective = train.objective(L.dense(1), losses.mean_squared_error)
      >>> def make(learning_rate):
      ...     return train.run(train.step(objective, optax.sgd(learning_rate)), batch_size=8)
      >>> score = lambda train_state: -train.evaluate(objective, data)(train_state)["loss"]
      >>> settings = search.grid(learning_rate=[1e-5, 1e-4, 1e-3, 1e-1])
      >>> found = jax.jit(train.successive_halving(make, settings, score, steps=4, factor=2))(jax.random.key(0), data)
      >>> found.best.item(), found.steps.tolist(), found.table()["rung"].tolist()[-1]
      (3, [4, 8, 16], 2)

    Source: Jamieson and Talwalkar, "Non-stochastic Best Arm Identification and Hyperparameter Optimization",
    https://arxiv.org/abs/1502.07943.
    """
    each, settings = arrays("successive_halving", hyperparameters, steps, factor)
    rungs = deepest(settings, factor) if rungs is None else rungs
    _check.positive("successive_halving", rungs=rungs)
    if rungs > deepest(settings, factor):
        raise ValueError(f"successive_halving: {settings} settings last for {deepest(settings, factor)} rungs, got rungs={rungs}")
    budgets = [steps * factor**rung for rung in range(rungs)]

    def halve(key: jax.Array, data: Any) -> Halving:
        run = population(make, each)
        train_state = run.init(own_keys(key, jnp.arange(settings)), data)
        chosen, scores = jnp.arange(settings), jnp.full((settings, rungs), jnp.nan)
        for rung, taken in enumerate([0, *budgets[:-1]]):
            train_state, _ = run.advance(train_state, data, budgets[rung] - taken)
            found = scored("successive_halving", score, train_state)
            scores = scores.at[chosen, rung].set(found)
            going_on = settings // factor ** (rung + 1) if rung + 1 < rungs else 1
            kept = jnp.argsort(-found)[:going_on]
            chosen, train_state = chosen[kept], member(train_state, kept)
        return Halving(each, jnp.array(budgets), scores, chosen[0], member(train_state, 0))

    return halve


def arrays(name: str, hyperparameters: Mapping[str, Any], steps: int, factor: int) -> tuple[dict[str, jax.Array], int]:
    """Hyperparameters as arrays of one length, and that length, if all is as halving takes it."""
    _check.positive(name, steps=steps, factor=factor)
    _check.within(name, 2, float("inf"), factor=factor)
    each = {key: jnp.asarray(values) for key, values in hyperparameters.items()}
    lengths = {values.shape[:1] for values in each.values()}
    if len(lengths) != 1 or not (size := sum(lengths.pop())):
        raise ValueError(f"{name}: hyperparameters must have an entry for each setting, got {_check.describe(each)}")
    return each, size


def deepest(settings: int, factor: int) -> int:
    """How many rungs there are if one setting, at least, is to reach the last."""
    rungs = 1
    while settings >= factor**rungs:
        rungs += 1
    return rungs


def own_keys(key: jax.Array, setting: jax.Array) -> jax.Array:
    """The keys of settings; they depend on nothing but the number of the setting."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, setting)


def scored(name: str, score: Score, train_state: TrainState) -> jax.Array:
    """A score for each member; what is NaN is worst."""
    found = jax.vmap(lambda train_state: _check.scalar(name, "score", score(train_state)))(train_state)
    return jnp.where(jnp.isnan(found), -jnp.inf, found)
