"""What is known of runs: read from their folders, or from what a sweep returned."""

import itertools
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jdl.metrics._interval import Interval, interval

_LONGEST = 24  # letters of a setting in a chart


class Found(NamedTuple):
    """A run or a sweep.

    Attributes:
      name: of its folder.
      history: metrics `(epochs, members)`, those of a sweep `(epochs, settings, seeds)`; vectors have one axis more, matrices two;
        `epoch`, `step` and `seconds` `(epochs,)`.
      settings: hyperparameters of a sweep.
      config: what `fit` was called with.
      environment: of each start.
      labels: of settings that are long, such as functions and what they are made of; here in full.
    """

    name: str
    history: dict[str, np.ndarray]
    settings: dict[str, list[Any]]
    config: dict[str, Any]
    environment: dict[str, Any]
    labels: dict[str, str]

    @property
    def metrics(self) -> list[str]:
        """The metrics that are numbers, not vectors or matrices."""
        rank = 3 if self.settings else 2
        return [name for name, values in self.history.items() if "/" in name and values.ndim == rank]

    def last(self, name: str) -> np.ndarray:
        """A metric after the last epoch: `(members,)`, or `(settings, seeds)`."""
        return self.history[name][-1]


def found(run: Any) -> Found:
    """Reads a run's or a sweep's folder; or takes a `jdl.Sweep`. FileNotFoundError: there is neither. ValueError: it is damaged."""
    if isinstance(run, str | Path):
        folder = Path(run)
        if (folder / "sweep.json").exists():
            return _sweep(folder)
        if (folder / "metrics.jsonl").exists():
            return _run(folder)
        raise FileNotFoundError(f"html: {folder} holds neither metrics.jsonl, of jdl.fit, nor sweep.json, of jdl.sweep")
    if not run.settings:
        history = {name: values[:, 0] if "/" in name else values for name, values in run.history.items()}
        return Found("sweep", _as_arrays(history), {}, {}, {}, {})
    settings, labels = _labelled(run.settings)
    return Found("sweep", _as_arrays(run.history), settings, {}, {}, labels)


def summary(values: np.ndarray) -> tuple[Interval | None, int]:
    """Mean and 95% interval of members that are finite, and how many these are."""
    finite = values[np.isfinite(values)]
    return (interval(finite) if finite.size else None), finite.size


def lower_is_better(metric: str) -> bool:
    """Whether low values of a metric are good, by its name."""
    return any(word in metric.lower() for word in ("loss", "error", "nll", "perplexity", "divergence", "norm"))


def _run(folder: Path) -> Found:
    history = _history(folder / "metrics.jsonl")
    if any("/" in name and values.ndim == 1 for name, values in history.items()):  # one run, no population: some metric is a number
        history = {name: values[:, None] if "/" in name else values for name, values in history.items()}
    config, environment = (_known(folder / name) for name in ("config.json", "environment.json"))
    return Found(folder.name or str(folder.resolve().name), history, {}, config, environment, {})


def _history(path: Path) -> dict[str, np.ndarray]:
    """The epochs, of which the last may be half written."""
    lines = path.read_bytes().split(b"\n")[:-1]
    try:
        records = [json.loads(line) for line in lines]
        names = {"epoch": (), "step": (), "seconds": ()} | records[0] if records else {}
        return {name: np.array([record[name] for record in records], float) for name in names}  # null becomes NaN
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"html: {path} is damaged, its lines are no records of epochs: {error!r}") from error


def _sweep(folder: Path) -> Found:
    about = _json(folder / "sweep.json")
    if not {"settings", "seeds", "groups"} <= about.keys():
        raise ValueError(f"html: {folder / 'sweep.json'} is not what jdl.sweep writes: settings, seeds and groups")
    seeds, groups = about["seeds"], about["groups"]
    parts, blocks = [], []
    for number, indices in enumerate(groups):
        places = sorted((folder / f"group-{number}").glob("members-*"), key=lambda path: int(path.name.split("-")[1]))
        starts = [int(path.name.split("-")[1]) for path in places] + [len(indices) * seeds]
        read = [_run(path) for path in places if (path / "metrics.jsonl").exists()]
        blocks += read
        kept = [block.history for block in read]
        counts = [b - a for a, b in itertools.pairwise(starts)]
        if starts[0] or len(read) < len(places) or any(_members(block) < count for block, count in zip(kept, counts)):
            raise ValueError(f"html: the sweep in {folder} has blocks without an epoch; wait until each has one")
        parts.append((indices, kept, counts, min(len(history["epoch"]) for history in kept)))
    epochs = min(part[3] for part in parts)
    order = np.argsort([i for indices, *_ in parts for i in indices])
    history: dict[str, np.ndarray] = {name: parts[0][1][0][name][:epochs] for name in ("epoch", "step")}
    history["seconds"] = np.sum([block["seconds"][:epochs] for _, kept, _, _ in parts for block in kept], 0)
    for name in (name for name in parts[0][1][0] if "/" in name):
        members = [block[name][:epochs, :count] for _, kept, counts, _ in parts for block, count in zip(kept, counts)]
        joined = np.concatenate(members, 1)
        history[name] = joined.reshape(epochs, -1, seeds, *joined.shape[2:])[:, order]
    settings, labels = _labelled(about["settings"])
    if not settings:
        history |= {name: values[:, 0] for name, values in history.items() if "/" in name}
    return Found(folder.name or str(folder.resolve().name), history, settings, blocks[0].config, blocks[0].environment, labels)


def _labelled(settings: Mapping[str, Sequence[Any]]) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """Settings of which those that are long are a short label, and these labels with what they stand for."""
    labels: dict[str, str] = {}

    def short(value: Any) -> Any:
        full = json.dumps(value) if isinstance(value, dict) else str(value)
        if len(full) <= _LONGEST:
            return value
        made = value.get("made by", full) if isinstance(value, dict) else getattr(value, "__qualname__", full)
        label = made if made is full else made.rpartition(".")[2]
        label = label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
        numbered = itertools.chain([label], (f"{label} {i}" for i in itertools.count(2)))
        label = next(one for one in numbered if labels.get(one, full) == full)
        labels[label] = full
        return label

    return {name: [short(value) for value in values] for name, values in settings.items()}, labels


def _as_arrays(history: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {name: np.asarray(values, float) for name, values in history.items()}


def _members(history: Mapping[str, np.ndarray]) -> int:
    """How many members a population has; none before its first epoch."""
    return next((values.shape[1] for name, values in history.items() if "/" in name), 0)


def _json(path: Path) -> dict[str, Any]:
    """A file of JSON with an object."""
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"html: {path} is damaged: {error}") from error
    if not isinstance(content, dict):
        raise ValueError(f"html: {path} must hold an object of JSON, not {type(content).__name__}")
    return content


def _known(path: Path) -> dict[str, Any]:
    """What else is known of a run; what can't be read, such as a file of somebody else, is left out with a warning."""
    try:
        return _json(path) if path.exists() else {}
    except ValueError as error:
        warnings.warn(f"{error}; it is left out", stacklevel=2)
        return {}
