"""Metrics as lines of JSON in a file."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

Write = Callable[[dict[str, Any]], None]


@contextlib.contextmanager
def metric_lines(folder: str | Path | None) -> Iterator[Write]:
    """Opens a new `metrics.jsonl` in a folder, made if need be, and gives what writes a line; without a folder, nothing does."""
    if folder is None:
        yield lambda record: None
        return
    path = Path(folder) / "metrics.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = path.open("x")
    except FileExistsError:
        raise FileExistsError(f"fit: {path} exists already; give another folder, nothing was overwritten") from None

    def write(record: dict[str, Any]) -> None:
        file.write(_json(record) + "\n")
        file.flush()

    with file:
        yield write


def _json(record: dict[str, Any]) -> str:
    plain = lambda x: [plain(y) for y in x] if isinstance(x, list) else (x if np.isfinite(x) else None)  # JSON knows no NaN
    return json.dumps({name: plain(np.asarray(value).tolist()) for name, value in record.items()})
