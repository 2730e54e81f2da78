"""Geometry of boxes `(x1, y1, x2, y2)`, computed in float32 at least."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._ratio import ratio


def pair(name: str, **boxes: Any) -> tuple[jax.Array, ...]:
    """Two arrays of boxes, in float32 at least; raises ValueError unless both are `(..., 4)`."""
    for key, given in boxes.items():
        if jnp.ndim(given) == 0 or given.shape[-1] != 4:
            raise ValueError(f"{name}: {key} must be (..., 4), got {_check.describe(given)}")
    return tuple(widen(jnp.asarray(given)) for given in boxes.values())


def size(boxes: jax.Array) -> jax.Array:
    """Width and height, `(..., 2)`; 0 where a corner lies beyond the other."""
    return jnp.maximum(boxes[..., 2:] - boxes[..., :2], 0)


def overlap(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Intersection over union (0 if the union is empty), and the union; the axes before the last broadcast."""
    shared = size(jnp.concatenate([jnp.maximum(a[..., :2], b[..., :2]), jnp.minimum(a[..., 2:], b[..., 2:])], -1)).prod(-1)
    union = size(a).prod(-1) + size(b).prod(-1) - shared
    return ratio(shared, union, 0.0), union


def enclosing(a: jax.Array, b: jax.Array) -> jax.Array:
    """Width and height of the smallest box around both, `(..., 2)`."""
    return size(jnp.concatenate([jnp.minimum(a[..., :2], b[..., :2]), jnp.maximum(a[..., 2:], b[..., 2:])], -1))
