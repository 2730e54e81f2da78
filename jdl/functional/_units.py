"""Output units: the last axis is the output, and a vector is the weights of one unit."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _kernel
from jdl.functional._numbers import root


def input_axes(w: jax.Array) -> tuple[int, ...]:
    """The axes that the weights into one output unit lie along: all but the last, or the only one of a vector."""
    return tuple(range(max(w.ndim - 1, min(w.ndim, 1))))


def units(name: str, w: Any) -> jax.Array:
    """An array as a matrix with a column for each output unit, in float32 at least."""
    return _kernel.matrix(name, w if getattr(w, "ndim", 2) > 1 else w.reshape(-1, 1))


def norm(w: jax.Array, axes: Sequence[int]) -> jax.Array:
    """The norm along axes, which are kept; squares neither overflow nor vanish."""
    largest = jnp.abs(w).max(tuple(axes), keepdims=True, initial=0)
    return largest * root(jnp.square(w / jnp.where(largest > 0, largest, 1)).sum(tuple(axes), keepdims=True))


def limited(w: jax.Array, limit: Any, axes: Sequence[int]) -> jax.Array:
    """Shortens what is longer than `limit` along axes."""
    length = norm(w, axes)
    return jnp.where(length > limit, w * (limit / jnp.where(length > 0, length, 1)), w)
