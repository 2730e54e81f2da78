"""Attention of a sequence whose parts lie on the devices of a mesh axis: keys and values go round, and softmax is summed up."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional._attention import divided, exponentials, mixture
from jdl.functional._attention_chunks import in_chunks, queries_at_a_time
from jdl.functional._dropout import dropout
from jdl.functional._numbers import divisor, widen


def ring(
    logits_of: Callable[..., Any],
    query: jax.Array,
    keys: jax.Array,
    values: jax.Array,
    mask: Any,
    bias: Any,
    at: Any,
    of: Any,
    sinks: Any,
    rate: Any,
    key: Any,
    *,
    axis_name: str,
) -> jax.Array:
    """What the queries of this device mix of all values, a device's at a time.

    Query, keys, values and `at` are this device's part, as are mask and bias along queries; of keys, they and `of` are of all. Each
    block has its own highest logit, and what is summed so far shrinks when a higher one comes; as the quotient doesn't depend on
    what is subtracted, that is a constant to derivatives. So no sum is kept for the backward pass, nor are keys and values of
    others: they are sent again.
    """
    size, own = jax.lax.axis_size(axis_name), jax.lax.axis_index(axis_name)
    chunk, memory = queries_at_a_time(query, keys), keys.shape[1]

    def some(query: jax.Array, mask: Any, bias: Any, at: Any, top: Any, key: Any, *, keys: Any, values: Any, of: Any) -> Any:
        logits, seen = logits_of(query, keys, mask, bias, at, of)
        parts, top = exponentials(logits, seen, top)
        total = parts.sum(-1, keepdims=True)
        parts = parts if key is None else dropout(key, parts, rate)
        return mixture(parts, values), total, top

    @functools.partial(jax.checkpoint, static_argnums=0)
    def block(hops: int, query: Any, keys: Any, values: Any, mask: Any, bias: Any, top: Any, key: Any) -> Any:
        source = (own - hops) % size
        sent = [(i, (i + hops) % size) for i in range(size)]
        keys, values = jax.lax.ppermute((keys, values), axis_name, sent) if hops else (keys, values)
        part = functools.partial(_columns, start=source * memory, size=memory, whole=size * memory)
        key = None if key is None else jax.random.fold_in(key, source)
        one = functools.partial(some, keys=keys, values=values, of=part(of))
        return in_chunks(one, chunk, (query, part(mask), part(bias), at, top), (1, 2, 2, 1, 2), key, (2, 2, 2))

    batch, time, heads, _ = query.shape
    shape, wide = (batch, heads, time, 1), jnp.promote_types(jnp.result_type(query, keys), jnp.float32)
    first = jnp.broadcast_to(jnp.finfo(wide).min if sinks is None else widen(sinks).reshape(1, -1, 1, 1).astype(wide), shape)
    top = jax.lax.stop_gradient(first)
    total, mixed = jnp.zeros(shape, wide) if sinks is None else jnp.exp(first - top), None
    for hops in range(size):
        new, added, higher = block(hops, query, keys, values, mask, bias, top, key)
        shrink = jnp.exp(top - jax.lax.stop_gradient(higher))
        total, mixed = total * shrink + added, new if mixed is None else mixed * shrink + new
        top = higher
    return divided(mixed, divisor(total), values.dtype)


def _columns(x: Any, *, start: jax.Array, size: int, whole: int) -> Any:
    """Of a mask, bias or positions of `whole` keys, those of a block; what is the same for all keys as it is."""
    if x is None or x.shape[-1] == 1 < whole:
        return x
    return jax.lax.dynamic_slice_in_dim(x, start, size, axis=-1)
