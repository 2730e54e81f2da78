"""Trees of arrays as arrays by path on the host, and back."""

import hashlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jdl.checkpoint._together import fetched, laid
from jdl.functional import _check


class HostArray(NamedTuple):
    """One leaf on the host.

    Attributes:
      data: its numbers, those of a typed key for an array of keys.
      key: the implementation of the keys, such as `threefry2x32`; None for numbers.
    """

    data: np.ndarray
    key: str | None = None

    def digest(self) -> str:
        """SHA-256 of the raw bytes."""
        return hashlib.sha256(np.ascontiguousarray(self.data).reshape(-1).view(np.uint8).data).hexdigest()


def snapshot(tree: Any) -> dict[str, HostArray]:
    """Copies every leaf to the host, by path; whatever happens to the tree's buffers later, these stay as they are.

    Of a tree that lies on devices of several processes, all of them call this, and each gets all of it.

    Raises:
      TypeError: if a leaf is not an array of numbers or keys.
      ValueError: if two leaves have one path.
    """
    found: dict[str, HostArray] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        name = name_of(path)
        if name in found:
            raise ValueError(f"save: two leaves have the path {name!r}; rename one")
        found[name] = _copied(name, leaf)
    return found


def name_of(path: tuple[Any, ...]) -> str:
    """A leaf's path, as everywhere in jdl: names joined by "/"."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _copied(name: str, leaf: Any) -> HostArray:
    key = str(jax.random.key_impl(leaf)) if _check.is_key(leaf) else None
    data = fetched(leaf)
    if data.dtype.kind in "OSUMm":
        raise TypeError(f"save: {name} must be an array of numbers or keys, got {_check.describe(leaf)}")
    return HostArray(data, key)


class Report(NamedTuple):
    """How saved arrays fit a template.

    Attributes:
      missing: paths that the template has and the checkpoint lacks.
      unexpected: paths that the checkpoint has and the template lacks.
      different: path, what is saved, and what the template wants, where shapes or dtypes differ.
    """

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    different: tuple[tuple[str, str, str], ...] = ()

    @property
    def exact(self) -> bool:
        """Whether nothing differs."""
        return not (self.missing or self.unexpected or self.different)

    def __str__(self) -> str:
        lines = [f"{path}: missing, not in the checkpoint" for path in self.missing]
        lines += [f"{path}: unexpected, not in the template" for path in self.unexpected]
        lines += [f"{path}: saved as {saved}, the template wants {wanted}" for path, saved, wanted in self.different]
        return "\n".join(lines) or "everything fits"


class Mismatch(ValueError):
    """A checkpoint and a template differ.

    Attributes:
      report: how they do, path by path.
    """

    def __init__(self, message: str, report: Report):
        super().__init__(f"{message}:\n{report}")
        self.report = report


def compare(template: Any, described: dict[str, str]) -> Report:
    """How leaves described as `float32[3, 4]` fit the template's."""
    wanted = layout(template)
    both = [path for path in wanted if path in described]
    return Report(
        tuple(path for path in wanted if path not in described),
        tuple(path for path in described if path not in wanted),
        tuple((path, described[path], wanted[path]) for path in both if described[path] != wanted[path]),
    )


def layout(tree: Any) -> dict[str, str]:
    """What every leaf is, by path, as `float32[3, 4]`."""
    return {name_of(path): _describe(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def place(template: Any, arrays: dict[str, HostArray], *, partial: bool = False, name: str = "restore") -> tuple[Any, Report]:
    """Puts arrays where the template has leaves, on the devices that it names.

    Args:
      template: a tree of arrays or `jax.ShapeDtypeStruct`; a leaf with a sharding is laid out so.
      arrays: by path.
      partial: whether to take over what fits, and leave the template's own arrays elsewhere.
      name: of whoever asks, for errors.

    Returns:
      The tree, and how arrays and template fit.

    Raises:
      Mismatch: if they differ; with `partial`, if the template has no values where they do.
    """
    values = {path: _wrapped(array) for path, array in arrays.items()}
    report = compare(template, {path: _describe(value) for path, value in values.items()})
    apart = {*report.missing, *(path for path, _, _ in report.different)}
    if not report.exact and not partial:
        raise Mismatch(f"{name}: checkpoint and template differ (partial=True takes over what fits)", report)

    def one(path: tuple[Any, ...], leaf: Any) -> Any:
        if name_of(path) not in apart:
            return laid(values[name_of(path)], getattr(leaf, "sharding", None))
        if isinstance(leaf, jax.ShapeDtypeStruct):
            raise Mismatch(
                f"{name}: {name_of(path)} doesn't fit, and the template has no value for it; give one with values", report
            )
        return leaf

    return jax.tree_util.tree_map_with_path(one, template), report


def _wrapped(array: HostArray) -> Any:
    return array.data if array.key is None else jax.random.wrap_key_data(jnp.asarray(array.data), impl=array.key)


def _describe(leaf: Any) -> str:
    return _check.describe(leaf if hasattr(leaf, "dtype") else np.asarray(leaf))
