"""When to save, and what to keep."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from jdl.checkpoint._store import Saved
from jdl.functional import _check

Keep = Callable[[Sequence[Saved]], set[int]]


def keep(last: int = 2, *, best: int = 0, by: str | None = None, highest: bool = False, every: int | None = None) -> Keep:
    """Makes the rule of what to keep: the newest, the best, and milestones. The rest is deleted after each save.

    Nothing is deleted before the newest has been read back and found good, and that one always stays.

    Args:
      last: how many of the newest, at least 1.
      best: how many of the best.
      by: name of the metric that says which are best, such as `evaluate/loss`; those saved without it are never among them.
      highest: whether high values are good; by default, low ones are.
      every: steps that are multiples of this stay for good.

    Returns:
      A function from complete checkpoints, as in `steps`, to the steps to keep; any such function does.

    Raises:
      ValueError: if a number is out of range, or of `best` and `by` there is only one.

    Example:
      >>> from jdl import checkpoint
      >>> rule = checkpoint.keep(last=1, best=1, by="loss", every=100)
      >>> there = [checkpoint.Saved(step, True, {"loss": loss}, None) for step, loss in [(100, 3), (150, 1), (180, 2), (190, 2)]]
      >>> sorted(rule(there))
      [100, 150, 190]
    """
    _check.positive("keep", last=last, **({} if every is None else {"every": every}))
    _check.within("keep", 0, float("inf"), best=best)
    if (best > 0) != (by is not None):
        raise ValueError(f"keep: best is how many, by is the metric that says which; give both or neither, got {best} and {by!r}")

    def kept(there: Sequence[Saved]) -> set[int]:
        value = lambda saved: saved.metrics.get(by, math.nan)
        newest = sorted(there, key=lambda saved: saved.step)[-last:]
        ranked = sorted((saved for saved in there if not math.isnan(value(saved))), key=value, reverse=highest)[:best]
        milestones = [saved for saved in there if every and saved.step % every == 0]
        return {saved.step for saved in (*newest, *ranked, *milestones)}

    return kept


class Every(NamedTuple):
    """When `jdl.fit` saves, and what it keeps; made by `every`.

    Attributes:
      seconds: at least this long after the last one.
      steps: at the multiples of this.
      epochs: at the end of every so many.
      keep: from complete checkpoints to the steps to keep.
    """

    seconds: float | None
    steps: int | None
    epochs: int | None
    keep: Keep


def every(*, seconds: float | None = None, steps: int | None = None, epochs: int | None = None, keep: Keep = keep()) -> Every:
    """Makes the plan of when `jdl.fit` saves: whatever of these comes first, and always at the end and when it is stopped.

    Args:
      seconds: since the last one.
      steps: at every multiple of this number of steps.
      epochs: at the end of every so many epochs, after evaluation: only such checkpoints have metrics, to choose the best by.
      keep: what is kept, from `keep`.

    Returns:
      An Every.

    Raises:
      ValueError: if none is given, or a number is not positive.

    Example:
      >>> from jdl import checkpoint
      >>> plan = checkpoint.every(epochs=1, keep=checkpoint.keep(last=3, best=1, by="evaluate/loss"))
    """
    if seconds is None and steps is None and epochs is None:
        raise ValueError("every: give seconds, steps or epochs")
    _check.positive("every", **{name: n for name, n in {"steps": steps, "epochs": epochs}.items() if n is not None})
    if seconds is not None:
        _check.above_zero("every", seconds=seconds)
    return Every(seconds, steps, epochs, keep)
