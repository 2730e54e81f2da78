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
    *,
    key: Any,
    axis_name: str,
) -> jax.Array:
    """What the queries of this device mix of all values, a device's at a time.

    Query, keys, values and `at` are this device's part, as are mask and bias along queries; of keys, they and `of` are of all. Each
    block has its own highest logit, and what is summed so far shrinks when a higher one comes; as the quotient doesn't depend on
    what is subtracted, that is a constant to derivatives. So no sum is kept for the backward pass, nor are keys and values of
    others: they are sent again, from where they are.
    """
    size, own = jax.lax.axis_size(axis_name), jax.lax.axis_index(axis_name)
    chunk, memory = queries_at_a_time(query, keys), keys.shape[1]

    def some(query: jax.Array, mask: Any, bias: Any, at: Any, top: Any, key: Any, *, keys: Any, values: Any, of: Any) -> Any:
        logits, seen = logits_of(query, keys, mask, bias, at, of)
        parts, top = exponentials(logits, seen, top)
        total = parts.sum(-1, keepdims=True)
        parts = parts if key is None else dropout(key, parts, rate)
        return mixture(parts, values), total, top

    def hop(count: int, sent: Any) -> Any:
        return jax.lax.ppermute(sent, axis_name, [(i, (i + count) % size) for i in range(size)])

    @jax.checkpoint
    def block(hops: Any, query: Any, keys: Any, values: Any, mask: Any, bias: Any, top: Any, key: Any) -> Any:
        source = (own - hops) % size
        keys, values = jax.lax.switch(hops, [functools.partial(hop, count) for count in range(size)], (keys, values))
        part = functools.partial(_columns, start=source * memory, size=memory, whole=size * memory)
        key = None if key is None else jax.random.fold_in(key, source)
        one = functools.partial(some, keys=keys, values=values, of=part(of))
        return in_chunks(one, chunk, (query, part(mask), part(bias), at, top), (1, 2, 2, 1, 2), key, (2, 2, 2))

    def step(before: Any, hops: Any) -> Any:
        mixed, total, top = before
        new, added, higher = block(hops, query, keys, values, mask, bias, top, key)
        shrink = jnp.exp(top - jax.lax.stop_gradient(higher))
        return (mixed * shrink + new, total * shrink + added, higher), None

    (batch, time, heads, _), width = query.shape, values.shape[-1]
    wide = jnp.promote_types(jnp.result_type(query, keys), jnp.float32)
    least = jnp.finfo(wide).min if sinks is None else widen(sinks).reshape(1, -1, 1, 1)
    least = jnp.broadcast_to(least, (batch, heads, time, 1)).astype(wide)
    top = jax.lax.stop_gradient(least)
    total = jnp.zeros_like(least) if sinks is None else jnp.exp(least - top)
    first, _ = step((jnp.zeros((batch, heads, time, width), wide), total, top), 0)  # has the types that all have
    (mixed, total, _), _ = jax.lax.scan(step, first, jnp.arange(1, size))
    return divided(mixed, divisor(total), values.dtype)


def _columns(x: Any, *, start: jax.Array, size: int, whole: int) -> Any:
    """Of a mask, bias or positions of `whole` keys, those of a block; what is the same for all keys as it is."""
    if x is None or x.shape[-1] == 1 < whole:
        return x
    return jax.lax.dynamic_slice_in_dim(x, start, size, axis=-1)
