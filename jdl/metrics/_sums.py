"""Sums over long streams: pairs of floats, so that adding 1 to 20 million, or a small number to a large one, loses nothing."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional._reduce import reduce

Sum = dict[str, jax.Array]  # high, the sum as nearest float, and low, what that leaves out


def zero(shape: tuple[int, ...] = ()) -> Sum:
    """An empty sum of arrays of this shape."""
    return {"high": jnp.zeros(shape, float), "low": jnp.zeros(shape, float)}


def add(total: Sum, amount: jax.Array) -> Sum:
    """Adds an array of the shape of the sum: integers exactly, floats to twice the bits of a float (Neumaier's two terms)."""
    if jnp.issubdtype(amount.dtype, jnp.integer):
        return _add(_add(total, amount // 4096 * 4096), amount % 4096)  # each has fewer bits than a float
    return _add(total, amount)


def merge(a: Sum, b: Sum) -> Sum:
    """The sum of two sums."""
    return _add(_add(a, b["high"]), b["low"])


def value(total: Sum) -> jax.Array:
    """The sum as a float."""
    return total["high"] + total["low"]


def difference(a: Sum, b: Sum) -> jax.Array:
    """`a - b` as a float, also where they are nearly equal."""
    return (a["high"] - b["high"]) + (a["low"] - b["low"])


def shares(name: str, shape: tuple[int, ...], where: Any, weights: Any) -> jax.Array:
    """What each sample counts, by the rules of `reduce`: integers, whose sums are exact, unless weights are floats."""
    counts = weights is None or not jnp.issubdtype(jnp.result_type(weights), jnp.floating)
    return reduce(name, jnp.ones(shape, int if counts else float), where, weights, "none")


def _add(total: Sum, amount: jax.Array) -> Sum:
    amount = amount.astype(total["high"].dtype)
    high, error = _two_sum(total["high"], amount)
    high, low = _two_sum(high, error + total["low"])
    return {"high": high, "low": low}


def _two_sum(a: jax.Array, b: jax.Array) -> tuple[jax.Array, jax.Array]:
    total = a + b
    rest = total - a
    return total, jnp.where(jnp.isfinite(total), (a - (total - rest)) + (b - rest), 0)  # an infinite sum leaves nothing out
