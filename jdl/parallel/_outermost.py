"""What `jax.shard_map` can't do yet: derivatives of one inside another."""

import jax


def outermost(name: str) -> None:
    """Raises ValueError inside a `shard_map`."""
    if axes := jax.sharding.get_abstract_mesh().manual_axes:
        raise ValueError(
            f"{name}: here a shard_map is at work, over {', '.join(axes)} (such as a pipeline's), in which JAX can't differentiate "
            "another one; use either"
        )
