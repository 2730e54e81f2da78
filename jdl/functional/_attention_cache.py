"""The keys and values that a decoder has seen: a value that a request owns."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check

Cache = dict[str, jax.Array]


def attention_cache(batch: int, capacity: int, heads: int, width: int, dtype: Any = jnp.float32) -> Cache:
    """An empty cache of keys and values.

    Args:
      batch: samples.
      capacity: positions that it holds for each sample; with a window, the window's size is enough.
      heads: of keys and values.
      width: of a head.
      dtype: of keys and values.

    Returns:
      A dict of `keys` and `values`, `(batch, capacity, heads, width)`; `positions`, `(batch, capacity)`, -1 where there is nothing;
      and `length`, `(batch,)`, how many positions each sample has seen.

    Raises:
      ValueError: if a size is not a positive integer.

    Example:
      >>> from jdl import functional
      >>> functional.attention_cache(2, 16, 4, 8)["keys"].shape
      (2, 16, 4, 8)
    """
    _check.positive("attention_cache", batch=batch, capacity=capacity, heads=heads, width=width)
    empty = jnp.zeros((batch, capacity, heads, width), dtype)
    return {
        "keys": empty,
        "values": empty,
        "positions": jnp.full((batch, capacity), -1, jnp.int32),
        "length": jnp.zeros(batch, jnp.int32),
    }


def extend_cache(
    cache: Cache, keys: jax.Array, values: jax.Array, *, lengths: jax.Array | None = None, window: int | None = None
) -> tuple[tuple[jax.Array, jax.Array, jax.Array], Cache]:
    """Appends keys and values to a cache: one position or many, and as many for each sample as it has.

    Args:
      cache: of `attention_cache`, or of an earlier call.
      keys: `(batch, time, heads, width)`.
      values: likewise.
      lengths: integers `(batch,)`, how many of the `time` positions count in each sample; all if not given.
      window: how many of the latest positions a query sees. The cache is then a ring, whose oldest positions give way; without, one
        that is full is an error where the host sees it, and gives NaN under jit.

    Returns:
      `(keys, values, positions)` that the queries of these positions see, negative positions for what isn't there; and the cache.

    Raises:
      ValueError: if shapes don't fit, a ring is smaller than its window, or the cache is too small for `time`, or full.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> cache = functional.attention_cache(1, 4, 1, 1)
      >>> _, cache = functional.extend_cache(cache, jnp.ones((1, 3, 1, 1)), jnp.ones((1, 3, 1, 1)))
      >>> cache["positions"].tolist(), cache["length"].tolist()
      ([[0, 1, 2, -1]], [3])
    """
    time, capacity = _checked(cache, keys, values, lengths, window)
    batch = keys.shape[0]
    count = jnp.full(batch, time, jnp.int32) if lengths is None else jnp.asarray(lengths, jnp.int32)
    step = jnp.arange(time).reshape(1, -1)
    position = cache["length"].reshape(-1, 1) + step
    length = cache["length"] + count
    there = step < count.reshape(-1, 1)
    new = {"keys": keys, "values": values, "positions": jnp.where(there, position, -1)}
    kept = there & (position >= length.reshape(-1, 1) - capacity)
    if window is None:
        _check.report("extend_cache", f"the cache holds {capacity} positions", length, lambda length: length > capacity)
        full = jnp.expand_dims(length > capacity, (1, 2, 3))
        new |= {name: jnp.where(full, jnp.nan, new[name]).astype(new[name].dtype) for name in ("keys", "values")}
        slot = jnp.where(full[:, :, 0, 0], step % capacity, position)
    else:
        slot = position % capacity
    slot = jnp.where(kept, slot, capacity)  # out of range, which is dropped
    row = jnp.arange(batch).reshape(-1, 1)
    written = {name: cache[name].at[row, slot].set(x.astype(cache[name].dtype), mode="drop") for name, x in new.items()}
    seen = written
    if window is not None and time + window - 1 > capacity:  # what gives way is still seen by the first queries
        seen = {name: jnp.concatenate([cache[name], x.astype(cache[name].dtype)], 1) for name, x in new.items()}
    return (seen["keys"], seen["values"], seen["positions"]), written | {"length": length}


def _checked(cache: Cache, keys: Any, values: Any, lengths: Any, window: int | None) -> tuple[int, int]:
    """Positions that come, and that the cache holds; raises ValueError unless all fit."""
    batch, capacity, *rest = cache["keys"].shape
    for what, x in (("keys", keys), ("values", values)):
        if x.ndim != 4 or (x.shape[0], *x.shape[2:]) != (batch, *rest):
            takes = f"{[batch, 'time', *rest]}".replace("'", "")
            raise ValueError(f"extend_cache: {what} must be {takes} for this cache, got {_check.describe(x)}")
    _check.same_shape("extend_cache", keys=keys, values=values)
    if lengths is not None and lengths.shape != (batch,):
        raise ValueError(f"extend_cache: lengths must be one for each of {batch} samples, got {_check.describe(lengths)}")
    if window is None and keys.shape[1] > capacity:
        raise ValueError(f"extend_cache: the cache holds {capacity} positions, keys are {_check.describe(keys)}")
    if window is not None and window > capacity:
        raise ValueError(f"extend_cache: a window of {window} positions needs a cache that holds them, this one holds {capacity}")
    return keys.shape[1], capacity
