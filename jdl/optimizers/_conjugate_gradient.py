"""Conjugate gradients for functions that are not quadratic."""

from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.optimizers._search import along


class ConjugateGradientState(NamedTuple):
    """What one step of `nonlinear_conjugate_gradient` leaves to the next; zeros before the first.

    Attributes:
      gradient: of the last step.
      direction: of the last step.
    """

    gradient: Any
    direction: Any


ZOOM = optax.scale_by_zoom_linesearch(30, curv_rtol=0.1)


def nonlinear_conjugate_gradient(
    method: Literal["polak-ribiere", "fletcher-reeves"] = "polak-ribiere",
    *,
    linesearch: optax.GradientTransformationExtraArgs | None = ZOOM,
) -> optax.GradientTransformationExtraArgs:
    """Non-linear conjugate gradients: the direction is `d = -g + b d'`, with the last direction `d'` and gradient `g'`.

    `"polak-ribiere"`: `b = max(0, g (g - g') / g' g')`, which begins anew by itself where progress stops; `"fletcher-reeves"`:
    `b = g g / g' g'`. Where that doesn't descend, the direction is `-g`. It keeps two vectors, less than any quasi-Newton method,
    and minimises a quadratic of `n` params in `n` steps if the search along the line is exact.

    Args:
      method: `"polak-ribiere"` or `"fletcher-reeves"`.
      linesearch: scales the direction, and should come close to the minimum along it; by default Optax's zoom search for the strong
        Wolfe conditions, with slopes a tenth of the first. None takes the whole direction.

    Returns:
      An Optax transformation; its updates are to be added to params as they are.

    Raises:
      ValueError: if `method` is none of these.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import optimizers
      >>> rosenbrock = lambda w: (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2
      >>> optimizer = optimizers.nonlinear_conjugate_gradient()
      >>> optimizers.minimize(rosenbrock, optimizer, jnp.zeros(2), steps=200, tolerance=1e-2).params.round(1).tolist()
      [1.0, 1.0]

    Source: Nocedal and Wright, "Numerical Optimization", section 5.2, https://doi.org/10.1007/978-0-387-40065-5.
    """
    _check.choice("nonlinear_conjugate_gradient", "method", method, ("polak-ribiere", "fletcher-reeves"))

    def init(params: Any) -> ConjugateGradientState:
        zeros = jax.tree.map(lambda x: jnp.zeros_like(widen(jnp.asarray(x))), params)
        return ConjugateGradientState(zeros, zeros)

    def update(gradient: Any, state: ConjugateGradientState, params: Any = None, **extra: Any):
        del params, extra
        slope, dot = jax.tree.map(widen, gradient), lambda a, b: jnp.asarray(optax.tree.vdot(a, b))
        square, before = dot(slope, slope), dot(state.gradient, state.gradient)
        change = square - dot(slope, state.gradient) if method == "polak-ribiere" else square
        share = jnp.where(before > 0, jnp.maximum(change, 0) / jnp.where(before > 0, before, 1), 0)
        share = jnp.where(share * dot(slope, state.direction) < square, share, 0)  # else it would not descend
        direction = optax.tree.add_scale(optax.tree.scale(-1, slope), share, state.direction)
        return optax.tree.cast_like(direction, gradient), ConjugateGradientState(slope, direction)

    return along(init, update, linesearch)
