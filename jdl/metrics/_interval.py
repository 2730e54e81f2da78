"""Error bars."""

from typing import Any, NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A mean over members with its spread; fields have the shape of one member's value.

    Attributes:
      mean: over members.
      deviation: standard deviation of a member, with n - 1.
      low: lower end of the confidence interval of the mean.
      high: its upper end.
    """

    mean: np.ndarray
    deviation: np.ndarray
    low: np.ndarray
    high: np.ndarray


def interval(values: Any, *, axis: int = -1, confidence: float = 0.95) -> Interval:
    """Student's confidence interval of a mean over members (seeds): `mean ± t deviation / sqrt(n)`.

    Args:
      values: numbers, with members along `axis`.
      axis: the axis of members.
      confidence: in (0, 1).

    Returns:
      An Interval; of a single member, deviation and ends are NaN.

    Raises:
      ValueError: if there are no members.

    Example:
      >>> from jdl import metrics
      >>> metrics.interval([1.0, 2.0, 3.0]).low.round(3).item()
      -0.484

    Source: Student, "The Probable Error of a Mean", https://doi.org/10.2307/2331554.
    """
    from scipy import special  # here, since it takes longer to import than all of jdl

    values = np.asarray(values, float)
    if not (n := values.shape[axis]):
        raise ValueError("interval: there are no members")
    mean = values.mean(axis)
    deviation = values.std(axis, ddof=1) if n > 1 else np.full_like(mean, np.nan)
    half = special.stdtrit(max(n - 1, 1), (1 + confidence) / 2) * deviation / np.sqrt(n)
    return Interval(mean, deviation, mean - half, mean + half)
