"""Pooling by attention."""

import jax
import jax.numpy as jnp

from jdl.functional import _check, _slide
from jdl.functional._window import spatial_axes


def attention_pool(x: jax.Array, scores: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """Takes the mean over all spatial axes, weighted by the softmax of scores: `y = sum_p softmax(scores)[p] x[p]`.

    Args:
      x: input, `(batch, *spatial, features)` with one to three spatial axes (or `(batch, n, features)`, a set), floating point.
      scores: `(batch, *spatial, heads)`, where `heads` divides `features`: each head weights a share of the features.
      mask: `(batch, *spatial)` bool, False where an entry does not count. A sample in which nothing counts gives 0.

    Returns:
      `(batch, features)`, of the dtype of `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` or `scores` are not floating point, or `mask` not bool.
      ValueError: if shapes don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.attention_pool(jnp.arange(4.0).reshape(1, 2, 2), jnp.zeros((1, 2, 1))).tolist()
      [[1.0, 2.0]]

    Source: Ilse et al., "Attention-based Deep Multiple Instance Learning", https://arxiv.org/abs/1802.04712.
    """
    x, scores = _check.floating("attention_pool", x), _check.floating("attention_pool", scores)
    spatial_axes("attention_pool", x)
    if scores.shape[:-1] != x.shape[:-1] or scores.shape[-1] == 0 or x.shape[-1] % scores.shape[-1]:
        wants = "(batch, *spatial, heads) with heads that divide the features of x"
        raise ValueError(f"attention_pool: scores must be {wants}, got {_check.describe(scores)} for {_check.describe(x)}")
    wide = jnp.promote_types(x.dtype, jnp.float32)
    flat = lambda a: a.reshape(len(a), -1, a.shape[-1]).astype(wide)
    values, scores = flat(x), flat(scores)
    values = values.reshape(*values.shape[:2], scores.shape[-1], -1)
    counts = None if mask is None else _slide.masked("attention_pool", x, mask).reshape(len(x), -1, 1)
    if counts is not None:
        scores = jnp.where(counts, scores, jnp.finfo(wide).min)  # finite, so that a softmax of nothing else has a gradient
        values = jnp.where(jnp.expand_dims(counts, -1), values, 0)
    weights = jax.nn.softmax(scores, axis=1)
    return (jnp.expand_dims(weights, -1) * values).sum(1).reshape(len(x), -1).astype(x.dtype)
