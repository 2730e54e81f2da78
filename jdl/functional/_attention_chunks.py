"""Attention of some queries at a time, in memory linear in their number."""

from typing import Any

import jax
import jax.numpy as jnp

_CHUNK_BYTES = 2**24  # of logits at a time in "chunked": a few caches' worth
_CHUNK_QUERIES = 64  # but no fewer than these, since each chunk reads all keys; and many devices share the bytes
_PLAIN_BYTES = 2**29  # of logits, above which "auto" chooses "chunked"


def queries_at_a_time(query: jax.Array, keys: jax.Array, *, plain: bool = False, chunked: bool = False) -> int | None:
    """How many queries in a chunk; None for all at once."""
    (batch, time, heads, _), memory = query.shape, keys.shape[1]
    size = 4 * batch * heads * memory  # bytes of the logits of one query of each sample
    if chunked or (not plain and size * time > _PLAIN_BYTES):
        return max(1, min(time, max(_CHUNK_QUERIES, _CHUNK_BYTES // size)))
    return None


def in_chunks(some: Any, chunk: int | None, inputs: tuple[Any, ...], axes: tuple[int, ...], key: Any, out_axes: Any) -> Any:
    """`some(*inputs, key)` for `chunk` queries at a time, in the backward pass again; at once if there is no `chunk`.

    `axes` are those of queries in the inputs, of which the first is the query itself, and `out_axes` those in what is returned. An
    input that is None, or of size 1 along its axis, is the same for all.
    """
    if chunk is None:
        return some(*inputs, key)
    time = inputs[0].shape[axes[0]]
    chunks = -(-time // chunk)

    def cut(x: Any, axis: int) -> Any:  # to (chunks, ...), or None if it is the same for all queries
        if x is None or x.shape[axis] == 1 < time:
            return None
        pad = [(0, 0)] * x.ndim
        pad[axis] = (0, chunks * chunk - x.shape[axis])
        x = jnp.pad(x, pad)
        return jnp.moveaxis(x.reshape(*x.shape[:axis], chunks, chunk, *x.shape[axis + 1 :]), axis, 0)

    keys = None if key is None else jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(chunks))

    @jax.checkpoint
    def one(own: Any) -> Any:
        parts, key = own
        return some(*(x if part is None else part for part, x in zip(parts, inputs)), key)

    stacked = jax.lax.map(one, (tuple(cut(x, axis) for x, axis in zip(inputs, axes)), keys))

    def joined(axis: int, x: jax.Array) -> jax.Array:
        x = jnp.moveaxis(x, 0, axis)
        return jax.lax.slice_in_dim(x.reshape(*x.shape[:axis], -1, *x.shape[axis + 2 :]), 0, time, axis=axis)

    return jax.tree.map(joined, out_axes, stacked)
