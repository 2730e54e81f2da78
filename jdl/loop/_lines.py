"""Metrics as lines of JSON in a file."""

import contextlib
import json
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from jdl.checkpoint import _files

Write = Callable[[dict[str, Any]], None]


@contextlib.contextmanager
def metric_lines(path: Path | None, records: list[dict[str, Any]]) -> Iterator[Write]:
    """Makes a file of records, replacing an old one whole or not at all, and gives what adds a line; without a path, nothing does.

    A line that can't be written, on a full disk, is kept and written with the next, with a warning.
    """
    if path is None:
        yield lambda record: None
        return
    os.makedirs(path.parent, exist_ok=True)
    _files.write(path, b"".join(map(_line, records)))
    descriptor = os.open(path, os.O_WRONLY)
    end, pending = os.lseek(descriptor, 0, os.SEEK_END), b""

    def write(record: dict[str, Any]) -> None:
        nonlocal end, pending
        pending += _line(record)
        try:
            os.lseek(descriptor, end, os.SEEK_SET)
            _files.write_all(descriptor, pending)
        except OSError as error:
            os.ftruncate(descriptor, end)
            warnings.warn(f"fit: {path} could not be written, and will be with the next line: {error}", stacklevel=3)
        else:
            end, pending = end + len(pending), b""

    try:
        yield write
    finally:
        os.close(descriptor)


def _line(record: dict[str, Any]) -> bytes:
    plain = lambda x: [plain(y) for y in x] if isinstance(x, list) else (x if np.isfinite(x) else None)  # JSON knows no NaN
    return json.dumps({name: plain(np.asarray(value).tolist()) for name, value in record.items()}).encode() + b"\n"
