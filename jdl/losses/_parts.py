"""What losses of images and of lists share: `where` can leave out pixels or items, and not only whole samples."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check


def counted(name: str, parts: Any, where: Any, samples: int) -> tuple[jax.Array, jax.Array]:
    """Which parts count, in the shape of `parts`, and which samples have any, in the shape of its first `samples` axes."""
    if where is None:
        counts = jnp.ones(parts.shape, bool)
    else:
        where = jnp.asarray(where, bool)
        if where.shape != parts.shape[: where.ndim]:
            takes = f"must have the leading shape of {_check.describe(parts)}"
            raise ValueError(f"{name}: where {takes}, got {_check.describe(where)}")
        counts = jnp.broadcast_to(jnp.expand_dims(where, range(where.ndim, parts.ndim)), parts.shape)
    return counts, counts.any(range(samples, parts.ndim))


def blank(x: Any, counts: jax.Array) -> jax.Array:
    """`x` with 0 where a part does not count, so that what stands there, even NaN, has no influence."""
    return jnp.where(jnp.expand_dims(counts, range(counts.ndim, x.ndim)), x, 0)
