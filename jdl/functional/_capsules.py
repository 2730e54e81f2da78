"""Capsules: vectors whose lengths are probabilities, and whose directions agree or not."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import root, widen


def squash(x: jax.Array, axis: int = -1) -> jax.Array:
    """Makes every vector shorter than 1, and keeps its direction: `x |x| / (1 + |x|^2)`.

    Args:
      x: input of any shape, floating point.
      axis: the axis that a vector lies along.

    Returns:
      An array like `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `x` has no such axis.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.squash(jnp.array([[0.0, 2.0], [0.0, 0.0]])).round(3).tolist()
      [[0.0, 0.800000011920929], [0.0, 0.0]]

    Source: Sabour, Frosst and Hinton, "Dynamic Routing Between Capsules", https://arxiv.org/abs/1710.09829.
    """
    x = _check.floating("squash", x)
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(f"squash: axis must be one of x, got {axis} for {_check.describe(x)}")
    wide = widen(x)
    largest = jnp.maximum(jnp.abs(jax.lax.stop_gradient(wide)).max(axis, keepdims=True, initial=0), 1)  # whose square may overflow
    small = wide / largest
    square = jnp.square(small).sum(axis, keepdims=True)
    return (small * root(square) / (1 / largest**2 + square)).astype(x.dtype)


def dynamic_routing(votes: jax.Array, *, routings: int = 3) -> jax.Array:
    """Capsules that their parts vote for, by agreement: parts send more to a capsule that points where their vote does.

    `c = softmax(b)` over capsules, `v = squash(sum_parts c votes)`, `b = b + votes . v`, with b at first 0. Derivatives go through
    all rounds. Logits, sums and lengths are computed in float32 at least.

    Args:
      votes: `(batch, parts, capsules, width)`, floating point.
      routings: how many times c is computed, a positive integer; with 1, all parts send as much to each.

    Returns:
      `(batch, capsules, width)` in the dtype of `votes`.

    Raises:
      TypeError: if `votes` are not floating point.
      ValueError: if `votes` have another rank, or `routings` is no positive integer.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> votes = jnp.array([[[[1.0], [2.0]], [[-1.0], [2.0]]]])  # two parts, which disagree about the first of two capsules
      >>> functional.dynamic_routing(votes).round(2).ravel().tolist()
      [0.0, 0.9399999976158142]

    Source: Sabour, Frosst and Hinton, "Dynamic Routing Between Capsules", https://arxiv.org/abs/1710.09829, procedure 1.
    """
    votes = _check.floating("dynamic_routing", votes, "votes")
    _check.rank("dynamic_routing", votes, (4,), "(batch, parts, capsules, width)", "votes")
    _check.positive("dynamic_routing", routings=routings)
    wide = widen(votes)
    logits = jnp.zeros(votes.shape[:3], wide.dtype)
    for _ in range(routings - 1):
        logits = logits + jnp.einsum("bpcw,bcw->bpc", wide, _gathered(logits, wide))
    return _gathered(logits, wide).astype(votes.dtype)


def _gathered(logits: jax.Array, votes: jax.Array) -> jax.Array:
    return squash(jnp.einsum("bpc,bpcw->bcw", jax.nn.softmax(logits, axis=2), votes))
