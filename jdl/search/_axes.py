"""What one hyperparameter may be."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jdl.functional import _check

Axis = Callable[[np.ndarray], Any]  # from numbers in [0, 1) to values


def uniform(low: float, high: float) -> Axis:
    """All numbers from `low` to `high` alike.

    Args:
      low: the smallest.
      high: the largest.

    Returns:
      A function from numbers in [0, 1) to values.

    Raises:
      ValueError: if `high` is less than `low`.

    Example:
      >>> from jdl import search
      >>> search.uniform(2.0, 4.0)(0.5)
      3.0
    """
    _check.ordered("uniform", low=low, high=high)
    return lambda share: low + (high - low) * share


def log_uniform(low: float, high: float) -> Axis:
    """All orders of magnitude from `low` to `high` alike: for learning rates and strengths.

    Args:
      low: the smallest, above 0.
      high: the largest.

    Returns:
      A function from numbers in [0, 1) to values.

    Raises:
      ValueError: if `low` is not above 0, or `high` is less.

    Example:
      >>> from jdl import search
      >>> search.log_uniform(1e-4, 1e-2)(0.5).round(6).item()
      0.001
    """
    _check.above_zero("log_uniform", low=low)
    _check.ordered("log_uniform", low=low, high=high)
    return lambda share: np.exp(np.log(low) + (np.log(high) - np.log(low)) * share)


def choice(values: Sequence[Any]) -> Axis:
    """One of some values, all alike: numbers, or Python objects that decide shapes.

    Args:
      values: at least one.

    Returns:
      A function from numbers in [0, 1) to a list of values.

    Raises:
      ValueError: if there are none.

    Example:
      >>> import numpy as np
      >>> from jdl import search
      >>> search.choice([16, 32, 64])(np.array([0.1, 0.9]))
      [16, 64]
    """
    if not len(values):
        raise ValueError("choice: there must be a value to choose, got none")
    return lambda share: [values[int(i)] for i in np.floor(np.asarray(share) * len(values)).ravel()]
