"""Minimisation of a function to convergence, as one pure function."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jdl.functional import _check


class Minimum(NamedTuple):
    """What `minimize` found.

    Attributes:
      params: where.
      value: of the function there.
      gradient: of the function there.
      steps: how many were taken.
      converged: whether the gradient's largest entry is at most the tolerance.
    """

    params: Any
    value: jax.Array
    gradient: Any
    steps: jax.Array
    converged: jax.Array


def minimize(
    function: Callable[[Any], jax.Array],
    optimizer: optax.GradientTransformation,
    params: Any,
    *,
    steps: int,
    tolerance: float | jax.Array = 1e-5,
) -> Minimum:
    """Minimises a function of params with any Optax optimizer, until its gradient is small: one `lax.while_loop`.

    It can be jitted, and mapped with `vmap` over starts or over what the function holds; each member then stops by itself.

    Args:
      function: `params -> scalar`.
      optimizer: any Optax optimizer, such as those of `jdl.optimizers`.
      params: a tree of arrays, to start from.
      steps: most steps to take.
      tolerance: what no entry of the gradient shall exceed, at least 0; may be traced.

    Returns:
      A Minimum. A gradient that is not finite ends the loop too, and is not converged.

    Raises:
      ValueError: if `steps` is not positive or `tolerance` is a negative number.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import optimizers
      >>> found = optimizers.minimize(lambda w: ((w - 3.0) ** 2).sum(), optimizers.lbfgs(), jnp.zeros(2), steps=50)
      >>> found.params.round(2).tolist(), found.converged.item()
      ([3.0, 3.0], True)
    """
    _check.positive("minimize", steps=steps)
    _check.within("minimize", 0, float("inf"), tolerance=tolerance)
    optimizer = optax.with_extra_args_support(optimizer)
    evaluate = jax.value_and_grad(function)

    def slope(found: Minimum) -> jax.Array:
        return jnp.stack([jnp.abs(g).max(initial=0) for g in jax.tree.leaves(found.gradient)]).max()

    def step(carry: tuple[Minimum, Any]) -> tuple[Minimum, Any]:
        found, state = carry
        given = {"value": found.value, "grad": found.gradient, "value_fn": function}
        updates, state = optimizer.update(found.gradient, state, found.params, **given)
        params = optax.apply_updates(found.params, updates)
        return Minimum(params, *evaluate(params), found.steps + 1, found.converged), state

    def unfinished(carry: tuple[Minimum, Any]) -> jax.Array:
        return (slope(carry[0]) > tolerance) & jnp.isfinite(slope(carry[0])) & (carry[0].steps < steps)

    params = jax.tree.map(jnp.asarray, params)
    start = Minimum(params, *evaluate(params), jnp.zeros((), jnp.int32), jnp.zeros((), bool))
    found, _ = jax.lax.while_loop(unfinished, step, (start, optimizer.init(params)))
    return found._replace(converged=slope(found) <= tolerance)
