"""What transforms from Layer to Layer share: weights that a glob selects are stored in one form and used in another.

`kernel` stays where it is in the tree, so that the same globs select it; what a transform stores besides is under one more name at
the top, the transform's: `{"kernel": ..., "bias": ..., "weight_norm": {"kernel": {"scale": ...}}}`. So transforms can be applied
one after the other, and `params | {"lora": adapters}` exchanges what one of them stores.

`repeat` stacks the kernels of a layer along a first axis. A transform inside it, `repeat(weight_norm(layer), 5)`, sees one kernel
at a time; one outside sees the stack as one kernel, whose "everything" includes the repetitions.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax

from jdl import paths
from jdl.layer import Layer, as_layer, derive
from jdl.layers._drawing import need_key

Store = Callable[[Any, Any], tuple[Any, dict, dict]]
Restore = Callable[[Any, dict, dict, Any, bool], tuple[Any, dict]]


def reparametrize(
    name: str, layer: Layer | Callable, where: str | None, restore: Restore, *, store: Store | None = None, draws: bool = False
) -> Layer:
    """Makes a Layer that stores the weights which `where` selects as `store` says, and uses what `restore` makes of them.

    Args:
      name: the transform's, for messages and for the entry that holds what is stored besides the weights.
      layer: any Layer.
      where: glob over paths of its params; None selects everything.
      restore: `(stored, own, kept, key, train) -> (weight, kept)`, from the stored weight and its entries of params and state. The
        key is the weight's own, or None.
      store: `(key, weight) -> (stored, own, kept)`, with `own` and `kept` dicts for params and state. Weights stay as they are,
        with nothing besides, if not given.
      draws: whether `restore` draws random numbers in training. The layer itself gets another key then.
    """
    layer = as_layer(layer)

    def init(key, *inputs, **named):
        params, state = layer.init(key, *inputs, **named)
        if store is None:
            paths.matches(params, where)
            return params, state
        if name in state:
            raise ValueError(f"{name}: the state has an entry {name!r} already; this transform applies once")
        params, kept = split(name, params, where, store, key)
        return params, state | ({name: kept} if kept else {})

    def apply(params, state, *inputs, key=None, train=False, **named):
        if draws and train:
            need_key(name, key)
        own, kept, new = {}, {}, {}
        if store is not None:
            params, own = _apart(params, name)
            state, kept = _apart(state, name)

        def one(names, weight):
            weight, entry = restore(weight, at(own, names), at(kept, names), _key_of(key, name, names), train)
            _put(new, names, entry)
            return weight

        inner = derive(key, name) if draws and key is not None else key
        output, state = layer.apply(_map(one, params, where), state, *inputs, key=inner, train=train, **named)
        return output, state | ({name: new} if new else {})

    return Layer(init, apply)


def split(name: str, params: dict, where: str | None, store: Store, key: Any = None) -> tuple[dict, dict]:
    """Params as `store` makes them of plain ones, what it stores besides under `name`; and what it keeps in the state."""
    if name in params:
        raise ValueError(f"{name}: the params have an entry {name!r} already; this transform applies once")
    own, kept = {}, {}

    def one(names, weight):
        weight, *entries = store(_key_of(key, name, names), weight)
        for tree, entry in zip((own, kept), entries):
            _put(tree, names, entry)
        return weight

    params = _map(one, params, where)
    return params | ({name: own} if own else {}), kept


def _map(change: Callable[[Sequence[str], Any], Any], params: dict, where: str | None) -> dict:
    """Params with the selected weights changed, each given with the names on its path."""

    def one(path, weight, chosen):
        return change([step.key for step in path], weight) if chosen else weight

    return jax.tree_util.tree_map_with_path(one, params, paths.matches(params, where))


def _key_of(key: Any, name: str, names: Sequence[str]) -> Any:
    return None if key is None else derive(key, "/".join((name, *names)))


def _apart(tree: dict, name: str) -> tuple[dict, dict]:
    return {other: entry for other, entry in tree.items() if other != name}, tree.get(name, {})


def at(tree: dict, names: Sequence[str]) -> dict:
    """What is under these names; nothing if one is not there."""
    for name in names:
        tree = tree.get(name, {})
    return tree


def _put(tree: dict, names: Sequence[str], entry: dict) -> None:
    if entry:
        for name in names:
            tree = tree.setdefault(name, {})
        tree.update(entry)
