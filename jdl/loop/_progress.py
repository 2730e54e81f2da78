"""The progress bar of `fit`."""

from typing import Any

import numpy as np


class Progress:
    """A bar over epochs with the latest metrics: the mean over members and, for several, the standard deviation."""

    def __init__(self, epochs: int, *, shown: bool):
        from rich import progress

        columns = (
            progress.TextColumn("epoch {task.fields[epoch]}"),
            progress.BarColumn(),
            progress.TextColumn("{task.fields[text]}"),
        )
        self._bar = progress.Progress(*columns, progress.TimeElapsedColumn(), progress.TimeRemainingColumn(), disable=not shown)
        self._task = self._bar.add_task("", total=epochs, epoch=f"0/{epochs}", text="compiling")
        self._epochs = epochs

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def show(self, epochs: float, record: dict[str, Any] | None = None) -> None:
        """Moves the bar to a number of epochs, and tells a new epoch's metrics."""
        self._bar.update(self._task, completed=epochs)
        if record:
            self._bar.update(self._task, text=describe(record), epoch=f"{record['epoch']}/{self._epochs}")


def describe(record: dict[str, Any]) -> str:
    """The metrics of a record in one line, the evaluated ones where there are any."""
    prefix = "evaluate/" if any(name.startswith("evaluate/") for name in record) else "train/"
    parts = []
    for name, value in record.items():
        if name.startswith(prefix):
            value = np.asarray(value, float)  # in float32, squares of what diverges overflow
            with np.errstate(invalid="ignore"):
                spread = f" ±{np.std(value, ddof=1):.4f}" if value.size > 1 else ""
                parts.append(f"{name.removeprefix(prefix)} {np.mean(value):.4f}{spread}")
    return "  ".join(parts)
