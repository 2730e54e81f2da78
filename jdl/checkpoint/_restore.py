"""From the disk back into a tree."""

import warnings
from pathlib import Path
from typing import Any, NamedTuple

from jdl.checkpoint import _store
from jdl.checkpoint._arrays import HostArray, Mismatch, Report, place
from jdl.checkpoint._manifest import Damaged, Manifest


class RestoreWarning(UserWarning):
    """A newer checkpoint was passed over, since it is damaged or incomplete."""


class Restored(NamedTuple):
    """What a checkpoint held.

    Attributes:
      tree: as the template, with the saved values.
      step: its number.
      metrics: named numbers that were saved with it.
      info: what else was saved with it.
      report: how checkpoint and template fit; of interest after a partial restore.
      skipped: why newer checkpoints were passed over, by step.
    """

    tree: Any
    step: int
    metrics: dict[str, float]
    info: dict[str, Any]
    report: Report
    skipped: dict[int, str]


def restore(folder: str | Path, template: Any, *, step: int | None = None, partial: bool = False) -> Restored:
    """Restores a tree of arrays from the newest checkpoint that is good.

    Every file and array is compared with its digest. A checkpoint that is damaged or incomplete is never loaded: the one before is,
    with a RestoreWarning and a line in `skipped`. Nothing in a checkpoint is code, and the folder is only read.

    Args:
      folder: of checkpoints.
      template: the tree to restore, with arrays or abstract ones (from `jax.eval_shape`) for leaves. A leaf that has a sharding is
        laid out so; it may name other devices than one saved on.
      step: which checkpoint; by default the newest, and the ones before it if it isn't good.
      partial: whether to take over what fits; elsewhere the template's own arrays stay, and `report` tells where.

    Returns:
      A Restored.

    Raises:
      FileNotFoundError: if there is no complete checkpoint, or not that step.
      Damaged: if that step, or every one, is damaged.
      Mismatch: if template and checkpoint differ in paths, shapes or dtypes; it lists all of them.

    Example:
      >>> import tempfile, jax, jax.numpy as jnp
      >>> from jdl import checkpoint
      >>> tree = {"weights": jnp.ones((2, 3), jnp.bfloat16), "key": jax.random.key(0)}
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     checkpoint.save(folder, 100, tree)
      ...     restored = checkpoint.restore(folder, jax.eval_shape(lambda: tree))
      >>> restored.step, restored.tree["weights"].dtype.name
      (100, 'bfloat16')
    """
    manifest, arrays, skipped = newest(Path(folder), step)
    try:
        tree, report = place(template, arrays, partial=partial)
    except Mismatch as error:
        error.add_note(f"the checkpoint is step {manifest.step} in {folder}")
        raise
    return Restored(tree, manifest.step, manifest.metrics, manifest.info, report, skipped)


def newest(folder: Path, step: int | None = None) -> tuple[Manifest, dict[str, HostArray], dict[int, str]]:
    """The newest good checkpoint, or that of a step, and why newer ones were passed over."""
    if step is not None:
        if not (path := _store.place_of(folder, step)).is_dir():
            there = [saved.step for saved in _store.steps(folder)]
            raise FileNotFoundError(f"restore: no checkpoint of step {step} in {folder}; there are {there}")
        manifest, arrays = _store.read(path)
        return manifest, arrays, {}
    skipped: dict[int, str] = {}
    candidates = [saved for saved in _store.steps(folder) if not saved.path.name.startswith(_store.PARTIAL)]
    for saved in reversed(candidates):
        try:
            manifest, arrays = _store.read(saved.path)
        except Damaged as error:
            skipped[saved.step] = str(error)
        else:
            if skipped:
                passed = "\n".join(skipped.values())
                warnings.warn(f"restored step {saved.step}; newer ones are no good:\n{passed}", RestoreWarning, stacklevel=3)
            return manifest, arrays, skipped
    if any(_store.marked(saved.path) for saved in candidates):
        raise Damaged(f"restore: every checkpoint in {folder} is damaged or incomplete:\n" + "\n".join(skipped.values()))
    raise FileNotFoundError(f"restore: no complete checkpoint in {folder}")
