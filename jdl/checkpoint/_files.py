"""Files that survive a crash: written beside their place, synced, renamed, and only then believed. POSIX only."""

import contextlib
import hashlib
import os
import shutil
from pathlib import Path


def write(path: Path, content: bytes) -> None:
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


def write_all(descriptor: int, content: bytes) -> None:
    """Writes all of it: one call may take only a part."""
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


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
