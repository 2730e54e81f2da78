"""Means, variances and covariance of two numbers over a stream, by merges that don't cancel (Chan et al.)."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional._numbers import divisor
from jdl.metrics import _sums


def zero() -> dict[str, _sums.Sum]:
    """The state of nothing: total weight, two means, and sums of products of deviations (first squared, both, second squared)."""
    return {"weight": _sums.zero(), "mean": _sums.zero((2,)), "moments": _sums.zero((3,))}


def of(first: jax.Array, second: jax.Array, share: jax.Array) -> dict[str, _sums.Sum]:
    """The state of a batch: two arrays, and what each entry counts, of one shape."""
    if not share.size:
        return zero()
    pair, share = jnp.stack([first.ravel(), second.ravel()]), jnp.expand_dims(share.ravel(), 0)
    total = share.sum()
    pair = jnp.where(share == 0, 0, pair)
    start = jax.lax.dynamic_index_in_dim(pair, jnp.argmax(share != 0), 1)  # deviations from an entry: equals give exactly 0
    beyond = (share * (pair - start)).sum(1, keepdims=True) / divisor(total)
    x, y = pair - start - beyond
    products = (share * jnp.stack([x * x, x * y, y * y])).sum(1)
    mean = _sums.add(_sums.add(_sums.zero((2,)), start.squeeze(1)), beyond.squeeze(1))
    return {
        "weight": _sums.add(_sums.zero(), total),
        "mean": mean,
        "moments": _sums.add(_sums.zero((3,)), products),
    }


def merge(a: Any, b: Any) -> dict[str, _sums.Sum]:
    """The state of both."""
    weight = _sums.merge(a["weight"], b["weight"])
    total = _sums.value(weight)
    share = _sums.value(b["weight"]) / divisor(total)
    x, y = apart = _sums.difference(b["mean"], a["mean"])
    between = jnp.stack([x * x, x * y, y * y]) * (_sums.value(a["weight"]) * share)
    moments = _sums.add(_sums.merge(a["moments"], b["moments"]), between)
    return {"weight": weight, "mean": _sums.add(a["mean"], apart * share), "moments": moments}
