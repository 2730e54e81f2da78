"""Proximal gradient steps."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jdl.functional import _check
from jdl.gradients._leafwise import needed, wide


class ProximalState(NamedTuple):
    """The state of `proximal`: how many steps were taken, for schedules."""

    count: jax.Array


def proximal(operator: Callable[[Any, Any], Any], step_size: float | jax.Array | optax.Schedule) -> optax.GradientTransformation:
    """Applies a proximal operator after the optimizer's step: `params = operator(params + updates, step_size)`.

    After `optax.sgd(step_size)` this is proximal gradient descent (ISTA), which minimises a loss plus a penalty, with weights that
    become exactly zero. After an optimizer whose steps differ from entry to entry, such as `optax.adam`, weights become exactly
    zero too, but where they settle is no longer the minimum of that sum.

    Args:
      operator: `(params, step_size) -> params`, such as `regularizers.proximal_l1(1e-3, where="**/kernel")`.
      step_size: the optimizer's learning rate, at least 0; may be traced, or a schedule, from the number of the step.

    Returns:
      An Optax transformation, to be chained after an optimizer. It needs params.

    Raises:
      ValueError: if `step_size` is a negative number; when called, if params are not given.

    Example:
      >>> import jax.numpy as jnp, optax
      >>> from jdl import gradients, regularizers
      >>> lasso = optax.chain(optax.sgd(0.5), gradients.proximal(regularizers.proximal_l1(1.0), 0.5))
      >>> params, gradient = jnp.array([1.0, 1.0]), jnp.array([1.5, -1.0])
      >>> updates, _ = lasso.update(gradient, lasso.init(params), params)
      >>> optax.apply_updates(params, updates).tolist()
      [0.0, 1.0]

    Source: Beck and Teboulle, "A Fast Iterative Shrinkage-Thresholding Algorithm", https://doi.org/10.1137/080716542.
    """
    if not callable(step_size):
        _check.within("proximal", 0, float("inf"), step_size=step_size)

    def init(params: Any) -> ProximalState:
        return ProximalState(jnp.zeros((), jnp.int32))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, ProximalState]:
        start = jax.tree.map(lambda w: wide("proximal", w), needed("proximal", params))
        size = step_size(state.count) if callable(step_size) else step_size
        goal = operator(jax.tree.map(lambda w, u: w + u.astype(w.dtype), start, updates), size)
        return jax.tree.map(jnp.subtract, goal, start), ProximalState(jnp.asarray(optax.safe_increment(state.count)))

    return optax.GradientTransformation(init, update)
