"""The checkpoints of `fit`: whose they are, when they are made, and how a run goes on from them."""

import contextlib
import json
import time
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jdl.checkpoint import Every, Mismatch, SaveError, Saver
from jdl.checkpoint import _files as files
from jdl.checkpoint._arrays import snapshot
from jdl.checkpoint._restore import newest
from jdl.checkpoint._together import first, largest
from jdl.loop._journey import Journey, restored
from jdl.loop._programs import Programs
from jdl.train import TrainState


class Checkpoints:
    """The checkpoints in a run's folder, while `fit` has them; made by `opened`. Without a folder or a plan there are none."""

    def __init__(self, folder: Path | None, plan: Every | None, saver: Saver | None):
        self._folder, self._plan, self._saver = folder, plan, saver
        self._saved: tuple[int, int, int] | None = None  # the newest position that was saved
        self._number, self._failed = -1, False  # of its checkpoint, and whether it could not be written
        self._time = time.perf_counter()

    def restore(self, abstract: Callable[[], TrainState]) -> Journey | None:
        """The journey from the newest good checkpoint, if there is any."""
        if self._saver is None:
            return None
        folder = self._saver.folder
        try:
            found = newest(folder) if first() else None
        except FileNotFoundError:
            found = None
        step = largest(found[0].step if found else -1)
        if step < 0:
            return None
        manifest, arrays, _ = found or newest(folder, step)
        try:
            journey = restored(abstract(), manifest, arrays)
        except Mismatch as error:
            raise self._another(f"its train state differs:\n{error.report}") from None
        self._saved, self._number = journey.mark(), manifest.step
        return journey

    def identify(self, key: jax.Array, data: Any, programs: Programs) -> None:
        """Raises FileExistsError if the folder is another run's, and writes whose it is where nobody has yet."""
        if self._folder is None:
            return
        ours = _identity(key, data, programs) if self._saver is not None else {}
        if not first():
            return
        path, metrics = self._folder / "run.json", self._folder / "metrics.jsonl"
        if self._saver is not None and path.exists():
            if difference := _difference(_read(path), ours):
                raise self._another(difference)
        elif metrics.exists() and metrics.stat().st_size and self._saved is None:  # empty: a run that had no epoch
            raise FileExistsError(f"fit: {metrics} exists already; give another folder, nothing was overwritten")
        elif self._saver is not None:
            files.write(path, json.dumps(ours, indent=1).encode() + b"\n")

    def limit(self, step: int) -> int:
        """How many steps there are until the next checkpoint that is due by their number."""
        every = self._plan and self._plan.steps
        return every - step % every if every else np.iinfo(np.int32).max

    def after_chunk(self, journey: Journey) -> bool:
        """Saves if the plan says so, and warns if the last one could not be written; says whether a save was begun."""
        if self._saver is None:
            return False
        self._warn(self._saver.check)
        if not self._due(journey):
            return False
        self._warn(self._saver.wait)
        return self._save(self._saver, journey)

    def last(self, journey: Journey) -> bool:
        """Saves if a step was taken since the last save, and waits until it is on the disk; raises SaveError if it can't be."""
        if self._saver is None or not any(journey.mark()):
            return False
        self._warn(self._saver.wait)
        saved = self._save(self._saver, journey)
        with _unless_there():
            self._saver.wait()
        return saved

    def whereabouts(self, journey: Journey) -> str:
        """Where a run stands that was stopped."""
        return f"step {journey.step} is saved in {self._folder}" if any(journey.mark()) else "no step yet"

    def _due(self, journey: Journey) -> bool:
        plan, (step, epoch, _) = self._plan, self._saved or (0, 0, 0)
        new = lambda now, before, each: each is not None and now != before and now % each == 0
        return plan is not None and (
            (plan.seconds is not None and bool(largest(time.perf_counter() - self._time >= plan.seconds)))
            or new(journey.step, step, plan.steps)
            or new(len(journey.records), epoch, plan.epochs)
        )

    def _save(self, saver: Saver, journey: Journey) -> bool:
        """Saves under the step, or the next number that is free, if steps that do nothing were taken since the last save."""
        here = journey.mark()
        if here == self._saved and not self._failed:
            return False
        number = self._number if here == self._saved else max(journey.step, self._number + 1)
        saver.save(number, journey.tree(), metrics=journey.metrics(), info=journey.info())
        self._saved, self._number, self._failed, self._time = here, number, False, time.perf_counter()
        return True

    def _warn(self, ask: Callable[[], None]) -> None:
        try:
            with _unless_there():
                ask()
        except SaveError as error:
            self._failed = True
            warnings.warn(f"fit: {error}; training goes on", stacklevel=5)

    def _another(self, why: str) -> FileExistsError:
        return FileExistsError(f"fit: {self._folder} holds another run; give another folder, nothing was overwritten: {why}")


@contextlib.contextmanager
def opened(folder: Path | None, plan: Every | None) -> Iterator[Checkpoints]:
    """Locks a run's folder and gives its checkpoints."""
    if folder is None or plan is None:
        yield Checkpoints(folder, plan, None)
        return
    with Saver(folder / "checkpoints", plan.keep) as saver:
        yield Checkpoints(folder, plan, saver)


def _identity(key: jax.Array, data: Any, programs: Programs) -> dict[str, Any]:
    """What makes a run this run."""
    return {
        "key": f"{key.dtype}{list(key.shape)} {snapshot(key)[''].digest()}",
        "data": [str(jax.typeof(a)) for a in jax.tree.leaves(data)],
        "hyperparameters": {name: array.digest() for name, array in snapshot(programs.hyperparameters).items()},
        "data digests": [array.digest() for a in jax.tree.leaves(data) for array in snapshot(a).values()],
        "metrics": sorted(programs.zeros) + [f"evaluate/{name}" for name in sorted(programs.measured)],
        "computation": programs.digest(),
        "made by": {"jax": jax.__version__, "jdl": _version("jdl"), "platform": jax.default_backend()},
    }


@contextlib.contextmanager
def _unless_there() -> Iterator[None]:
    """Lets pass that a step could not be saved since it is there and good: a run comes to the same state again, to the bit."""
    try:
        yield
    except SaveError as error:
        if not isinstance(error.__cause__, FileExistsError):
            raise


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"fit: {path} is damaged; delete it to go on from the checkpoints beside it") from error


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # imported from its folder, not installed
        return "unknown"


def _difference(there: dict[str, Any], ours: dict[str, Any]) -> str | None:
    """How a run differs from the one that was there before; None if it doesn't."""
    means = {
        "key": "its key differs",
        "data": f"its data are {there.get('data')}, these are {ours['data']}",
        "data digests": "its data have other values",
        "hyperparameters": "its hyperparameters have other values",
        "metrics": f"its metrics are {there.get('metrics')}, these are {ours['metrics']}",
    }
    # another version of JAX may trace the same run otherwise, and a folder from before this was in it has "program"
    if there.get("made by") == ours["made by"] and "computation" in there:
        means["computation"] = "its program differs, so its model, loss, optimizer, batch size or a setting of them"
    # a folder from before there were hyperparameters in it has none
    return next((meaning for name, meaning in means.items() if there.get(name, {}) != ours[name]), None)
