"""One writer in a folder at a time."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


class FolderInUse(RuntimeError):
    """Another run writes into the folder."""


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds the folder's lock, made if need be; raises FolderInUse if somebody has it.

    The lock is the kernel's (`flock`), so it ends with its process however that ends, and none is ever stale.
    """
    import fcntl

    os.makedirs(folder, exist_ok=True)
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
            raise FolderInUse(f"{folder} is in use by process {owner}; wait for it, or give another folder") from None
        with contextlib.suppress(OSError):  # a full disk doesn't matter here: the number is for people
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
        yield
    finally:
        os.close(descriptor)
