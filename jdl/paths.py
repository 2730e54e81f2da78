"""Paths in trees of parameters, and globs that select by them: what `where="**/kernel"` means everywhere."""

import difflib
import re
from typing import Any

import jax


def matches(tree: Any, where: str | None) -> Any:
    """Says for each leaf whether its path matches a glob, as a tree of bools (which Optax takes as a mask).

    A path is the names on the way to the leaf, joined by "/". In a glob, `*` stands for any characters of one name, `?` for one of
    them, and `**` for any number of names, also none.

    Args:
      tree: a tree of arrays.
      where: a glob; None matches everything.

    Returns:
      A tree of bools with the structure of `tree`.

    Raises:
      ValueError: if nothing matches, naming the paths there are, of many the nearest ones.

    Example:
      >>> from jdl import paths
      >>> paths.matches({"encoder": {"kernel": 1.0, "bias": 0.0}, "kernel": 2.0}, "**/kernel")
      {'encoder': {'bias': False, 'kernel': True}, 'kernel': True}
    """
    if where is None:
        return jax.tree.map(lambda leaf: True, tree)
    pattern = re.compile(_expression(where))
    found = jax.tree_util.tree_map_with_path(lambda path, leaf: pattern.fullmatch(_name(path)) is not None, tree)
    if not any(jax.tree.leaves(found)):
        paths = [_name(path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)]
        near = paths if len(paths) <= 20 else [*difflib.get_close_matches(where, paths, 20, cutoff=0), "..."]
        raise ValueError(f"where={where!r} matches none of the paths: {', '.join(near)}")
    return found


def select(tree: Any, where: str | None) -> list[Any]:
    """The leaves whose paths match a glob; see `matches`.

    Example:
      >>> from jdl import paths
      >>> paths.select({"encoder": {"kernel": 1.0, "bias": 0.0}, "kernel": 2.0}, "**/kernel")
      [1.0, 2.0]
    """
    return [leaf for leaf, found in zip(jax.tree.leaves(tree), jax.tree.leaves(matches(tree, where))) if found]


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _expression(glob: str) -> str:
    tokens = {"**/": "(?:.*/)?", "/**": "(?:/.*)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.sub(r"\*\*/|/\*\*$|\*\*|\*|\?|[^*?]", lambda token: tokens.get(token[0], re.escape(token[0])), glob)
