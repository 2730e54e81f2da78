"""One page about runs, in one file, that needs nothing else."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jdl.checkpoint import _files
from jdl.report import _sections as sections
from jdl.report import _svg as svg
from jdl.report._found import Found, found
from jdl.report._style import STYLE

_MARK = '<meta name="generator" content="jdl.report">'


def html(*runs: Any, path: str | Path | None = None, metric: str | None = None) -> Path:
    """Writes a page that shows runs, and compares them: one file, read without a network, in the light and in the dark.

    It has the last metrics with 95% intervals over members, curves with bands from the lowest to the highest member, how settings
    differ, times and memory, environments; of a sweep also a ranking, a heat map, parallel coordinates and the effect of each
    hyperparameter; and confusion matrices, of metrics whose value is a square matrix. Metrics with further names, such as
    `train/gradient_norm/0/kernel`, share a chart.

    Args:
      *runs: folders of `jdl.fit` or `jdl.sweep`, or a `jdl.Sweep`.
      path: of the page, or of a folder that gets a `report.html`; the first run's if not given. An older page of this function is
        replaced.
      metric: by which settings are ranked; the first one evaluated if not given. Low values are best where the name says so: loss,
        error, and the like.

    Returns:
      Where the page is.

    Raises:
      FileNotFoundError: if a folder is no run's.
      FileExistsError: if there is another file; nothing is overwritten.
      ValueError: if there are no runs, a run has no epochs yet, or no such metric, or is damaged, or there is no folder or path.

    Example:
      >>> import tempfile, jax, jax.numpy as jnp, optax, jdl
      >>> from jdl import layers as L, losses, report, train
      >>> data = jnp.ones((8, 2)), jnp.ones((8, 1))
      >>> run = train.run(train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.adam(0.1)), batch_size=4)
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     _ = jdl.fit(run, data, jax.random.key(0), epochs=2, folder=folder, progress=False)
      ...     report.html(folder).name
      'report.html'
    """
    if not runs:
        raise ValueError("html: give at least one folder of a run")
    place = _place(runs, path)
    known = _named([found(run) for run in runs])
    for run in known:
        if not run.metrics:
            raise ValueError(f"html: {run.name} has no epochs yet")
        if metric is not None and metric not in run.metrics:
            raise ValueError(f"html: {run.name} has no metric {metric!r}, only {', '.join(run.metrics)}")
    os.makedirs(place.parent, exist_ok=True)
    _files.write(place, page(known, metric).encode())
    return place


def page(runs: Sequence[Found], metric: str | None) -> str:
    """The page's text."""
    parts = [sections.results(runs), sections.curves(runs, metric)]
    parts += [sections.sweep(run, metric or sections.main_metric(run)) for run in runs if run.settings]
    parts += [sections.matrices(runs), sections.differences(runs), sections.resources(runs), sections.details(runs)]
    names = svg.escape(" · ".join(run.name for run in runs))
    view = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
    head = f"<head>{_MARK}{view}<title>{names}</title><style>{STYLE}</style></head>"
    return f'<!doctype html><html lang="en">{head}<body><main><h1>{names}</h1>{"".join(parts)}</main></body></html>\n'


def _place(runs: Sequence[Any], path: str | Path | None) -> Path:
    folders = [Path(run) for run in runs if isinstance(run, str | Path)]
    if path is None and not folders:
        raise ValueError("html: give the path of the page, as there is no folder to put it in")
    place = Path(path) if path is not None else folders[0]
    if path is None or place.is_dir():
        place = place / "report.html"
    if place.exists() and _MARK.encode() not in place.read_bytes()[:1000]:
        raise FileExistsError(f"html: {place} exists and is no report; give another path, nothing was overwritten")
    return place


def _named(runs: Sequence[Found]) -> list[Found]:
    """Runs with names that tell them apart."""
    names = [run.name for run in runs]
    return [run._replace(name=f"{run.name} ({i + 1})") if names.count(run.name) > 1 else run for i, run in enumerate(runs)]
