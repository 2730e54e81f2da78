"""Log-probabilities of many classes, of which rare ones have narrow weights."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._dense import dense
from jdl.functional._numbers import widen

_NAME = "adaptive_log_softmax"


def adaptive_log_softmax(
    x: jax.Array,
    head: jax.Array,
    tails: Sequence[tuple[jax.Array, jax.Array]],
    bias: jax.Array | None = None,
) -> jax.Array:
    """Log-probabilities of all classes, in two steps: a frequent class or a cluster of rare ones, and then a class of the cluster.

    The head's outputs are the frequent classes, then the clusters. With `h = log_softmax(x head + bias)`, class k has `h_k` if it
    is frequent, and `h_c + log_softmax(x down_c up_c)_k` if it is in cluster c. So the rarer classes are, the narrower their
    weights may be. A compiled program has static shapes, so that no sample skips a cluster: only narrow weights save time.

    Args:
      x: input, `(..., in)`, floating point.
      head: weights, `(in, frequent + clusters)`, cast to the dtype of `x`.
      tails: for each cluster `(down, up)`, weights `(in, narrow)` and `(narrow, classes)`, cast likewise.
      bias: of the head, `(frequent + clusters,)`.

    Returns:
      `(..., classes)`, of the dtype of `x`: the frequent ones, then those of each cluster. Softmax is computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if shapes don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> head, tails = jnp.zeros((4, 3)), [(jnp.zeros((4, 2)), jnp.zeros((2, 5)))]
      >>> shares = jnp.exp(functional.adaptive_log_softmax(jnp.ones(4), head, tails))  # 2 frequent classes and a cluster of 5
      >>> (1 / shares).round().tolist()
      [3.0, 3.0, 15.0, 15.0, 15.0, 15.0, 15.0]

    Source: Grave et al., "Efficient softmax approximation for GPUs", https://arxiv.org/abs/1609.04309.
    """
    x = _check.floating(_NAME, x)
    frequent = _frequent(x, head, tails, bias)
    top = jax.nn.log_softmax(widen(dense(x, head, bias)))
    within = [jax.nn.log_softmax(widen(dense(dense(x, down), up))) for down, up in tails]
    clusters = jnp.split(top[..., frequent:], len(tails), -1) if tails else []
    parts = [top[..., :frequent], *(cluster + rest for cluster, rest in zip(clusters, within))]
    return jnp.concatenate(parts, -1).astype(x.dtype)


def _frequent(x: Any, head: Any, tails: Any, bias: Any) -> int:
    """How many classes are frequent; raises ValueError if shapes don't fit."""
    given = f"x is {_check.describe(x)}"
    if head.ndim != 2 or x.shape[-1:] != head.shape[:1] or head.shape[1] <= len(tails):
        wants = f"head must be (in, frequent + {len(tails)} clusters)"
        raise ValueError(f"{_NAME}: {wants}, got {_check.describe(head)}, {given}")
    for number, (down, up) in enumerate(tails):
        if down.ndim != 2 or up.ndim != 2 or down.shape[0] != x.shape[-1] or down.shape[1] != up.shape[0]:
            wants = f"tail {number} must be (in, narrow) and (narrow, classes)"
            raise ValueError(f"{_NAME}: {wants}, got {_check.describe(down)} and {_check.describe(up)}, {given}")
    if bias is not None and bias.shape != head.shape[1:]:
        raise ValueError(f"{_NAME}: bias must be {list(head.shape[1:])}, got {_check.describe(bias)}")
    return head.shape[1] - len(tails)
