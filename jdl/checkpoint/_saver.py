"""Saving while training goes on: a copy is taken at once, and written by a thread."""

import contextlib
import json
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jdl.checkpoint import _files, _store
from jdl.checkpoint._arrays import HostArray, snapshot
from jdl.checkpoint._keep import Keep, keep
from jdl.checkpoint._lock import locked
from jdl.checkpoint._together import first, largest
from jdl.functional import _check


class SaveError(OSError):
    """A checkpoint could not be written; older ones are as they were.

    Attributes:
      result: of `jdl.fit`, if it was its last checkpoint: what fit would have returned.
    """

    result: Any = None


class Saver:
    """Writes checkpoints into a folder, one at a time, and holds the folder's lock while it is open: a context manager.

    `save` returns as soon as everything is copied to the host, so the tree's buffers may be donated right after. A thread writes
    the copy; a second `save` waits for it. What goes wrong there is raised by the next `save`, by `wait` and at the end.

    The thread is jdl's and calls Orbax's synchronous handler: Orbax's own asynchronous saves may still read the buffers after
    returning, and have ended without telling of errors.

    In a job of several processes all of them make the same calls, with trees that may lie on the devices of all; the first process
    writes, and what goes wrong there is raised in each.

    Args:
      folder: of checkpoints; made if need be.
      keep: the rule of what to keep, from `keep`; None keeps everything.

    Raises:
      FolderInUse: on entering, if another process, or another Saver, has the folder.
    """

    def __init__(self, folder: str | Path, keep: Keep | None = keep()):
        self.folder = Path(folder)
        self._keep = keep
        self._lock = contextlib.ExitStack()
        self._thread: threading.Thread | None = None
        self._error: SaveError | None = None

    def __enter__(self) -> "Saver":
        if first():
            self._lock.enter_context(locked(self.folder))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, KeyboardInterrupt) and self._thread is not None:  # at once: the lock goes with the last of the writing
            threading.Thread(target=self._finish, args=(self._thread,), daemon=True).start()
            return
        try:
            if error is None:
                self.wait()
            elif (failure := self._joined()) is not None:  # other processes may not have this error, and don't wait for this one
                error.add_note(f"also: {failure}")
        finally:
            self._lock.close()

    def save(
        self, step: int, tree: Any, *, metrics: Mapping[str, float] | None = None, info: Mapping[str, Any] | None = None
    ) -> None:
        """Copies a tree and has it written as the checkpoint of a step.

        Args:
          step: its number, at least 0.
          tree: of arrays.
          metrics: named numbers, to choose the best by.
          info: what else is to be remembered, as JSON knows it.

        Raises:
          SaveError: if the one before could not be written; this one is not begun.
          TypeError: if a leaf is not an array, or `info` not what JSON knows.
          ValueError: if `step` is negative, or two leaves have one path.
        """
        self.wait()
        _check.within("save", 0, float("inf"), step=step)
        remembered = json.loads(json.dumps(dict(info or {})))
        arrays = snapshot(tree)
        values = {name: float(value) for name, value in (metrics or {}).items()}
        if first():
            self._thread = threading.Thread(
                target=self._write, args=(int(step), arrays, values, remembered), name="jdl checkpoint", daemon=True
            )
            self._thread.start()

    def wait(self) -> None:
        """Waits until nothing is being written; raises SaveError if the last one could not be."""
        error = self._joined()
        known = error is not None and isinstance(error.__cause__, FileExistsError)
        if kind := largest(error is not None and (1 if known else 2)):
            told = SaveError(f"checkpoint not written in {self.folder}; the first process says why")
            raise error or told from (error.__cause__ if error else FileExistsError() if kind == 1 else None)

    def check(self) -> None:
        """Raises SaveError if the last one could not be written; what is still being written is not waited for."""
        if not largest(self._thread is not None and self._thread.is_alive()):
            self.wait()

    def _joined(self) -> SaveError | None:
        """What went wrong since the last call, in this process, once nothing is being written."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        return error

    def _write(self, step: int, arrays: dict[str, HostArray], metrics: dict[str, float], info: dict[str, Any]) -> None:
        what = "checkpoint not written"
        try:
            self._sweep()
            _store.write(self.folder, step, arrays, metrics, info)
            what = "checkpoint written, but older ones not deleted,"
            self._retain(step)
        except BaseException as error:
            self._error = SaveError(f"{what} in {self.folder}: {error}")
            self._error.__cause__ = error

    def _sweep(self) -> None:
        """Removes what a crash left in the middle of a save."""
        for saved in _store.steps(self.folder):
            if not _store.marked(saved.path):
                _files.remove(saved.path)

    def _retain(self, newest: int) -> None:
        """Deletes what needn't be kept, once the newest has been read back."""
        there = [saved for saved in _store.steps(self.folder) if saved.complete and saved.step <= newest]
        kept = {newest, *(self._keep(there) if self._keep else (saved.step for saved in there))}
        if superfluous := [saved for saved in there if saved.step not in kept]:
            _store.verify(self.folder, newest)
            for saved in superfluous:
                _store.delete(saved.path)

    def _finish(self, thread: threading.Thread) -> None:
        thread.join()
        self._lock.close()


def save(
    folder: str | Path, step: int, tree: Any, *, metrics: Mapping[str, float] | None = None, info: Mapping[str, Any] | None = None
) -> None:
    """Saves a tree of arrays as the checkpoint of a step; when this returns it is on the disk. Nothing older is deleted.

    Args:
      folder: of checkpoints; made if need be.
      step: its number, at least 0.
      tree: of arrays: numbers of any dtype and typed keys, in any containers that JAX knows.
      metrics: named numbers, to choose the best by.
      info: what else is to be remembered, as JSON knows it.

    Raises:
      FolderInUse: if somebody else writes there.
      SaveError: if it could not be written; older ones are as they were.
      TypeError: if a leaf is not an array.

    Example:
      >>> import tempfile, jax
      >>> from jdl import checkpoint
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     checkpoint.save(folder, 20, {"key": jax.random.key(0)}, info={"epoch": 3})
      ...     checkpoint.restore(folder, {"key": jax.eval_shape(lambda: jax.random.key(0))}).info
      {'epoch': 3}
    """
    with Saver(folder, keep=None) as saver:
        saver.save(step, tree, metrics=metrics, info=info)
