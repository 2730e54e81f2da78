"""What callbacks are told."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Event(NamedTuple):
    """What a callback of `jdl.fit` is given; a callback is a function `(event) -> None`.

    Attributes:
      kind: "start" when everything is compiled, on every call that starts the run or goes on with it; "epoch" after each epoch,
        when it is evaluated; "checkpoint" when a save was begun, and after the last one; "end" after the last step, or when a
        signal stops the run.
      epoch: how many are over.
      step: how many steps were taken.
      records: of each epoch that is over, what its line in `metrics.jsonl` says, those before a restart included: numbers and
        arrays by name.
      folder: of the run, if it has one.
      train_state: gives a copy of the train state on the device. Call it while the callback runs: right after, the buffers are
        given (donated) to the next steps.
    """

    kind: str
    epoch: int
    step: int
    records: tuple[Mapping[str, Any], ...]
    folder: Path | None
    train_state: Callable[[], Any]
