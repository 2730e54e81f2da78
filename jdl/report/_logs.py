"""Records of epochs as lines in files, for people and for other programs."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jdl.checkpoint import _files
from jdl.report._event import Event

_OWN = ("run.json", "metrics.jsonl", "config.json", "environment.json", "sweep.json")  # of the run's folder
_HEAD = b"epoch,step,seconds,"

Record = Mapping[str, Any]
Add = Callable[[Record, int], None]  # a record, and the number of its first member


def json_line(record: Record) -> bytes:
    """A record as a line of JSON, which knows no NaN: what is not finite is null."""
    plain = lambda x: [plain(y) for y in x] if isinstance(x, list) else (x if np.isfinite(x) else None)
    return json.dumps({name: plain(np.asarray(value).tolist()) for name, value in record.items()}).encode() + b"\n"


def csv_log(path: str | Path) -> Callable[[Event], None]:
    """Makes a callback that writes the metrics of every epoch as CSV; for a population, a row for each member.

    A run that goes on writes the file anew, with the epochs before: none is there twice, and none is missing.

    Args:
      path: of the file, relative to the run's folder if it has one; elsewhere, it must not exist yet, and all blocks of a sweep
        are in it, with members numbered through.

    Returns:
      A callback.

    Raises:
      ValueError: if the file has the name of one that a run writes itself, such as `metrics.jsonl`.
      FileExistsError: when a run starts, if the file exists and is not in its folder, or is no such log; nothing is overwritten.

    Example:
      >>> import pathlib, tempfile, jax, jax.numpy as jnp, optax, jdl
      >>> from jdl import layers as L, losses, report, train
      >>> data = jnp.ones((8, 2)), jnp.ones((8, 1))
      >>> run = train.run(train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.adam(0.1)), batch_size=4)
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     log = report.csv_log("metrics.csv")
      ...     _ = jdl.fit(run, data, jax.random.key(0), epochs=2, folder=folder, callbacks=[log], progress=False)
      ...     print(pathlib.Path(folder, "metrics.csv").read_text().split()[0])
      epoch,step,seconds,train/loss
    """
    if Path(path).name in _OWN:
        raise ValueError(f"csv_log: {Path(path).name} is a file of the run itself; give another name, such as 'metrics.csv'")

    def begin(path: Path, records: Sequence[Record]) -> Add:
        if path.exists() and not _is_log(path):
            raise FileExistsError(f"csv_log: {path} exists and is no log of epochs; give another path, nothing was overwritten")
        write, names = _files.grow(path, _rows(records, head=True)), list(records[0]) if records else []

        def add(record: Record, first: int) -> None:
            nonlocal names
            if names and names != list(record):
                raise ValueError(f"csv_log: {path} is of a run with other metrics, {names}; give another path")
            write(_rows([record], head=not names, first=first))
            names = list(record)

        return add

    return log(path, begin)


def log(path: str | Path, begin: Callable[[Path, Sequence[Record]], Add]) -> Callable[[Event], None]:
    """A callback that begins, when a run starts, with what is over already, and adds each epoch.

    What it has begun outside of a run's folder goes on with the next population, such as a sweep's next block, as more members.
    """
    add: Add = lambda record, first: None
    begun: Path | None = None
    first = count = 0  # of the members: the number of the first one, and how many they are

    def callback(event: Event) -> None:
        nonlocal add, begun, first, count
        if event.kind == "start":
            place = Path(event.folder or ".") / path
            own = event.folder is not None and place.resolve().is_relative_to(event.folder.resolve())
            if not own and count and place == begun:
                first, count = first + count, 0
                for record in event.records:
                    add(record, first)
            elif place.exists() and not own:
                raise FileExistsError(f"{place} exists already; give another path, or one in the run's folder")
            else:
                add, begun, first, count = begin(place, event.records), place, 0, 0
        elif event.kind == "epoch":
            add(event.records[-1], first)
        if event.records:
            count = sum(members(event.records[-1]))

    return callback


def by_member(record: Record) -> Iterator[dict[str, Any]]:
    """The record of each member, of numbers; what they share, such as the time, is in all of them, vectors and more in none."""
    shape = members(record)
    record = {name: value for name, value in record.items() if np.shape(value) == (shape if "/" in name else ())}
    if not shape:
        yield {name: np.asarray(value).item() for name, value in record.items()}
        return
    columns = [np.broadcast_to(np.asarray(value), shape).ravel().tolist() for value in record.values()]
    yield from (dict(zip(record, values)) for values in zip(*columns))


def members(record: Record) -> tuple[int, ...]:
    """How many members a population has, `(members,)`, which is all that some metric of theirs has; `()` of a single run."""
    return min((np.shape(value) for name, value in record.items() if "/" in name), key=len, default=())


def _is_log(path: Path) -> bool:
    """Whether a file begins as those of `csv_log` do, or has nothing in it yet."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_HEAD)) in (b"", _HEAD)


def _rows(records: Sequence[Record], *, head: bool, first: int = 0) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for record in records:
        for member, own in enumerate(by_member(record), first):
            own |= {"member": member} if members(record) or member else {}
            if head:
                writer.writerow(own)
                head = False
            writer.writerow(own.values())
    return text.getvalue().encode()
