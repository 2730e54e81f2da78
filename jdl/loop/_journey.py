"""Where a run stands between two chunks: all that decides how it goes on, and all that was measured on the way."""

import dataclasses
import time
from typing import Any

import jax
import numpy as np

from jdl.checkpoint._arrays import HostArray, place
from jdl.checkpoint._manifest import Manifest
from jdl.checkpoint._together import fetched, laid
from jdl.train import TrainState


@dataclasses.dataclass
class Journey:
    """What a checkpoint of `fit` holds.

    Attributes:
      train_state: of the run.
      sums: of metrics since the epoch began.
      steps: taken since the epoch began.
      step: taken since the run began.
      position: in the epoch, of the next sample.
      records: of the epochs that are over.
      seconds: that running took before this call.
      epoch_is_over: whether the train state is at the end of an epoch that has no record yet.
    """

    train_state: TrainState
    sums: dict[str, Any] = dataclasses.field(default_factory=dict)
    steps: int = 0
    step: int = 0
    position: int = 0
    records: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    seconds: float = 0.0
    epoch_is_over: bool = False

    def start(self, zeros: dict[str, Any]) -> None:
        """Starts the clock, and the first sums; `zeros` are those of no steps."""
        self._zeros, self._start = zeros, time.perf_counter() - self.seconds
        self.sums = jax.tree.map(lambda zero, sum: laid(sum, getattr(zero, "sharding", None)), zeros, self.sums or zeros)

    def finish_epoch(self, measured: dict[str, Any]) -> None:
        """Records an epoch: means of its steps, and what evaluation gave."""
        self.seconds = time.perf_counter() - self._start
        means = {f"train/{name}": fetched(value) / self.steps for name, value in self.sums.items()}
        measured = {f"evaluate/{name}": value for name, value in measured.items()}
        self.records.append({"epoch": len(self.records) + 1, "step": self.step, "seconds": self.seconds} | means | measured)
        self.sums, self.steps, self.epoch_is_over = self._zeros, 0, False

    def tree(self) -> dict[str, Any]:
        """Its arrays."""
        return {"train_state": self.train_state, "sums": self.sums, "history": history(self.records)}

    def info(self) -> dict[str, Any]:
        """The rest of it."""
        names = list(self.records[0]) if self.records else []
        return {"names": names, "step": self.step, "steps": self.steps, "seconds": time.perf_counter() - self._start}

    def mark(self) -> tuple[int, int, int]:
        """How far it is: steps that do nothing, such as those after an early stop, and epochs of them, count too."""
        return self.step, len(self.records), self.steps

    def metrics(self) -> dict[str, float]:
        """Right after an epoch, its metrics, averaged over members."""
        measured = self.records[-1].items() if self.records and not self.steps else ()
        return {name: float(np.mean(value)) for name, value in measured if "/" in name}


def history(records: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """Records as arrays with a first axis of epochs."""
    return {name: np.array([record[name] for record in records]) for name in records[0]} if records else {}


def restored(template: TrainState, manifest: Manifest, arrays: dict[str, HostArray]) -> Journey:
    """The journey that was saved; raises Mismatch if its train state doesn't fit the template."""
    parts: dict[str, dict[str, HostArray]] = {"train_state": {}, "sums": {}, "history": {}}
    for path, array in arrays.items():
        part, _, name = path.partition("/")
        parts[part][name] = array
    info = manifest.info
    train_state, _ = place(template, parts["train_state"], name="fit")
    columns = {name: parts["history"][name].data for name in info["names"]}
    epochs = len(next(iter(columns.values()), ()))
    records = [{name: column[i] for name, column in columns.items()} for i in range(epochs)]
    sums = {name: array.data for name, array in parts["sums"].items()}
    position = int(arrays["train_state/position"].data.max())
    return Journey(train_state, sums, info["steps"], info.get("step", manifest.step), position, records, info["seconds"])
