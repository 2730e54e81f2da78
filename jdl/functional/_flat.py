"""A tree of arrays as one vector."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from jdl.functional._numbers import widen


def flat(tree: Any) -> tuple[jax.Array, Callable[[jax.Array], Any]]:
    """The entries of a tree as a vector, in float32 at least, and the way from a vector to a tree with the dtypes of this one."""
    vector, unravel = ravel_pytree(jax.tree.map(lambda x: widen(jnp.asarray(x)), tree))

    def back(vector: jax.Array) -> Any:
        return jax.tree.map(lambda x, like: x.astype(jnp.result_type(like)), unravel(vector), tree)

    return vector, back
