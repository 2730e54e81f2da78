"""Lookahead."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jdl.functional import _check
from jdl.gradients._leafwise import needed


class LookaheadState(NamedTuple):
    """The state of `lookahead`: the slow weights, and how many steps were taken since they moved."""

    slow: Any
    count: jax.Array


def lookahead(period: int = 5, rate: float | jax.Array = 0.5) -> optax.GradientTransformation:
    """Lets an optimizer run ahead, and every `period` steps goes back a part of the way: `w = slow = slow + rate (w - slow)`.

    `optax.lookahead` does the same for params that are a pair of fast and slow ones; here params are params, and the slow ones are
    the transformation's state. The optimizer's own state is kept.

    Args:
      period: steps between synchronisations, k in the paper.
      rate: alpha in the paper, in [0, 1]; may be traced.

    Returns:
      An Optax transformation, to be chained after an optimizer. It needs params.

    Raises:
      ValueError: if `period` is not positive or `rate` is a number outside [0, 1]; when called, if params are not given.

    Example:
      >>> import jax.numpy as jnp, optax
      >>> from jdl import gradients
      >>> optimizer = optax.chain(optax.sgd(1.0), gradients.lookahead(2, 0.5))
      >>> params = jnp.array(8.0)
      >>> state = optimizer.init(params)
      >>> for _ in range(2):
      ...     updates, state = optimizer.update(jnp.array(1.0), state, params)
      ...     params = optax.apply_updates(params, updates)
      ...     print(params.item())
      7.0
      7.0

    Source: Zhang et al., "Lookahead Optimizer: k steps forward, 1 step back", https://arxiv.org/abs/1907.08610.
    """
    _check.positive("lookahead", period=period)
    _check.within("lookahead", 0, 1, rate=rate)

    def init(params: Any) -> LookaheadState:
        return LookaheadState(jax.tree.map(jnp.array, params), jnp.zeros((), jnp.int32))  # copies, as params may be donated

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, LookaheadState]:
        params = needed("lookahead", params)
        last = state.count == period - 1
        moved = lambda slow, w, u: jnp.where(last, slow + (rate * (w + u - slow)).astype(slow.dtype), slow)
        slow = jax.tree.map(moved, state.slow, params, updates)
        updates = jax.tree.map(lambda u, slow, w: jnp.where(last, (slow - w).astype(u.dtype), u), updates, slow, params)
        return updates, LookaheadState(slow, jnp.where(last, 0, state.count + 1))

    return optax.GradientTransformation(init, update)
