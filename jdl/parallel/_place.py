"""Where arrays lie on a mesh."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jdl.checkpoint._together import laid
from jdl.parallel._rules import Rule, Specs, blanket, check_mesh, fits, resolve


def place(tree: Any, mesh: Mesh, rules: Rule = PartitionSpec()) -> Any:
    """Puts a tree of arrays on a mesh: replicated, or split as rules say.

    Rules are:

    - a `jax.P`, for all arrays that it fits, the others are replicated: `jax.P()` replicates all, `jax.P("data")` splits the first
      axis, of members or samples;
    - a dict from globs over the paths of parameters to `jax.P`: `{"**/mlp/0/kernel": jax.P(None, "model")}`, the first glob counts;
    - `parallel.fully_sharded("data")`, `parallel.tensor_parallel("model")`, `parallel.expert_parallel("expert")`;
    - a list of these: for each parameter, the first that speaks of it.

    Of a train state, globs and rules speak of `params`; what has the path and shape of a parameter at its end (optimizer state,
    averages) lies as the parameter does. All else is replicated, or as a `jax.P` in the rules says.

    Args:
      tree: a train state, params or data; `jax.ShapeDtypeStruct`s get a sharding, and nothing is computed.
      mesh: from `parallel.mesh`.
      rules: as above.

    Returns:
      The tree, of new arrays.

    Raises:
      ValueError: if a glob matches no parameter, or splits one into unequal parts, or the mesh lacks an axis, or a `jax.P` has one
        twice.
      TypeError: if a glob has something else than a `jax.P`, or the rules or the mesh are none.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, parallel, train
      >>> step = train.step(train.objective(L.dense(8), losses.mean_squared_error), optax.adam(1e-3))
      >>> train_state = step.init(jax.random.key(0), (jnp.ones((4, 3)), jnp.ones((4, 8))))
      >>> mesh = parallel.mesh("data=-1,model=1")
      >>> train_state = parallel.place(train_state, mesh, {"kernel": jax.P(None, "model")})
      >>> train_state.optimizer_state[0].mu["kernel"].sharding.spec
      P(None, 'model')
    """

    def put(leaf: Any, sharding: NamedSharding) -> Any:
        if isinstance(leaf, jax.ShapeDtypeStruct):
            return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
        return laid(leaf, sharding)  # never an alias: a step may donate the one and not the other

    return jax.tree.map(put, tree, shardings(tree, mesh, rules))


def shardings(tree: Any, mesh: Mesh, rules: Rule, *, used: bool = False) -> Any:
    """A tree of `NamedSharding`s: where `place` puts what, or how a step uses it."""
    check_mesh("place", mesh)
    leaves = _leaves(getattr(tree, "params", tree))
    specs, rest = resolve(rules, leaves, mesh, used), blanket(rules)

    def one(path: tuple[Any, ...], leaf: Any) -> NamedSharding:
        leaf = _abstract(leaf)
        spec = _followed(_name(path), leaf, leaves, specs)
        if spec is None:
            spec = rest if fits("place", rest, leaf, mesh) else PartitionSpec()
        return NamedSharding(mesh, spec)

    return jax.tree_util.tree_map_with_path(one, tree)


def _followed(path: str, leaf: Any, leaves: dict[str, Any], specs: Specs) -> PartitionSpec | None:
    """The spec of the parameter whose path and shape this array's end with, if there is one."""
    names = path.split("/")
    for i in range(len(names)):
        owner = "/".join(names[i:])
        if owner in leaves and leaf.shape[leaf.ndim - leaves[owner].ndim :] == leaves[owner].shape:
            ahead = [None] * (leaf.ndim - leaves[owner].ndim)
            return PartitionSpec(*ahead, *specs.get(owner, ()))
    return None


def _leaves(tree: Any) -> dict[str, Any]:
    return {_name(path): _abstract(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def _abstract(leaf: Any) -> Any:
    return leaf if hasattr(leaf, "dtype") else jnp.asarray(leaf)


def _name(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
