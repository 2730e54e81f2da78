"""What is written above Orbax's files: a manifest of digests, and a marker that says the checkpoint is complete."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from jdl.checkpoint import _files
from jdl.checkpoint._arrays import HostArray

FORMAT = 1
ARRAYS, MANIFEST, MARKER = "arrays", "manifest.json", "COMPLETE"


class Damaged(ValueError):
    """A checkpoint is not what was written; the message names the file or the array."""


class Manifest(NamedTuple):
    """What a checkpoint holds.

    Attributes:
      step: its number.
      metrics: named numbers to choose the best by.
      info: what else is to be remembered, as JSON knows it.
      arrays: by path: shape, dtype, key's implementation if it is one, and SHA-256 of the raw bytes.
      files: by name: length in bytes, and SHA-256.
    """

    step: int
    metrics: dict[str, float]
    info: dict[str, Any]
    arrays: dict[str, dict[str, Any]]
    files: dict[str, dict[str, Any]]


def make(folder: Path, step: int, arrays: dict[str, HostArray], metrics: dict[str, float], info: dict[str, Any]) -> Manifest:
    """The manifest of arrays, and of Orbax's files as they lie in a folder."""
    entries = {path: _entry(array) for path, array in arrays.items()}
    names = _files.files(folder)
    lengths = {name: (folder / name).stat().st_size for name in names}
    return Manifest(
        step, metrics, info, entries, {name: {"bytes": lengths[name], "sha256": _files.digest(folder / name)} for name in names}
    )


def name_of(step: int) -> str:
    """Of the folder of a step's checkpoint."""
    return f"{step:010d}"


def encode(manifest: Manifest) -> bytes:
    """As a file's content."""
    return json.dumps({"format": FORMAT} | manifest._asdict(), indent=1).encode()


def mark(content: bytes) -> bytes:
    """The marker of a manifest, given as a file's content."""
    return hashlib.sha256(content).hexdigest().encode() + b"\n"


def read(folder: Path) -> Manifest:
    """The manifest of a complete checkpoint; raises Damaged unless the marker is there and is the manifest's."""
    try:
        marker, content = (folder / MARKER).read_bytes(), (folder / MANIFEST).read_bytes()
    except FileNotFoundError as error:
        raise Damaged(f"{folder}: incomplete, {Path(error.filename).name} is missing") from error
    except OSError as error:
        raise Damaged(f"{error.filename}: can't be read: {error.strerror}") from error
    if marker != mark(content):
        raise Damaged(f"{folder / MANIFEST}: damaged, its SHA-256 is not that of {MARKER}")
    fields = json.loads(content)
    if (found := fields.pop("format")) != FORMAT:
        raise Damaged(f"{folder / MANIFEST}: has format {found}, this version of jdl reads {FORMAT}")
    manifest = Manifest(**fields)
    if folder.name != name_of(manifest.step):
        raise Damaged(f"{folder / MANIFEST}: is of step {manifest.step}, and lies in the folder of another")
    return manifest


def check_files(folder: Path, manifest: Manifest) -> None:
    """Raises Damaged unless Orbax's files are there, each with its digest, and no others."""
    try:
        there = _files.files(folder)
        for name, expected in manifest.files.items():
            if name not in there:
                raise Damaged(f"{folder / name}: missing")
            length = (folder / name).stat().st_size
            if length != expected["bytes"]:
                raise Damaged(f"{folder / name}: damaged, has {length} bytes of {expected['bytes']}")
            if _files.digest(folder / name) != expected["sha256"]:
                raise Damaged(f"{folder / name}: damaged, its SHA-256 is not that of {MANIFEST}")
    except OSError as error:
        raise Damaged(f"{error.filename}: can't be read: {error.strerror}") from error
    if unknown := sorted(set(there) - set(manifest.files)):
        raise Damaged(f"{folder / unknown[0]}: is not in {MANIFEST}")


def check_arrays(folder: Path, manifest: Manifest, arrays: dict[str, HostArray]) -> None:
    """Raises Damaged unless these are the arrays, bit for bit."""
    if arrays.keys() != manifest.arrays.keys():
        raise Damaged(f"{folder}: holds other arrays than {MANIFEST} names")
    for path, array in arrays.items():
        if _entry(array) != manifest.arrays[path]:
            raise Damaged(f"{folder}: array {path} is not the one that was saved")


def _entry(array: HostArray) -> dict[str, Any]:
    shape_and_dtype = {"shape": list(array.data.shape), "dtype": array.data.dtype.name}
    return shape_and_dtype | {"key": array.key, "sha256": array.digest()}
