"""Files that survive a crash: written beside their place, synced, renamed, and only then believed. POSIX only."""

import contextlib
import hashlib
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path


def write(path: Path, content: bytes | bytearray) -> None:
    """Writes a file whole or not at all, replacing an old one; when this returns it is on the disk."""
    beside = path.with_name(f".{path.name}.partial")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        try:
            write_all(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise
    sync(path.parent)


def write_all(descriptor: int, content: bytes | bytearray) -> None:
    """Writes all of it: one call may take only a part."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def grow(path: Path, content: bytes) -> Callable[[bytes], None]:
    """Makes a file, replacing an old one whole or not at all, and gives what adds to it; its folder is made if need be.

    What can't be added, on a full disk, is kept and written with the next, with a warning. A file that was deleted is made again.
    """
    os.makedirs(path.parent, exist_ok=True)
    write(path, content)
    whole, end = bytearray(content), len(content)

    def add(more: bytes) -> None:
        nonlocal end
        whole.extend(more)
        try:
            if path.exists():
                _put(path, end, whole[end:])
            else:
                os.makedirs(path.parent, exist_ok=True)
                write(path, whole)
        except OSError as error:
            warnings.warn(f"fit: {path} could not be written, and will be with the next line: {error}", stacklevel=3)
        else:
            end = len(whole)

    return add


def _put(path: Path, start: int, content: bytes | bytearray) -> None:
    """Writes from a place on, all of it or nothing."""
    descriptor = os.open(path, os.O_WRONLY)
    try:
        os.lseek(descriptor, start, os.SEEK_SET)
        write_all(descriptor, content)
    except OSError:
        os.ftruncate(descriptor, start)
        raise
    finally:
        os.close(descriptor)


def sync(path: str | Path) -> None:
    """Waits until a file's content, or a folder's entries, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_all(folder: Path) -> None:
    """Syncs every file and folder below, and last the folder itself."""
    for root, _, names in os.walk(folder, topdown=False):
        for name in sorted(names):
            sync(os.path.join(root, name))
        sync(root)


def files(folder: Path) -> list[str]:
    """The files below a folder, relative to it, in one order on every machine."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove(folder: Path) -> None:
    """Removes a folder as far as it can; what it can't stays, for another time."""
    shutil.rmtree(folder, ignore_errors=True)
