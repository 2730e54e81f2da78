"""Whether one setting is better than another: tests on pairs of results that share a seed, a fold or a data set."""

from typing import Any, NamedTuple

import jax
import numpy as np

from jdl.functional import _check
from jdl.metrics._interval import Interval, interval


class Comparison(NamedTuple):
    """What a paired test finds.

    Attributes:
      difference: of the first setting minus the second, an Interval of the mean over pairs.
      p_value: how likely a difference at least as large is, either way, if the settings are equally good.
    """

    difference: Interval
    p_value: float


def paired_t_test(first: Any, second: Any, *, confidence: float = 0.95) -> Comparison:
    """Student's paired test: for few pairs (three and more) whose differences are about normal.

    Args:
      first: one number for each pair.
      second: likewise.
      confidence: of the interval of the difference, in (0, 1).

    Returns:
      A Comparison. If all differences are equal, the p-value is 1 where they are 0 and else 0.

    Raises:
      ValueError: if there are not two numbers for each of at least two pairs.

    Example:
      >>> from jdl import metrics
      >>> found = metrics.paired_t_test([0.91, 0.93, 0.92, 0.95], [0.90, 0.91, 0.91, 0.92])
      >>> found.difference.mean.round(4).item(), round(found.p_value, 3)
      (0.0175, 0.035)

    Source: Student, "The Probable Error of a Mean", https://doi.org/10.2307/2331554.
    """
    from scipy import special  # here, since it takes longer to import than all of jdl

    difference = _differences("paired_t_test", first, second)
    found = interval(difference, confidence=confidence)
    if found.deviation == 0:
        return Comparison(found, float(found.mean == 0))
    t = abs(found.mean) / (found.deviation / np.sqrt(difference.size))
    return Comparison(found, float(2 * special.stdtr(difference.size - 1, -t)))


def wilcoxon_test(first: Any, second: Any, *, confidence: float = 0.95) -> Comparison:
    """Wilcoxon's signed-rank test: for pairs of any scale, such as data sets, of which only the order of differences counts.

    Fewer than six pairs can't give a p-value below 0.05.

    Args:
      first: one number for each pair.
      second: likewise.
      confidence: of the interval of the difference, in (0, 1).

    Returns:
      A Comparison. Pairs without difference are left out of the test; if all are, the p-value is 1.

    Raises:
      ValueError: if there are not two numbers for each of at least two pairs.

    Example:
      >>> from jdl import metrics
      >>> metrics.wilcoxon_test([5.0, 7.0, 9.0, 4.0, 6.0, 8.0], [4.0, 5.0, 6.0, 0.0, 1.0, 2.0]).p_value
      0.03125

    Source: Wilcoxon, "Individual Comparisons by Ranking Methods", https://doi.org/10.2307/3001968.
    """
    from scipy import stats  # here, since it takes longer to import than all of jdl

    difference = _differences("wilcoxon_test", first, second)
    found = interval(difference, confidence=confidence)
    if not (some := difference[difference != 0]).size:
        return Comparison(found, 1.0)
    return Comparison(found, float(stats.wilcoxon(some).pvalue))  # type: ignore[attr-defined]


def permutation_test(key: jax.Array, first: Any, second: Any, *, resamples: int = 10_000, confidence: float = 0.95) -> Comparison:
    """The paired permutation test: how often the mean difference is as large if each pair is swapped by chance.

    It assumes nothing about how results are distributed. It is exact if all ways to swap (`2**pairs`) are no more than `resamples`,
    else these are drawn.

    Args:
      key: a typed key, for ways that are drawn.
      first: one number for each pair.
      second: likewise.
      resamples: how many ways to swap are tried at most.
      confidence: of the interval of the difference, in (0, 1).

    Returns:
      A Comparison.

    Raises:
      ValueError: if there are not two numbers for each of at least two pairs, or `resamples` is no positive integer.

    Example:
      >>> import jax
      >>> from jdl import metrics
      >>> metrics.permutation_test(jax.random.key(0), [5.0, 7.0, 9.0, 4.0], [4.0, 5.0, 6.0, 0.0]).p_value
      0.125

    Source: Fisher, "The Design of Experiments" (1935), section 21.
    """
    _check.positive("permutation_test", resamples=resamples)
    difference = _differences("permutation_test", first, second)
    exact = 2.0**difference.size <= resamples
    if exact:
        swapped = np.arange(2**difference.size)[:, None] >> np.arange(difference.size) & 1
    else:
        swapped = np.asarray(jax.random.bernoulli(key, shape=(resamples, difference.size)))
    sums = np.abs(np.where(swapped, -difference, difference).sum(1))
    found = abs(difference.sum())
    hits = (sums >= found - 1e-9 * np.abs(difference).sum()).sum()  # equal sums may be rounded otherwise
    p_value = hits / len(sums) if exact else (hits + 1) / (len(sums) + 1)  # the order as found is one of them
    return Comparison(interval(difference, confidence=confidence), float(p_value))


def _differences(name: str, first: Any, second: Any) -> np.ndarray:
    first, second = np.asarray(first, float), np.asarray(second, float)
    if first.shape != second.shape or first.ndim != 1 or first.size < 2:
        got = f"{_check.describe(first)} and {_check.describe(second)}"
        raise ValueError(f"{name}: takes two lists of equally many numbers, at least two, got {got}")
    return first - second
