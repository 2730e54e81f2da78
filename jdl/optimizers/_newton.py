"""Newton's method with the whole Hessian."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jdl.functional import _check
from jdl.functional._flat import flat
from jdl.optimizers._search import BACKTRACKING, along, nothing


def newton(
    *, damping: float | jax.Array = 0.0, linesearch: optax.GradientTransformationExtraArgs | None = BACKTRACKING
) -> optax.GradientTransformationExtraArgs:
    """Newton's method with the exact Hessian: the direction is `-(|H| + damping)^-1 g`.

    For small problems: it computes the Hessian and its eigenvalues, `n^2` memory and `n^3` time for `n` params. `|H|` has the
    eigenvalues' absolute values, so the direction descends and leaves saddles; where the function is convex it is `H`. Without
    damping, directions of no curvature are left out.

    Args:
      damping: added to every absolute eigenvalue, at least 0; may be traced.
      linesearch: scales the direction; by default backtracking from 1, halving. None takes the whole direction.

    Returns:
      An Optax transformation; its updates are to be added to params as they are.

    Raises:
      ValueError: if `damping` is a negative number.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import optimizers
      >>> bowl = lambda w: ((w - 3.0) ** 2).sum()
      >>> optimizers.minimize(bowl, optimizers.newton(), jnp.zeros(2), steps=10).steps.item()
      1

    Source: the absolute values, Dauphin et al., "Identifying and attacking the saddle point problem in high-dimensional non-convex
    optimization", https://arxiv.org/abs/1406.2572.
    """
    _check.within("newton", 0, float("inf"), damping=damping)

    def update(
        gradient: Any, state: optax.EmptyState, params: Any = None, *, value_fn: Callable, value: Any, grad: Any, **extra: Any
    ):
        del value, grad
        vector, at = flat(params)
        slope, back = flat(gradient)
        curvature, directions = jnp.linalg.eigh(jax.hessian(lambda vector: value_fn(at(vector), **extra))(vector))
        size = jnp.abs(curvature) + damping
        curved = size > size.max() * size.size * jnp.finfo(size.dtype).eps
        along_each = jnp.where(curved, (slope @ directions) / jnp.where(curved, size, 1), 0)
        return back(-directions @ along_each), state

    return along(nothing, update, linesearch)
