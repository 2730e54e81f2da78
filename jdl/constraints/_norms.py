"""Constraints on the norm of the weights into each output unit."""

import jax
import jax.numpy as jnp
import optax

from jdl.constraints._projected import projected
from jdl.functional import _check
from jdl.functional._units import input_axes, limited, norm


def max_norm(limit: float | jax.Array, where: str | None = None) -> optax.GradientTransformation:
    """Keeps the norm of each output unit's weights at most `limit`: longer ones are shortened.

    Norms are over all axes but the last; a vector is one unit.

    Args:
      limit: at least 0; may be traced.
      where: glob over paths, such as `"**/kernel"`; everything if not given.

    Returns:
      An Optax transformation, to be chained after an optimizer. It needs params.

    Raises:
      ValueError: if `limit` is a negative number; when called, if `where` matches nothing or params are not given.

    Example:
      >>> import jax.numpy as jnp, optax
      >>> from jdl import constraints
      >>> optimizer = optax.chain(optax.sgd(1.0), constraints.max_norm(2.5, where="**/kernel"))
      >>> params = {"kernel": jnp.array([[3.0, 1.0], [3.0, 1.0]])}
      >>> gradient = {"kernel": jnp.array([[0.0, 0.0], [-1.0, 0.0]])}
      >>> updates, _ = optimizer.update(gradient, optimizer.init(params), params)
      >>> optax.apply_updates(params, updates)["kernel"].tolist()
      [[1.5, 1.0], [2.0, 1.0]]

    Source: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
    https://jmlr.org/papers/v15/srivastava14a.html.
    """
    _check.within("max_norm", 0, float("inf"), limit=limit)
    return projected("max_norm", where, lambda w: limited(w, limit, input_axes(w)))


def min_max_norm(
    minimum: float | jax.Array, maximum: float | jax.Array, where: str | None = None, *, rate: float | jax.Array = 1.0
) -> optax.GradientTransformation:
    """Keeps the norm of each output unit's weights in [minimum, maximum], or moves it there by a share `rate` of the way each step.

    Norms are over all axes but the last; a vector is one unit. Weights that are all zero have no direction, and stay as they are.

    Args:
      minimum: at least 0; may be traced.
      maximum: at least `minimum`; may be traced.
      where: glob over paths, such as `"**/kernel"`; everything if not given.
      rate: in [0, 1]; 1 enforces the constraint at every step; may be traced.

    Returns:
      An Optax transformation, to be chained after an optimizer. It needs params.

    Raises:
      ValueError: if a number is out of range; when called, if `where` matches nothing or params are not given.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import constraints
      >>> params = jnp.array([[3.0, 0.0], [4.0, 0.5]])
      >>> constraint = constraints.min_max_norm(1.0, 2.5)
      >>> updates, _ = constraint.update(jnp.zeros((2, 2)), constraint.init(params), params)
      >>> (params + updates).tolist()
      [[1.5, 0.0], [2.0, 1.0]]
    """
    _check.within("min_max_norm", 0, float("inf"), minimum=minimum, maximum=maximum)
    _check.ordered("min_max_norm", minimum=minimum, maximum=maximum)
    _check.within("min_max_norm", 0, 1, rate=rate)

    def project(w: jax.Array) -> jax.Array:
        length = norm(w, input_axes(w))
        goal = length + rate * (jnp.clip(length, minimum, maximum) - length)
        return jnp.where(length > 0, w * (goal / jnp.where(length > 0, length, 1)), w)

    return projected("min_max_norm", where, project)


def unit_norm(where: str | None = None) -> optax.GradientTransformation:
    """Keeps the norm of each output unit's weights at 1.

    Norms are over all axes but the last; a vector is one unit. Weights that are all zero have no direction, and stay as they are.

    Args:
      where: glob over paths, such as `"**/kernel"`; everything if not given.

    Returns:
      An Optax transformation, to be chained after an optimizer. It needs params.

    Raises:
      ValueError: when called, if `where` matches nothing or params are not given.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import constraints
      >>> params = jnp.array([[0.75, 0.0], [1.0, 0.0]])
      >>> constraint = constraints.unit_norm()
      >>> updates, _ = constraint.update(jnp.zeros((2, 2)), constraint.init(params), params)
      >>> (params + updates).round(3).tolist()
      [[0.6000000238418579, 0.0], [0.800000011920929, 0.0]]
    """

    def project(w: jax.Array) -> jax.Array:
        length = norm(w, input_axes(w))
        return w / jnp.where(length > 0, length, 1)

    return projected("unit_norm", where, project)
