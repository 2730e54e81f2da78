"""Constraints from projections."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from jdl.gradients._leafwise import leafwise_with_params


def projected(name: str, where: str | None, project: Callable[[jax.Array], jax.Array]) -> optax.GradientTransformation:
    """Makes params `project(params + updates)`: exactly where that is 0, elsewhere up to the rounding of one sum."""
    return leafwise_with_params(name, where, lambda update, w: project(jnp.add(w, update.astype(w.dtype))) - w)
