"""What the processes of one job do together. With one process, nothing is sent. All must call these in the same order."""

from typing import Any

import jax
import numpy as np

from jdl.functional import _check


def first() -> bool:
    """Whether this is the process that writes."""
    return jax.process_index() == 0


def largest(value: float) -> int:
    """The largest of the processes' integers."""
    if jax.process_count() == 1:
        return int(value)
    from jax.experimental import multihost_utils

    parts = np.array([value], np.int64).view(np.uint8)  # since JAX may have no integers of 64 bits
    return int(np.asarray(multihost_utils.process_allgather(parts)).view(np.int64).max())


def fetched(array: Any) -> np.ndarray:
    """A copy on the host of numbers, or those of keys, that may lie on devices of all processes, whole in each."""
    if _check.is_key(array):
        array = jax.random.key_data(jax.random.clone(array))
    if isinstance(array, jax.Array) and not (array.is_fully_addressable or array.is_fully_replicated):
        from jax.experimental import multihost_utils

        array = multihost_utils.process_allgather(array, tiled=True)
    return np.array(array, copy=True)  # np.asarray of an array on a CPU is a view of a buffer that the next step overwrites


def laid(value: Any, sharding: Any) -> Any:
    """A new array, laid out over devices. Where they are those of several processes, each has the whole value and puts its part."""
    if sharding is None or sharding.is_fully_addressable:
        return jax.device_put(value, sharding, may_alias=False)
    if isinstance(value, jax.Array) and not value.is_fully_addressable:
        return jax.jit(lambda a: a.copy(), out_shardings=sharding)(value)
    if _check.is_key(value):
        data = laid(jax.random.key_data(jax.random.clone(value)), sharding)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(value))
    value = np.asarray(value)
    return jax.make_array_from_callback(value.shape, sharding, lambda index: value[index])
