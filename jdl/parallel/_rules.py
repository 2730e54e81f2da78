"""Rules: what says along which of its axes an array is split over the axes of a mesh."""

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from jax.sharding import AbstractMesh, Mesh, PartitionSpec

from jdl import paths
from jdl.functional import _check

Axis: TypeAlias = str | tuple[str, ...]
Specs: TypeAlias = dict[str, PartitionSpec]
Resolve: TypeAlias = Callable[[dict[str, Any], Mesh, bool], Specs]
Rule: TypeAlias = PartitionSpec | Mapping[str, PartitionSpec] | Resolve | Sequence["Rule"]  # what `place` takes

_COLUMNS = ("query", "key", "value", "gate", "up", "mlp/0", "head")
_ROWS = ("out", "down", "mlp/1")


def fully_sharded(axis: Axis = "data", *, beneath: Rule = ()) -> Resolve:
    """The rule that splits every array over a mesh axis, along its largest axis that this divides; what has none is replicated.

    Between steps a device keeps its part of parameters and optimizer state. A step of `parallel.over` gathers the parameters, for
    as long as it uses them. What is replicated stands in `parallel.explain`.

    Args:
      axis: of the mesh; several as a tuple.
      beneath: a rule that comes first, such as `tensor_parallel("model")`; among the axes that it leaves whole is the one split, by
        the mesh axes that it leaves free.

    Returns:
      A rule, for `parallel.place` and `parallel.over`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import parallel
      >>> mesh = parallel.mesh("data=1", devices=jax.devices()[:1])
      >>> placed = parallel.place({"kernel": jnp.ones((3, 8)), "scale": jnp.ones(())}, mesh, parallel.fully_sharded("data"))
      >>> placed["kernel"].sharding.spec, placed["scale"].sharding.spec
      (P(None, 'data'), P())

    Source: Rajbhandari et al., "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models",
    https://arxiv.org/abs/1910.02054.
    """

    def rule(leaves: dict[str, Any], mesh: Mesh, used: bool) -> Specs:
        _parts("fully_sharded", axis, mesh)
        specs = resolve(beneath, leaves, mesh, used)
        if used:
            return {path: PartitionSpec() for path in leaves} | specs
        for path, leaf in leaves.items():
            spec = [*specs.get(path, ()), *[None] * leaf.ndim][: leaf.ndim]
            free = tuple(name for name in _names(axis) if name not in _used(spec))
            parts = _parts("fully_sharded", free, mesh)
            whole = [i for i, names in enumerate(spec) if names is None and leaf.shape[i] and leaf.shape[i] % parts == 0]
            if whole and free:
                spec[max(whole, key=lambda i: (leaf.shape[i], i))] = free if free[1:] else free[0]
                specs[path] = PartitionSpec(*spec)
        return specs

    return rule


def tensor_parallel(axis: Axis = "model") -> Resolve:
    """The rule that splits the products of transformers over a mesh axis, with one sum over it for each attention and each MLP.

    Queries, keys, values, and what goes into an MLP's activation are split by outputs; what follows, `out` and `down` (or the
    second layer of `mlp`), by inputs. Embeddings are split by vocabulary, as are heads. It knows them by their names in
    `attention`, `mlp`, `swiglu` and its like, and in `jdl.models`. What the mesh axis doesn't divide is left to the next rule.

    Args:
      axis: of the mesh; it should divide the number of heads, or each is cut.

    Returns:
      A rule, for `parallel.place` and `parallel.over`; it raises ValueError if there is none of these names.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L, parallel
      >>> block, mesh = L.transformer_block(L.attention(2), L.mlp([16, 4])), parallel.mesh("data=-1,model=1")
      >>> params, _ = jax.eval_shape(block.init, jax.random.key(0), jnp.ones((2, 3, 4)))
      >>> params = parallel.place(params, mesh, parallel.tensor_parallel("model"))
      >>> params["mlp"]["0"]["kernel"].sharding.spec, params["mlp"]["1"]["kernel"].sharding.spec
      (P(None, 'model'), P('model', None))

    Source: Shoeybi et al., "Megatron-LM", https://arxiv.org/abs/1909.08053.
    """
    table = {f"**/{name}/{leaf}": -1 for name in _COLUMNS for leaf in ("kernel", "bias")}
    table |= {f"**/{name}/kernel": -2 for name in _ROWS} | {"**/embedding/embedding": -2}
    return _from_last("tensor_parallel", axis, table)


def expert_parallel(axis: Axis = "expert") -> Resolve:
    """The rule that gives each device some of the experts of `mixture_of_experts`.

    Args:
      axis: of the mesh; where it doesn't divide the number of experts they are left to the next rule.

    Returns:
      A rule, for `parallel.place` and `parallel.over`; it raises ValueError if there are no experts.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L, parallel
      >>> layer, mesh = L.mixture_of_experts(L.swiglu(8), 4), parallel.mesh("data=-1,expert=1")
      >>> params, _ = jax.eval_shape(layer.init, jax.random.key(0), jnp.ones((2, 3, 4)))
      >>> params = parallel.place(params, mesh, parallel.expert_parallel("expert"))
      >>> params["experts"]["up"]["kernel"].sharding.spec
      P('expert', None, None)

    Source: Lepikhin et al., "GShard", https://arxiv.org/abs/2006.16668.
    """
    return _from_last("expert_parallel", axis, {"**/experts/**/kernel": -3, "**/experts/**/bias": -2})


def resolve(rules: Rule, leaves: dict[str, Any], mesh: Mesh, used: bool = False) -> Specs:
    """The specs of arrays by path, from the first rule that speaks of each: as they lie, or as they are used."""
    if isinstance(rules, PartitionSpec):
        return {path: rules for path, leaf in leaves.items() if fits("place", rules, leaf, mesh)}
    if isinstance(rules, Mapping):
        return _by_path(rules, leaves, mesh)
    if maker := next((maker for maker in (fully_sharded, tensor_parallel, expert_parallel) if rules is maker), None):
        raise TypeError(f"place: {maker.__name__} makes a rule: call it with the name of a mesh axis, such as 'data'")
    if callable(rules):
        return rules(leaves, mesh, used)
    if isinstance(rules, str) or not isinstance(rules, Sequence):
        known = "a jax.P, a dict from globs to jax.P, what parallel.fully_sharded('data') and its like give, or a list of these"
        raise TypeError(f"place: rules must be {known}, got {rules!r}")
    found: Specs = {}
    for rule in rules:
        found = resolve(rule, leaves, mesh, used) | found
    return found


def blanket(rules: Rule) -> PartitionSpec:
    """What rules say of arrays that are no parameters, and follow none."""
    several = rules if isinstance(rules, Sequence) and not isinstance(rules, PartitionSpec) else [rules]
    return next((rule for rule in several if isinstance(rule, PartitionSpec)), PartitionSpec())


def check_mesh(name: str, mesh: Any) -> None:
    """Raises TypeError unless it is a mesh."""
    if not isinstance(mesh, Mesh | AbstractMesh):
        raise TypeError(f"{name}: mesh must be a jax.sharding.Mesh, such as parallel.mesh('data=4'), got {mesh!r}")


def fits(name: str, spec: PartitionSpec, leaf: Any, mesh: Mesh) -> bool:
    """Whether an array has the axes that a spec splits, each with a size that the mesh axis divides."""
    return not _misfit(name, spec, leaf, mesh)


def _misfit(name: str, spec: PartitionSpec, leaf: Any, mesh: Mesh) -> str:
    """Why a spec doesn't fit an array; nothing if it does."""
    parts, used = [1 if axis is None else _parts(name, axis, mesh) for axis in spec], _used(spec)
    if len(set(used)) < len(used):
        raise ValueError(f"{name}: {spec} has a mesh axis twice; each can split one axis of an array")
    if len(parts) > leaf.ndim:
        return "which has fewer axes than the spec"
    uneven = [f"{n} parts don't divide axis {i}" for i, (size, n) in enumerate(zip(leaf.shape, parts)) if size % n]
    return f"but {uneven[0]}; split another axis, or leave it whole by a glob before this one" if uneven else ""


def _by_path(table: Mapping[str, PartitionSpec], leaves: dict[str, Any], mesh: Mesh) -> Specs:
    found: Specs = {}
    for glob, spec in table.items():
        if not isinstance(spec, PartitionSpec):
            raise TypeError(f"place: {glob!r} must have a spec such as jax.P(None, 'model'), got {spec!r}")
        for path in (path for path, matched in paths.matches(leaves, glob).items() if matched and path not in found):
            if why := _misfit(f"place: {glob!r} for {path}", spec, leaves[path], mesh):
                sizes = ", ".join(f"{name}={size}" for name, size in mesh.shape.items())
                shown = f"{path}, {_check.describe(leaves[path])}, by {spec} (mesh has {sizes})"
                raise ValueError(f"place: {glob!r} splits {shown}, {why}")
            found[path] = spec
    return found


def _from_last(name: str, axis: Axis, table: dict[str, int]) -> Resolve:
    """Splits an axis counted from the last, since what `repeat` stacks has one more in front."""

    def rule(leaves: dict[str, Any], mesh: Mesh, used: bool) -> Specs:
        found, parts = {}, _parts(name, axis, mesh)
        for glob, place in table.items():
            with contextlib.suppress(ValueError):  # no model has all the names
                found |= {path: place for path, matched in paths.matches(leaves, glob).items() if matched} | found
        if not found:
            raise ValueError(f"{name}: there is none of {', '.join(table)} among the paths: {', '.join(list(leaves)[:20])}")
        able = {
            path: place for path, place in found.items() if -place <= leaves[path].ndim and leaves[path].shape[place] % parts == 0
        }
        whole = {path: [None] * leaves[path].ndim for path in able}
        return {path: PartitionSpec(*whole[path][:place], axis, *[None] * (-place - 1)) for path, place in able.items()}

    return rule


def _parts(name: str, axis: Axis, mesh: Mesh) -> int:
    """Into how many parts a mesh axis, or several, split an array's."""
    for one in _names(axis):
        if one not in mesh.shape:
            raise ValueError(f"{name}: the mesh has axes {', '.join(mesh.shape)}, not {one!r}")
    return math.prod(mesh.shape[one] for one in _names(axis))


def _names(axis: Axis) -> tuple[str, ...]:
    return (axis,) if isinstance(axis, str) else axis


def _used(spec: Iterable[Axis | None]) -> list[str]:
    """The mesh axes that a spec has."""
    return [name for axis in spec if axis is not None for name in _names(axis)]
