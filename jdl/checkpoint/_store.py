"""One checkpoint on the disk: its arrays by Orbax, with a manifest above them, complete once its marker is there."""

import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jdl.checkpoint import _files, _manifest
from jdl.checkpoint._arrays import HostArray
from jdl.checkpoint._manifest import ARRAYS, MANIFEST, MARKER, Damaged, Manifest

PARTIAL = "partial-"


class Saved(NamedTuple):
    """A checkpoint in a folder.

    Attributes:
      step: its number.
      complete: whether its marker is there and is the manifest's; what is not complete is never loaded.
      metrics: named numbers that were saved with it.
      path: its folder.
    """

    step: int
    complete: bool
    metrics: dict[str, float]
    path: Path


def steps(folder: str | Path) -> list[Saved]:
    """What checkpoints a folder holds, by step. Nothing is locked, changed or verified: see `verify`.

    Args:
      folder: of checkpoints; one that isn't there holds none.

    Returns:
      A `Saved` for each, also for those that are incomplete.

    Example:
      >>> import tempfile, jax.numpy as jnp
      >>> from jdl import checkpoint
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     checkpoint.save(folder, 20, {"x": jnp.ones(3)}, metrics={"loss": 0.5})
      ...     [(saved.step, saved.complete, saved.metrics) for saved in checkpoint.steps(folder)]
      [(20, True, {'loss': 0.5})]
    """
    folder, found = Path(folder), []
    if folder.is_dir():
        for path in folder.iterdir():
            if path.is_dir() and (number := path.name.removeprefix(PARTIAL)).isdecimal():
                try:
                    found.append(Saved(int(number), True, _manifest.read(path).metrics, path))
                except Damaged:
                    found.append(Saved(int(number), False, {}, path))
    return sorted(found, key=lambda saved: (saved.step, saved.complete))


def marked(path: Path) -> bool:
    """Whether a checkpoint was complete once; one that is not complete all the same is damaged."""
    return (path / MARKER).exists()


def place_of(folder: Path, step: int) -> Path:
    """Where the checkpoint of a step lies."""
    return folder / _manifest.name_of(step)


def write(folder: Path, step: int, arrays: dict[str, HostArray], metrics: dict[str, float], info: dict[str, Any]) -> None:
    """Writes a checkpoint: everything synced and in its place before the marker says so; or nothing, and an error."""
    final, partial = place_of(folder, step), folder / f"{PARTIAL}{_manifest.name_of(step)}"
    _clear(final)
    _files.remove(partial)
    try:
        os.makedirs(partial / ARRAYS)
        _save(partial / ARRAYS, {path: array.data for path, array in arrays.items() if array.data.size})
        content = _manifest.encode(_manifest.make(partial / ARRAYS, step, arrays, metrics, info))
        _files.write(partial / MANIFEST, content)
        _files.sync_all(partial)
        os.rename(partial, final)
        _files.sync(folder)
        _files.write(final / MARKER, _manifest.mark(content))
    except BaseException:
        _files.remove(partial)
        _files.remove(final)
        raise


def read(path: Path) -> tuple[Manifest, dict[str, HostArray]]:
    """Reads a checkpoint; raises Damaged unless it is complete and every file and array has its digest."""
    manifest = _manifest.read(path)
    _manifest.check_files(path / ARRAYS, manifest)  # before Orbax reads any of them
    loaded = _load(path / ARRAYS, [name for name, entry in manifest.arrays.items() if 0 not in entry["shape"]])
    arrays = {}
    for name, entry in manifest.arrays.items():
        empty = np.zeros(entry["shape"], entry["dtype"]) if 0 in entry["shape"] else None
        arrays[name] = HostArray(loaded[name] if empty is None else empty, entry["key"])
    _manifest.check_arrays(path, manifest, arrays)
    return manifest, arrays


def verify(folder: str | Path, step: int) -> None:
    """Reads a checkpoint and compares every file and array with its digest.

    Args:
      folder: of checkpoints.
      step: which one.

    Raises:
      Damaged: naming the file or array that is not what was written.

    Example:
      >>> import tempfile, jax.numpy as jnp
      >>> from jdl import checkpoint
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     checkpoint.save(folder, 20, {"x": jnp.ones(3)})
      ...     checkpoint.verify(folder, 20)
    """
    read(place_of(Path(folder), step))


def delete(path: Path) -> None:
    """Deletes a checkpoint, its marker first: it is whole, or it is incomplete."""
    os.unlink(path / MARKER)
    _files.sync(path)
    _files.remove(path)


def _clear(path: Path) -> None:
    """Makes way where a checkpoint is to be: what is incomplete or damaged goes, what is good stays."""
    if path.exists():
        try:
            read(path)
        except Damaged:
            _files.remove(path)
        else:
            raise FileExistsError(f"save: {path} is there already, and is good; nothing was overwritten")


def _save(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    handler, args, path = _orbax(folder)
    try:
        if arrays:
            handler.save(path, args=args.PyTreeSave(arrays))
            handler.finalize(path)
    finally:
        handler.close()


def _load(folder: Path, names: list[str]) -> dict[str, np.ndarray]:
    import orbax.checkpoint

    handler, args, path = _orbax(folder)
    as_numpy = {name: orbax.checkpoint.RestoreArgs(restore_type=np.ndarray) for name in names}
    try:
        return handler.restore(path, args=args.PyTreeRestore(restore_args=as_numpy)) if names else {}
    except Exception as error:
        raise Damaged(f"{folder}: Orbax can't read it: {error}") from error
    finally:
        handler.close()


def _orbax(folder: Path) -> tuple[Any, Any, Any]:
    """Orbax's handler: the part of it that writes arrays into a folder, without its own managers, threads and renames."""
    import orbax.checkpoint
    from etils import epath

    handler = orbax.checkpoint.PyTreeCheckpointHandler(use_ocdbt=True, use_zarr3=True)
    return handler, orbax.checkpoint.args, epath.Path(folder.absolute())
