"""The progress bar of `fit`."""

import time
from typing import Any

import numpy as np

from jdl.report._logs import members

_EVERY = 10.0  # seconds between two lines, where the output is not a terminal
_REDRAWN = 0.1  # seconds between two pictures of the bar, on a terminal


class Progress:
    """A bar over epochs with the latest metrics: the mean over members and, for several, the standard deviation.

    Where the output is not a terminal, which can't redraw, a line is printed every ten seconds, and one for the last epoch.
    """

    def __init__(self, epochs: int, samples: int, *, shown: bool):
        from rich import console, progress, table

        self._console = console.Console()
        self._lines = shown and not self._console.is_terminal
        fits = table.Column(ratio=1, no_wrap=True, overflow="ellipsis")
        columns = (
            progress.TextColumn("epoch {task.fields[epoch]}"),
            progress.BarColumn(bar_width=12),
            progress.TextColumn("{task.fields[text]}", markup=False, table_column=fits),
            progress.TextColumn("{task.fields[speed]}", style="cyan"),
            progress.TimeElapsedColumn(),
            progress.TextColumn("{task.fields[left]}", style="cyan"),
        )
        bar = progress.Progress(*columns, console=self._console, expand=True, disable=not shown or self._lines)
        self._bar, self._epochs, self._samples = bar, epochs, samples
        fields: dict[str, Any] = {"epoch": f"0/{epochs}", "text": "compiling", "speed": "", "left": ""}
        self._task = self._bar.add_task("", total=epochs, **fields)
        self._begun: tuple[float, float] | None = None  # when the first chunk of this call was over, and at which epoch
        self._told = time.perf_counter()  # when metrics were

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def show(self, epochs: float, record: dict[str, Any] | None = None) -> None:
        """Moves the bar to a number of epochs, and tells a new epoch's metrics."""
        now = time.perf_counter()
        self._begun = self._begun or (now, epochs)
        begin, before = self._begun
        fields: dict[str, Any] = self._pace((epochs - before) / (now - begin), self._epochs - epochs) if epochs > before else {}
        self._bar.update(self._task, completed=epochs, **fields)
        if record and (now - self._told >= (_EVERY if self._lines else _REDRAWN) or record["epoch"] == self._epochs):
            self._told = now
            epoch, text = f"{record['epoch']}/{self._epochs}", describe(record)
            self._bar.update(self._task, text=text, epoch=epoch)
            if self._lines:
                line = "  ".join((f"epoch {epoch}", text, *fields.values()))
                self._console.print(line, soft_wrap=True, highlight=False, markup=False)

    def _pace(self, speed: float, rest: float) -> dict[str, str]:
        """Samples a second, each member's own, and the time left, at so many epochs a second."""
        return {"speed": f"{_short(speed * self._samples)} samples/s", "left": f"{_clock(rest / speed)} left"}


def describe(record: dict[str, Any]) -> str:
    """The metrics of a record in one line, the evaluated ones where there are any, and how many members are alive.

    Those with other axes than members are left out.
    """
    prefix = "evaluate/" if any(name.startswith("evaluate/") for name in record) else "train/"
    measured = {name: np.asarray(value, float) for name, value in record.items() if "/" in name}
    measured = {name: value for name, value in measured.items() if value.shape == members(record)}
    finite = np.all([np.isfinite(value) for value in measured.values()], 0) if measured else np.array(True)
    parts = [] if finite.all() else [f"{finite.sum()}/{finite.size} alive" if finite.ndim else "not finite"]
    for name, value in measured.items():
        if name.startswith(prefix):
            alive = value[finite]
            spread = f" ±{np.std(alive, ddof=1):.2g}" if alive.size > 1 else ""
            mean = np.mean(alive) if alive.size else np.nan
            parts.append(f"{name.removeprefix(prefix)} {mean:.4g}{spread}")
    return "  ".join(parts)


def _short(number: float) -> str:
    for unit in ("", "k", "M"):
        if number < 999.5:
            return f"{number:.3g}{unit}"
        number /= 1000
    return f"{number:.3g}G"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
