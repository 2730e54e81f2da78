"""How to divide a budget between many settings and long runs."""

from typing import NamedTuple

from jdl.functional import _check


class Bracket(NamedTuple):
    """One run of successive halving.

    Attributes:
      settings: how many to begin with.
      steps: what each gets before the first halving.
      rungs: how often the survivors are measured; the best get `steps * factor**(rungs - 1)`.
    """

    settings: int
    steps: int
    rungs: int


def hyperband(steps: int, *, factor: int = 3) -> list[Bracket]:
    """The brackets of Hyperband: from many settings that are halved early to few that are trained to the end.

    With `s_max = floor(log(steps) / log(factor))`, bracket `s = s_max, ..., 0` has `ceil((s_max + 1) factor^s / (s + 1))` settings,
    `steps / factor^s` steps at first and `s + 1` rungs; so all cost about the same, however early or late scores can be trusted.

    Args:
      steps: the most that any setting gets, at least 1; a power of `factor`, or a multiple of one, leaves no remainders.
      factor: of `train.successive_halving`, at least 2.

    Returns:
      Brackets, that with the most settings first.

    Raises:
      ValueError: if a number is out of range.

    Example:
      >>> from jdl import search
      >>> for bracket in search.hyperband(9):
      ...     print(*bracket)
      9 1 3
      5 3 2
      3 9 1

    Source: Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", https://arxiv.org/abs/1603.06560.
    """
    _check.positive("hyperband", steps=steps, factor=factor)
    _check.within("hyperband", 2, float("inf"), factor=factor)
    most = 0
    while factor ** (most + 1) <= steps:
        most += 1
    ceil = lambda above, below: -(-above // below)
    return [Bracket(ceil((most + 1) * factor**s, s + 1), steps // factor**s, s + 1) for s in range(most, -1, -1)]
