"""Cross-validation of many settings as one population."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from jdl.loop._sweep import Sweep, alike_in_length, sweep
from jdl.train import Folds, Run
from jdl.train._state import unused


def cross_validate(
    make_run: Callable[..., Run],
    data: Any,
    folds: Folds,
    *,
    hyperparameters: Mapping[str, Any] | None = None,
    **options: Any,
) -> Sweep:
    """Trains every setting on every fold with every seed, as `jdl.sweep` does: all folds in one program, over the same data.

    Intervals and tests over folds are too sure of themselves, since any two folds share most of what they train on. Differences
    between settings are still what they are for: all have the same folds.

    Args:
      make_run: from `fold` and hyperparameters, by keyword, to a run, such as `train.run_on_folds(step, folds, fold, ...)`.
      data: all of them: a tree of arrays with one first axis, that of samples.
      folds: from `train.folds`.
      hyperparameters: as in `jdl.sweep`.
      **options: as in `jdl.sweep`: `epochs`, `seeds`, `evaluate` (such as `train.evaluate_on_folds(objective, folds, data)`), ...

    Returns:
      A Sweep in which folds take the place of seeds; with several seeds, the member of fold i and seed j is `i * seeds + j`.

    Raises:
      ValueError: if a hyperparameter is named `fold`, and as `jdl.sweep` does.

    Example:
      >>> import jax, jax.numpy as jnp, optax, jdl
      >>> from jdl import layers as L, losses, train
      >>> data = jnp.linspace(-1, 1, 50).reshape(-1, 1), jnp.linspace(1, 3, 50).reshape(-1, 1)
      >>> objective, folds = train.objective(L.dense(1), losses.mean_squared_error), train.folds(jax.random.key(0), 50, 3)
      >>> def make_run(fold, learning_rate):
      ...     return train.run_on_folds(train.step(objective, optax.adam(learning_rate)), folds, fold, batch_size=11)
      >>> found = jdl.cross_validate(
      ...     make_run,
      ...     data,
      ...     folds,
      ...     hyperparameters={"learning_rate": [0.1, 1e-4]},
      ...     evaluate=train.evaluate_on_folds(objective, folds, data),
      ...     epochs=20,
      ...     progress=False,
      ... )
      >>> found.history["evaluate/loss"].shape, bool(found.compare(0, 1, "evaluate/loss").difference.mean < 0)
      ((20, 2, 3), True)

    Source: Stone, "Cross-Validatory Choice and Assessment of Statistical Predictions",
    https://doi.org/10.1111/j.2517-6161.1974.tb00994.x; on intervals: Bengio and Grandvalet, "No Unbiased Estimator of the Variance
    of K-Fold Cross-Validation", https://www.jmlr.org/papers/v5/grandvalet04a.html.
    """
    if "fold" in (hyperparameters or {}):
        raise ValueError("cross_validate: a hyperparameter may not be named 'fold', every setting has all folds")
    count = folds.sizes.size
    settings, size = alike_in_length("cross_validate", hyperparameters or {})
    each = {name: [value for value in values for _ in range(count)] for name, values in settings.items()}
    found = sweep(make_run, data, hyperparameters=each | {"fold": np.tile(np.arange(count), size)}, **options)

    merge = lambda a, axis: a.reshape(*a.shape[:axis], a.shape[axis] // count, count * a.shape[axis + 1], *a.shape[axis + 2 :])
    history = {name: merge(values, 1) if "/" in name else values for name, values in found.history.items()}
    members = functools.partial(jax.tree.map, lambda a: merge(unused(a), 0))
    groups = [([i // count for i in indices[::count]], members(train_states)) for indices, train_states in found.groups]
    return Sweep(settings, history, groups)
