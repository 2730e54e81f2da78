"""Population-based training: members that fall behind go on from those ahead, with other hyperparameters."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.layer import derive
from jdl.search import Explore
from jdl.train._run import Run, any_member, branch, population
from jdl.train._state import Score, TrainState, chosen


def exploit_and_explore(
    key: jax.Array, train_state: TrainState, scores: jax.Array, explore: Explore, *, fraction: float = 0.2
) -> TrainState:
    """Lets the worst members go on from the best: truncation selection, then new hyperparameters for those that copied.

    Each member of the bottom fraction takes all of a member drawn from the top fraction, and its hyperparameters, but keeps its own
    keys, place in the data and count of steps: so from there on it sees other batches and other noise than the member that it
    copied. All other members stay as they are, to the bit.

    Args:
      key: a typed key.
      train_state: of a population, with a first axis of members.
      scores: `(members,)`, the higher the better: for a loss, minus it. NaN is lowest.
      explore: `(key, hyperparameters) -> hyperparameters` of one member, such as `search.perturb()`. Integers stay integers: what
        comes out is rounded.
      fraction: of members that copy, and that may be copied, in (0, 0.5]; at least one.

    Returns:
      A train state of as many members.

    Raises:
      ValueError: if `fraction` is out of range, or there are not as many scores as members, or fewer than two, or `explore` returns
        other hyperparameters.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, search, train
      >>> step = train.step(train.objective(L.dense(2), losses.mean_squared_error), optax.sgd(0.1))
      >>> init = lambda key, strength: step.init(key, (jnp.ones((1, 2)),) * 2).replace(hyperparameters={"strength": strength})
      >>> train_state = jax.vmap(init)(jax.random.split(jax.random.key(0), 3), jnp.array([0.5, 0.1, 0.2]))
      >>> scores = jnp.array([1.0, 3.0, 2.0])
      >>> new = train.exploit_and_explore(jax.random.key(1), train_state, scores, search.perturb((2.0,)))
      >>> [f"{strength:.1f}" for strength in new.hyperparameters["strength"]]
      ['0.2', '0.1', '0.2']
      >>> bool((new.params["kernel"][0] == train_state.params["kernel"][1]).all())
      True

    Source: Jaderberg et al., "Population Based Training of Neural Networks", https://arxiv.org/abs/1711.09846.
    """
    _check.above_zero("exploit_and_explore", fraction=fraction)
    _check.within("exploit_and_explore", 0, 0.5, fraction=fraction)
    members = train_state.step.size
    if scores.shape != (members,) or members < 2:
        got = f"there are {members}, scores are {_check.describe(scores)}"
        raise ValueError(f"exploit_and_explore: takes a score for each of several members, {got}")
    count = max(1, min(round(fraction * members), members // 2))
    order = jnp.argsort(jnp.where(jnp.isnan(scores), -jnp.inf, scores))
    chosen = jax.random.randint(derive(key, "exploit"), (count,), members - count, members)
    source = jnp.arange(members).at[order[:count]].set(order[chosen])
    copied = jnp.zeros(members, bool).at[order[:count]].set(True)
    take = lambda a: a if _check.is_key(a) else a[source]  # with the same keys, noise in an optimizer would be the same

    def own(key: jax.Array, copied: jax.Array, old: dict[str, jax.Array]) -> dict[str, jax.Array]:
        explored = explore(key, old)
        if explored.keys() != old.keys():
            raise ValueError(f"exploit_and_explore: explore takes {sorted(old)}, and must return these, got {sorted(explored)}")
        return {name: jnp.where(copied, _like(explored[name], value), value) for name, value in old.items()}

    keys = jax.random.split(derive(key, "explore"), members)
    new = jax.tree.map(take, train_state).replace(step=train_state.step, epoch=train_state.epoch, position=train_state.position)
    return new.replace(hyperparameters=jax.vmap(own)(keys, copied, new.hyperparameters))


def population_based(
    make: Callable[..., Run],
    hyperparameters: Mapping[str, Any],
    score: Score,
    explore: Explore,
    *,
    every: int | jax.Array,
    fraction: float = 0.2,
) -> Run:
    """Makes the run of a population whose worst members go on from the best every so many steps, in one program.

    The population is one run, made from one key: its members depend on each other, so error bars need several of it, such as
    `jdl.fit` makes for an array of keys. In `jdl.fit`, map the evaluation: `evaluate=jax.vmap(train.evaluate(...))`.

    Args:
      make: from hyperparameters, by keyword, to a run.
      hyperparameters: to begin with, as in `train.population`: arrays by name, with a first axis of members.
      score: from a train state (of one member) to a scalar on held-out data, the higher the better: for a loss, minus it.
      explore: how hyperparameters change, such as `search.perturb()`; see `exploit_and_explore`.
      every: steps from one selection to the next, at least 1; may be traced.
      fraction: of members that copy, and that may be copied, in (0, 0.5].

    Returns:
      A Run; its `init` takes one key. Metrics have axes of members and steps, and hyperparameters are among them, which shows the
      schedules that were found.

    Raises:
      ValueError: if there are no hyperparameters, or a number is out of range; at the first step, if a metric has the name of a
        hyperparameter, the score is not a scalar, or `explore` returns other hyperparameters.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, search, train
      >>> data = jnp.ones((8, 2)), jnp.ones((8, 1))
      >>> objective = train.objective(L.dense(1), losses.mean_squared_error)
      >>> def make(learning_rate):
      ...     return train.run(train.step(objective, optax.sgd(learning_rate)), batch_size=4)
      >>> score = lambda train_state: -train.evaluate(objective, data)(train_state)["loss"]
      >>> run = train.population_based(make, {"learning_rate": [1e-1, 1e-2, 1e-3, 1e-4]}, score, search.perturb(), every=5)
      >>> train_state, metrics = run.advance(run.init(jax.random.key(0), data), data, 20)
      >>> metrics["loss"].shape, metrics["learning_rate"].shape
      ((4, 20), (4, 20))

    Source: Jaderberg et al., "Population Based Training of Neural Networks", https://arxiv.org/abs/1711.09846.
    """
    _check.within("population_based", 1, float("inf"), every=every)
    _check.above_zero("population_based", fraction=fraction)
    _check.within("population_based", 0, 0.5, fraction=fraction)
    if not hyperparameters:
        raise ValueError("population_based: there must be hyperparameters to explore, got none")
    members = population(make, hyperparameters)
    size = len(next(iter(hyperparameters.values())))

    def init(key: jax.Array, data: Any) -> TrainState:
        return members.init(jax.random.split(derive(key, "members"), size), data)

    def select(train_state: TrainState) -> TrainState:
        key = derive(jax.random.clone(train_state.key)[0], "population_based", train_state.step.max())
        scores = jax.vmap(lambda train_state: _check.scalar("population_based", "score", score(train_state)))(train_state)
        return exploit_and_explore(key, train_state, scores, explore, fraction=fraction)

    def advance(train_state: TrainState, data: Any, steps: int) -> tuple[TrainState, dict[str, jax.Array]]:
        _check.positive("population_based", steps=steps)

        def one(train_state: TrainState, _: None):
            before = train_state.step.max()
            train_state, metrics = members.advance(train_state, data, 1)
            if both := metrics.keys() & train_state.hyperparameters.keys():
                raise ValueError(f"population_based: {sorted(both)} are names of metrics and of hyperparameters")
            metrics = jax.tree.map(lambda m: m[..., 0], metrics) | train_state.hyperparameters
            after = train_state.step.max()  # which a step that all members skip leaves as it was
            due = (after > before) & (after % every == 0)
            select_if_due = lambda train_state: chosen(due, select(train_state), train_state)
            return branch(any_member(due), select_if_due, lambda train_state: train_state, train_state), metrics

        train_state, metrics = jax.lax.scan(one, train_state, length=steps)
        return train_state, jax.tree.map(lambda m: jnp.moveaxis(m, 0, -1), metrics)

    return Run(init, advance, members.left)


def _like(new: Any, old: jax.Array) -> jax.Array:
    """In the dtype of the old; to integers it is rounded, since cutting would lead to 0."""
    integers = jnp.issubdtype(old.dtype, jnp.integer)
    return (jnp.round(new) if integers else jnp.asarray(new)).astype(old.dtype)
