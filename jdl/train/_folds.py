"""Cross-validation: members of a population train on their own part of shared data, and are measured on the rest."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jdl.functional import _check
from jdl.train._evaluate import over_batches
from jdl.train._objective import Objective
from jdl.train._order import placed
from jdl.train._run import Run, in_order, rows, run, steps_left
from jdl.train._state import TrainState
from jdl.train._step import Step


class Folds(NamedTuple):
    """Samples in an order in which each fold's are held out together.

    Attributes:
      order: `(samples,)`, indices.
      starts: `(folds,)`, where in the order a fold begins.
      sizes: `(folds,)`, how many samples it has; they differ by one at most.
    """

    order: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray

    def held_out(self, fold: int) -> np.ndarray:
        """Indices of a fold."""
        return self.order[self.starts[fold] : self.starts[fold] + self.sizes[fold]]

    def training(self, fold: int) -> np.ndarray:
        """Indices of all other samples."""
        return np.roll(self.order, -self.starts[fold])[self.sizes[fold] :]


def folds(key: jax.Array, samples: int, count: int, *, labels: Any = None) -> Folds:
    """Divides samples at random into folds, each of which is held out once.

    Args:
      key: a typed key.
      samples: how many there are.
      count: of folds, from 2 to `samples`; with as many as samples, one is left out at a time.
      labels: `(samples,)`; folds then have the same share of each, to one sample (stratified).

    Returns:
      Folds. If `count` doesn't divide `samples`, the first folds have one more.

    Raises:
      ValueError: if `count` is out of range, or there are not as many labels as samples.

    Example:
      >>> import jax
      >>> from jdl import train
      >>> folds = train.folds(jax.random.key(0), 10, 3)
      >>> [folds.held_out(i).size for i in range(3)], [folds.training(i).size for i in range(3)]
      ([4, 3, 3], [6, 7, 7])

    Source: Stone, "Cross-Validatory Choice and Assessment of Statistical Predictions",
    https://doi.org/10.1111/j.2517-6161.1974.tb00994.x.
    """
    _check.positive("folds", samples=samples, count=count)
    _check.within("folds", 2, samples, count=count)
    order = np.asarray(jax.random.permutation(key, samples))
    if labels is not None:
        if np.shape(labels) != (samples,):
            raise ValueError(f"folds: labels must be one for each of {samples} samples, got {_check.describe(labels)}")
        order = order[np.argsort(np.asarray(labels)[order], kind="stable")]
        order = np.concatenate([order[i::count] for i in range(count)])  # dealt out like cards that are sorted by label
    sizes = samples // count + (np.arange(count) < samples % count)
    return Folds(order, np.cumsum(sizes) - sizes, sizes)


def run_on_folds(step: Step, folds: Folds, fold: int | jax.Array, *, batch_size: int) -> Run:
    """Makes a run that goes over all samples but those of one fold, as `train.run` does over all.

    `fold` may be traced, so that all folds are members of one population, which share the data; see `evaluate_on_folds`. An epoch
    has as many steps as that of the fold with the fewest samples to train on, so that members stay together.

    Args:
      step: what is done with every batch.
      folds: from `train.folds`.
      fold: which is held out.
      batch_size: samples in a batch.

    Returns:
      A Run over the whole data.

    Raises:
      TypeError: if `fold` is not an integer.
      ValueError: if there is no such fold, or `batch_size` is larger than the samples to train on; at the first step, if the data
        are not those of the folds.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> data = jnp.ones((10, 2)), jnp.ones((10, 1))
      >>> objective, folds = train.objective(L.dense(1), losses.mean_squared_error), train.folds(jax.random.key(0), 10, 3)
      >>> def make(fold):
      ...     return train.run_on_folds(train.step(objective, optax.sgd(0.1)), folds, fold, batch_size=3)
      >>> members = train.population(make, {"fold": jnp.arange(3)})
      >>> train_state = members.init(jax.random.split(jax.random.key(1), 3), data)
      >>> train_state, metrics = members.advance(train_state, data, 4)
      >>> train_state.epoch.tolist()
      [2, 2, 2]
    """
    _check.indices("run_on_folds", "fold", _check.array(fold), folds.sizes.size)
    samples, fewest = folds.order.size, int(folds.order.size - folds.sizes.max())
    if batch_size > fewest:
        raise ValueError(f"run_on_folds: batch_size {batch_size} is larger than {fewest}, the samples to train on")

    def advance(train_state: TrainState, data: Any, steps: int) -> tuple[TrainState, dict[str, jax.Array]]:
        _fitting("run_on_folds", data, folds)
        size = jnp.asarray(folds.sizes)[fold]
        first = jnp.asarray(folds.starts)[fold] + size

        def choose(order: jax.Array, positions: jax.Array) -> jax.Array:
            later = placed(order, positions, samples - size, most=samples)
            return jnp.asarray(folds.order)[(first + later) % samples]

        return in_order(step, choose, fewest, batch_size, train_state, data, steps)

    def left(train_state: TrainState, data: Any) -> jax.Array:
        return steps_left(train_state, fewest, batch_size)

    return Run(run(step, batch_size=batch_size).init, advance, left)


def evaluate_on_folds(objective: Objective, folds: Folds, data: Any, *, batch_size: int = 1024) -> jax.tree_util.Partial:
    """Makes the function from a train state to the objective's metrics over the fold that it holds out, in evaluation mode.

    As `train.evaluate`, for members of a population with the hyperparameter `fold`: averages are over the samples of each fold,
    exactly, also where folds differ in size.

    Args:
      objective: what to measure.
      folds: from `train.folds`.
      data: all of them: a tree of arrays with one first axis, that of samples.
      batch_size: samples at a time.

    Returns:
      A `jax.tree_util.Partial` from a train state (of one member) to named scalars.

    Raises:
      ValueError: if the data are not those of the folds; when called, if the train state has no hyperparameter `fold`.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> data = jnp.arange(20.0).reshape(10, 2), jnp.zeros((10, 1))
      >>> objective, folds = train.objective(L.dense(1), losses.mean_squared_error), train.folds(jax.random.key(0), 10, 3)
      >>> train_state = train.step(objective, optax.sgd(0.1)).init(jax.random.key(1), data)
      >>> train_state = train_state.replace(hyperparameters={"fold": 2})
      >>> held_out = tuple(a[folds.held_out(2)] for a in data)
      >>> by_fold, by_hand = train.evaluate_on_folds(objective, folds, data), train.evaluate(objective, held_out)
      >>> bool(jnp.isclose(by_fold(train_state)["loss"], by_hand(train_state)["loss"]))
      True
    """
    _check.positive("evaluate_on_folds", batch_size=batch_size)
    _fitting("evaluate_on_folds", data, folds)
    common, unequal = int(folds.sizes.min()), bool(np.ptp(folds.sizes))

    def measure(data: Any, order: jax.Array, train_state: TrainState) -> dict[str, jax.Array]:
        if "fold" not in train_state.hyperparameters:
            got = f"it has {sorted(train_state.hyperparameters)}; give hyperparameters={{'fold': np.arange({folds.sizes.size})}}"
            raise ValueError(f"evaluate_on_folds: the train state has no hyperparameter 'fold', {got}")
        fold = train_state.hyperparameters["fold"]

        def of(positions: jax.Array) -> dict[str, jax.Array]:
            samples = jax.tree.map(lambda a: a[order[positions % order.size]], data)
            return objective.apply(train_state.params, train_state.state, samples, None, train=False)[1][1]

        start = jnp.asarray(folds.starts)[fold]
        metrics = over_batches(of, start + jnp.arange(common), batch_size)
        if not unequal:
            return metrics
        more = jnp.asarray(folds.sizes)[fold] > common
        last = of(start + jnp.array([common]))  # counts for the folds that have one sample more
        return jax.tree.map(lambda m, one: jnp.where(more, (m * common + one) / (common + 1), m), metrics, last)

    return jax.tree_util.Partial(measure, jax.tree.map(jnp.asarray, data), jnp.asarray(folds.order))


def _fitting(name: str, data: Any, folds: Folds) -> None:
    if rows(data) != folds.order.size:
        raise ValueError(f"{name}: folds are of {folds.order.size} samples, the data are {rows(data)}")
