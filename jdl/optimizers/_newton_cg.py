"""Newton's method with products only."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jdl.curvature import hessian_vector_product
from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.optimizers._search import BACKTRACKING, along, nothing


def newton_cg(
    *,
    damping: float | jax.Array = 0.0,
    iterations: int = 50,
    tolerance: float | jax.Array = 0.5,
    linesearch: optax.GradientTransformationExtraArgs | None = BACKTRACKING,
) -> optax.GradientTransformationExtraArgs:
    """Newton's method for many params: `(H + damping) p = -g` is solved by conjugate gradients, with products `H v` alone.

    The solution is truncated where the residual is at most `min(tolerance, sqrt |g|) |g|`, which keeps convergence faster than
    linear, or where a direction of no or negative curvature is met; then it is what was reached before, which always descends.

    Args:
      damping: added to the Hessian's diagonal, at least 0; may be traced.
      iterations: most products in one step.
      tolerance: of the residual relative to the gradient, in [0, 1]; may be traced.
      linesearch: scales the direction; by default backtracking from 1, halving. None takes the whole direction.

    Returns:
      An Optax transformation; its updates are to be added to params as they are.

    Raises:
      ValueError: if a number is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import optimizers
      >>> rosenbrock = lambda w: (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2
      >>> found = optimizers.minimize(rosenbrock, optimizers.newton_cg(), jnp.zeros(2), steps=50, tolerance=1e-3)
      >>> found.params.round(2).tolist()
      [1.0, 1.0]

    Source: Nocedal and Wright, "Numerical Optimization", algorithm 7.1, https://doi.org/10.1007/978-0-387-40065-5.
    """
    _check.within("newton_cg", 0, float("inf"), damping=damping)
    _check.within("newton_cg", 0, 1, tolerance=tolerance)
    _check.positive("newton_cg", iterations=iterations)

    def update(
        gradient: Any, state: optax.EmptyState, params: Any = None, *, value_fn: Callable, value: Any, grad: Any, **extra: Any
    ):
        del value, grad
        function = lambda params: value_fn(params, **extra)

        def product(v: Any) -> Any:
            curved = hessian_vector_product(function, params, optax.tree.cast_like(v, params))
            return optax.tree.add_scale(jax.tree.map(widen, curved), damping, v)

        slope = jax.tree.map(widen, gradient)
        size = optax.tree.norm(slope)
        limit = jnp.minimum(tolerance, jnp.sqrt(size)) * size
        return optax.tree.cast_like(_truncated(product, slope, limit, iterations), gradient), state

    return along(nothing, update, linesearch)


class _Solution(NamedTuple):
    x: Any
    residual: Any
    direction: Any
    square: jax.Array  # of the residual
    taken: jax.Array
    ended: jax.Array


def _truncated(product: Callable[[Any], Any], slope: Any, limit: jax.Array, iterations: int) -> Any:
    """Conjugate gradients for `product(x) = -slope` from 0, up to a residual or to a direction that doesn't curve upwards."""
    dot = lambda a, b: jnp.asarray(optax.tree.vdot(a, b))

    def step(s: _Solution) -> _Solution:
        image = product(s.direction)
        curvature = dot(s.direction, image)
        tiny = jnp.finfo(curvature.dtype).eps * optax.tree.norm(s.direction) * optax.tree.norm(image)
        flat = ~(curvature > tiny)
        length = jnp.where(flat, jnp.where(s.taken == 0, 1, 0), s.square / jnp.where(flat, 1, curvature))
        x = optax.tree.add_scale(s.x, length, s.direction)
        residual = optax.tree.add_scale(s.residual, length, image)
        square = dot(residual, residual)
        direction = optax.tree.add_scale(optax.tree.scale(-1, residual), square / s.square, s.direction)
        return _Solution(x, residual, direction, square, s.taken + 1, jnp.asarray(flat | (jnp.sqrt(square) <= limit)))

    square = dot(slope, slope)
    start = _Solution(
        optax.tree.zeros_like(slope), slope, optax.tree.scale(-1, slope), square, jnp.zeros((), jnp.int32), square == 0
    )
    return jax.lax.while_loop(lambda s: ~s.ended & (s.taken < iterations), step, start).x
