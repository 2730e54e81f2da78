"""Pipeline parallel: repeated blocks on one device after the other, and batches in parts, so that all of them work."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.layer import Layer, as_layer, keys_of, repeat
from jdl.parallel._outermost import outermost
from jdl.parallel._rules import _parts, check_mesh


def pipeline(
    layer: Layer | Callable, times: int, *, mesh: Mesh, microbatches: int, axis: str = "stage", scanned: Sequence[str] = ()
) -> Layer:
    """Applies a layer `times` times, as `repeat` does, with the repetitions shared out over a mesh axis.

    Each device has `times / stages` of the blocks, and all their params: `{"blocks/**": jax.P("stage")}` as a rule puts them there.
    A batch goes through in micro-batches, each device at work on another one. `microbatches + stages - 1` times all devices compute
    their blocks, of which `stages - 1` are for nothing: take several times as many micro-batches as stages. Around the block,
    `remat` keeps the memory of the backward pass at one `x` for each block. Samples are split by the compiler, over other axes of
    the mesh.

    Params, values and gradients are those of `repeat`, which can take its place, for evaluation or to generate. Only dropout draws
    other masks, by micro-batch, the same for any number of stages.

    Args:
      layer: `(x, *shared) -> x`; `x` keeps its shape and dtype, and its first axis is that of samples, each treated by itself. Of
        further inputs, arrays whose first axis is as long are split with it, all others go whole to every repetition.
      times: how often; params gain a first axis of this length.
      mesh: from `parallel.mesh`.
      microbatches: into how many parts a batch is split. Where they don't divide it, its last sample fills the last up.
      axis: the mesh axis of stages.
      scanned: as in `repeat`, so that one can stand for the other; but these inputs must be None, and so must what the layer
        returns beside `x`.

    Returns:
      A Layer.

    Raises:
      ValueError: if the mesh has no such axis, it doesn't divide `times`, or a size is not positive; at init and apply, if the
        layer keeps state (batch norm would see micro-batches), returns something beside `x`, or is given a cache, or this is inside
        a `shard_map`.
      TypeError: if the mesh is none.

    Example:
      >>> import functools, jax, jax.numpy as jnp
      >>> from jdl import layers as L, parallel
      >>> mesh = parallel.mesh("data=1,stage=-1")
      >>> block = L.residual(L.chain(L.layer_norm(), L.mlp([16, 4])))
      >>> blocks = parallel.pipeline(L.remat(block), 2 * mesh.size, mesh=mesh, microbatches=4)
      >>> params, state = blocks.init(jax.random.key(0), jnp.ones((8, 4)))
      >>> params = parallel.place(params, mesh, {"**": jax.P("stage")})
      >>> y, _ = jax.jit(blocks.apply)(params, state, jnp.ones((8, 4)))
      >>> y.shape
      (8, 4)

    Source: Huang et al., "GPipe: Efficient Training of Giant Neural Networks using Pipeline Parallelism",
    https://arxiv.org/abs/1811.06965.
    """
    _check.positive("pipeline", times=times, microbatches=microbatches)
    check_mesh("pipeline", mesh)
    stages = _parts("pipeline", axis, mesh)
    if times % stages:
        raise ValueError(f"pipeline: {times} blocks can't be shared out equally over {stages} stages of {axis!r}")
    layer, count = as_layer(layer, "pipeline: layer"), microbatches
    whole, part = repeat(layer, times, scanned=scanned), repeat(_with_keys(layer), times // stages, scanned=scanned)

    def init(key: jax.Array, *inputs: Any, **named: Any) -> tuple[dict, dict]:
        params, state = whole.init(key, *inputs, **named)
        _refuse("keep state", state)
        return params, state

    def apply(params: dict, state: dict, x: Any, *shared: Any, key: Any = None, train: bool = False, **named: Any):
        outermost("pipeline")
        _refuse("keep state", state)
        _refuse("take a cache", {name: named.get(name) for name in scanned})
        arrays, at = _micro_batches((x, shared, named), jax.tree.leaves(x)[0].shape[0], count)

        def block(own: Any, x: Any, shared: Any, named: Any, number: jax.Array) -> Any:
            params, keys = own
            keys = None if keys is None else jax.vmap(jax.random.fold_in, (0, None))(keys, number)
            y, _ = part.apply({"params": params, "keys": keys}, {}, x, *shared, train=train, **named)
            if scanned:
                y, out = y
                _refuse("return something beside x", out)
            return y

        def stage(own: Any, arrays: Any) -> Any:
            index, arrays = jax.lax.axis_index(axis), jax.lax.pcast(arrays, axis, to="varying")

            def tick(received: Any, time: jax.Array) -> Any:
                number = jnp.clip(time - index, 0, count - 1)
                x, shared, named = at(arrays, number)
                x = jax.tree.map(lambda a, b: jnp.where(index == 0, a, b), x, received)
                y = block(own, x, shared, named, number)
                return jax.lax.ppermute(y, axis, [(i, i + 1) for i in range(stages - 1)]), y

            # What comes before and after the batch is computed and not used: on real samples, so that its gradients are finite.
            _, ys = jax.lax.scan(tick, at(arrays, 0)[0], jnp.arange(count + stages - 1))
            last = lambda a: jnp.where(index == stages - 1, _wide(a[stages - 1 :]), 0)
            return jax.lax.psum(jax.tree.map(last, ys), axis)

        own = params, None if key is None else keys_of(key, times)
        split, rest = PartitionSpec(axis), PartitionSpec()
        run = jax.shard_map(stage, mesh=mesh, in_specs=(split, rest), out_specs=rest, axis_names={axis})
        y = jax.tree.map(_joined, run(own, arrays), x)
        return ((y, None) if scanned else y), state

    return Layer(init, apply)


def _with_keys(layer: Layer) -> Layer:
    """The layer whose keys are among its params, so that `repeat` takes them as they are."""

    def apply(own: dict, state: dict, x: Any, *shared: Any, key: Any = None, train: bool = False, **named: Any):
        return layer.apply(own["params"], state, x, *shared, key=own["keys"], train=train, **named)

    return Layer(layer.init, apply)


def _refuse(what: str, tree: Any) -> None:
    if jax.tree.leaves(tree):
        raise ValueError(
            f"pipeline: blocks that {what} can't be in a pipeline, here {_check.describe(tree)}; use repeat, with the same params"
        )


def _micro_batches(tree: Any, size: int, count: int) -> tuple[list[Any], Callable[[list[Any], Any], Any]]:
    """The arrays of a tree, those of `size` samples in micro-batches, and what makes of them the tree for one micro-batch.

    They are of float32 at least, for their gradients are summed over devices. Of other leaves there is None.
    """
    leaves, structure = jax.tree.flatten(tree)
    split = [getattr(leaf, "shape", ())[:1] == (size,) for leaf in leaves]

    def sent(leaf: Any, split: bool) -> Any:
        if split:
            leaf = jnp.asarray(leaf)
            leaf = jnp.pad(leaf, [(0, -size % count)] + [(0, 0)] * (leaf.ndim - 1), mode="edge") if size % count else leaf
            leaf = leaf.reshape(-1, count, *leaf.shape[1:]).swapaxes(0, 1)  # so that samples stay on their devices
        return _wide(leaf) if isinstance(leaf, jax.Array) else None

    def at(arrays: list[Any], number: Any) -> Any:
        one = lambda leaf, split, a: leaf if a is None else (a[number] if split else a).astype(leaf.dtype)
        return jax.tree.unflatten(structure, map(one, leaves, split, arrays))

    return list(map(sent, leaves, split)), at


def _wide(a: jax.Array) -> jax.Array:
    return widen(a) if jnp.issubdtype(a.dtype, jnp.floating) else a


def _joined(parts: jax.Array, like: jax.Array) -> jax.Array:
    """Micro-batches as the batch that they were."""
    whole = parts.swapaxes(0, 1).reshape(-1, *parts.shape[2:])
    return whole[: like.shape[0]].astype(like.dtype)
