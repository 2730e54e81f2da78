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
Add = Callable[[Record], None]


def json_line(record: Record) -> bytes:
    """A record as a line of JSON, which knows no NaN: what is not finite is null."""
    plain = lambda x: [plain(y) for y in x] if isinstance(x, list) else (x if np.isfinite(x) else None)
    return json.dumps({name: plain(np.asarray(value).tolist()) for name, value in record.items()}).encode() + b"\n"


def csv_log(path: str | Path) -> Callable[[Event], None]:
    """Makes a callback that writes the metrics of every epoch as CSV; for a population, a row for each member.

    A run that goes on writes the file anew, with the epochs before: none is there twice, and none is missing.

    Args:
      path: of the file, relative to the run's folder if it has one; elsewhere, it must not exist yet.

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
        write, headed = _files.grow(path, _rows(records, head=True)), bool(records)

        def add(record: Record) -> None:
            nonlocal headed
            write(_rows([record], head=not headed))
            headed = True

        return add

    return log(path, begin)


def log(path: str | Path, begin: Callable[[Path, Sequence[Record]], Add]) -> Callable[[Event], None]:
    """A callback that begins, when a run starts, with what is over already, and adds each epoch."""
    add: Add = lambda record: None

    def callback(event: Event) -> None:
        nonlocal add
        if event.kind == "start":
            place = Path(event.folder or ".") / path
            own = event.folder is not None and place.resolve().is_relative_to(event.folder.resolve())
            if place.exists() and not own:
                raise FileExistsError(f"{place} exists already; give another path, or one in the run's folder")
            add = begin(place, event.records)
        elif event.kind == "epoch":
            add(event.records[-1])

    return callback


def by_member(record: Record) -> Iterator[dict[str, Any]]:
    """The record of each member, of numbers; what they share, such as the time, is in all of them, and matrices are in none."""
    record = {name: value for name, value in record.items() if np.ndim(value) < 2}
    if not has_members(record):
        yield {name: np.asarray(value).item() for name, value in record.items()}
        return
    shape = np.broadcast_shapes(*(np.shape(value) for value in record.values()))
    columns = [np.broadcast_to(np.asarray(value), shape).ravel().tolist() for value in record.values()]
    yield from (dict(zip(record, values)) for values in zip(*columns))


def has_members(record: Record) -> bool:
    """Whether this is the record of a population."""
    return any(np.ndim(value) == 1 for value in record.values())


def _is_log(path: Path) -> bool:
    """Whether a file begins as those of `csv_log` do, or has nothing in it yet."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_HEAD)) in (b"", _HEAD)


def _rows(records: Sequence[Record], *, head: bool) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for record in records:
        for member, own in enumerate(by_member(record)):
            own |= {"member": member} if has_members(record) else {}
            if head:
                writer.writerow(own)
                head = False
            writer.writerow(own.values())
    return text.getvalue().encode()
