"""Which settings to try."""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jdl.functional import _check
from jdl.search._axes import Axis

Settings = dict[str, Any]


def grid(**axes: Sequence[Any]) -> Settings:
    """Every combination of values.

    Args:
      **axes: the values of each hyperparameter.

    Returns:
      A dict by hyperparameter, with an entry for each setting; the last hyperparameter changes fastest.

    Raises:
      ValueError: if a hyperparameter has no values.

    Example:
      >>> from jdl import search
      >>> search.grid(rate=[0.0, 0.5], width=[16, 32])
      {'rate': [0.0, 0.0, 0.5, 0.5], 'width': [16, 32, 16, 32]}
    """
    if empty := [name for name, values in axes.items() if not len(values)]:
        raise ValueError(f"grid: {empty[0]} has no values")
    return {name: list(values) for name, values in zip(axes, zip(*itertools.product(*axes.values())))}


def random(key: jax.Array, settings: int, **axes: Axis) -> Settings:
    """Settings drawn at random: of the same number, more different values of each hyperparameter than a grid has.

    Args:
      key: a typed key.
      settings: how many.
      **axes: what each hyperparameter may be, such as `log_uniform(1e-4, 1e-1)`.

    Returns:
      A dict by hyperparameter, with an entry for each setting.

    Raises:
      ValueError: if `settings` is not positive.

    Example:
      >>> import jax
      >>> from jdl import search
      >>> drawn = search.random(jax.random.key(0), 20, learning_rate=search.log_uniform(1e-4, 1e-1))
      >>> drawn["learning_rate"].shape
      (20,)

    Source: Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization", https://jmlr.org/papers/v13/bergstra12a.html.
    """
    _check.positive("random", settings=settings)
    shares = np.asarray(jax.random.uniform(key, (len(axes), settings)), np.float64)
    return {name: axis(share) for (name, axis), share in zip(axes.items(), shares)}


def sobol(key: jax.Array, settings: int, **axes: Axis) -> Settings:
    """Settings that fill the space evenly: a scrambled Sobol sequence.

    Args:
      key: a typed key, of the scrambling.
      settings: how many; a power of 2 fills best.
      **axes: what each hyperparameter may be, such as `log_uniform(1e-4, 1e-1)`.

    Returns:
      A dict by hyperparameter, with an entry for each setting.

    Raises:
      ValueError: if `settings` is not positive.

    Example:
      >>> import jax, numpy as np
      >>> from jdl import search
      >>> drawn = search.sobol(jax.random.key(0), 8, rate=search.uniform(0, 1))["rate"]
      >>> np.histogram(drawn, 8, (0, 1))[0].tolist()
      [1, 1, 1, 1, 1, 1, 1, 1]

    Source: Sobol, "On the distribution of points in a cube and the approximate evaluation of integrals",
    https://doi.org/10.1016/0041-5553(67)90144-9; scrambled: Owen, https://doi.org/10.1006/jcom.1998.0487.
    """
    _check.positive("sobol", settings=settings)
    from scipy.stats import qmc  # here, since it takes longer to import than all of jdl

    seed = int(jax.random.bits(key))
    points = qmc.Sobol(len(axes), rng=np.random.default_rng(seed)).random(2 ** (settings - 1).bit_length())[:settings]
    return {name: axis(share) for (name, axis), share in zip(axes.items(), points.T)}
