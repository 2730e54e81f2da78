"""Look-up of bags of indices."""

from typing import Literal

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._embedding import embedding

BagReduction = Literal["mean", "sum", "max"]


def embedding_bag(
    ids: jax.Array,
    table: jax.Array,
    *,
    reduction: BagReduction = "mean",
    weights: jax.Array | None = None,
    where: jax.Array | None = None,
) -> jax.Array:
    """Takes the mean, the sum or the largest entries of the rows that a bag of indices names: `y = sum_n table[ids[n]] / n`.

    Args:
      ids: integers in 0..size-1, `(..., bag)`; may be anything where `where` is false.
      table: `(size, features)`.
      reduction: `"mean"`, `"sum"` or `"max"`, over the last axis of `ids`, in float32 at least.
      weights: what the rows of a sum are multiplied with, of the shape of `ids`.
      where: booleans of the shape of `ids`: which indices count, such as `ids != padding_index`. A bag of none gives zeros.

    Returns:
      `(..., features)`, of the dtype of the table.

    Raises:
      TypeError: if `ids` are not integers.
      ValueError: if an index is out of range, shapes differ, or there are weights for another reduction than a sum.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.embedding_bag(jnp.array([[2, 0], [1, 1]]), jnp.eye(3)).tolist()
      [[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]]

    Source: Joulin et al., "Bag of Tricks for Efficient Text Classification", https://arxiv.org/abs/1607.01759.
    """
    ids = _check.array(ids)
    check_reduction(reduction)
    if ids.ndim == 0:
        raise ValueError(f"embedding_bag: ids must be (..., bag), got {_check.describe(ids)}")
    if weights is not None and reduction != "sum":
        raise ValueError(f'embedding_bag: weights are for reduction="sum", got "{reduction}"')
    _check.same_shape("embedding_bag", ids=ids, weights=ids if weights is None else weights, where=ids if where is None else where)
    counts = jnp.ones(ids.shape, bool) if where is None else jnp.asarray(where, bool)
    ids = ids if where is None else jnp.where(counts, ids, 0)
    _check.indices("embedding_bag", "ids", ids, table.shape[0])
    wide = jnp.promote_types(table.dtype, jnp.float32)
    rows, shown = embedding(ids, table).astype(wide), jnp.expand_dims(counts, -1)
    if reduction == "max":
        largest = rows.max(-2, where=shown, initial=-jnp.inf)
        return jnp.where(counts.any(-1, keepdims=True), largest, 0).astype(table.dtype)
    shares = counts.astype(wide) if weights is None else jnp.where(counts, weights, 0).astype(wide)
    if reduction == "mean":
        shares = shares / jnp.maximum(shares.sum(-1, keepdims=True), 1)
    return (jnp.where(shown, rows, 0) * jnp.expand_dims(shares, -1)).sum(-2).astype(table.dtype)


def check_reduction(reduction: str) -> None:
    """Raises ValueError unless a bag can be reduced so."""
    if reduction not in ("mean", "sum", "max"):
        raise ValueError(f'embedding_bag: reduction must be "mean", "sum" or "max", got {reduction!r}')
