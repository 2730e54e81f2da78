"""Arrays of a fixed size that hold a growing number of samples."""

import jax
import jax.numpy as jnp

from jdl.functional import _check

Samples = dict[str, jax.Array]


def empty(capacity: int, **widths: tuple[int, ...]) -> Samples:
    """Room for `capacity` samples, each with floats of these shapes by name, and the `count` of those that are there."""
    return {name: jnp.zeros((capacity, *width), float) for name, width in widths.items()} | {"count": jnp.zeros((), jnp.int32)}


def put(name: str, state: Samples, samples: Samples, counts: jax.Array, number: jax.Array | None = None) -> Samples:
    """Writes the samples for which `counts` is True behind those that are there, or as many as there is room for.

    Args:
      name: of who asks, for messages.
      state: of `empty`.
      samples: arrays by name, with a first axis of samples.
      counts: bools, one for each sample.
      number: of samples that count, where there are more than are given.

    Returns:
      The state; its count is one more than the capacity where that did not do.

    Raises:
      ValueError: if there is not enough room, where the host sees it.
    """
    arrays = {name: array for name, array in state.items() if name != "count"}
    capacity = next(iter(arrays.values())).shape[0]
    count = state["count"] + (counts.sum() if number is None else number)
    _check.report(name, f"there is room for capacity={capacity} samples", count, lambda count: count > capacity)
    places = jnp.where(counts, state["count"] + jnp.cumsum(counts) - 1, capacity)
    full = {name: array.at[places].set(samples[name].astype(float), mode="drop") for name, array in arrays.items()}
    return full | {"count": jnp.minimum(count, capacity + 1).astype(jnp.int32)}  # so that it never wraps around


def merge(name: str, a: Samples, b: Samples) -> Samples:
    """One state of two."""
    samples = {name: array for name, array in b.items() if name != "count"}
    return put(name, a, samples, there(b), b["count"])


def there(state: Samples) -> jax.Array:
    """Which places hold a sample."""
    capacity = next(array.shape[0] for name, array in state.items() if name != "count")
    return jnp.arange(capacity) < state["count"]
