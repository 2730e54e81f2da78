"""How a layer makes a parameter."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.layer import derive


def parameter(key: jax.Array, name: str, initializer: Any, shape: tuple[int, ...], x: Any) -> jax.Array:
    """A parameter, by a key of its own; in float32 at least, so that half precision of `x` costs no precision of weights."""
    return initializer(derive(key, name), shape, jnp.promote_types(x.dtype, jnp.float32))
