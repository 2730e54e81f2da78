"""One `shard_map` inside another."""

import jax
from jax.sharding import Mesh


def within(mesh: Mesh) -> Mesh | None:
    """The mesh for `jax.shard_map`; inside another one, None, for its."""
    return None if jax.sharding.get_abstract_mesh().manual_axes else mesh
