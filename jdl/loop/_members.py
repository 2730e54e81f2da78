"""The members of a block over all devices, each whole on one of them, so that nothing is sent."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jdl import parallel
from jdl.checkpoint._together import fetched, laid
from jdl.functional import _check

OWN, SHARED = PartitionSpec("members"), PartitionSpec()  # of each member one, and one for all


def by_device(function: Callable, mesh: Mesh, given: Any, gives: Any) -> Callable:
    """A function of members, computed by each device for its own; what is OWN or SHARED of arguments and results, say specs."""
    return jax.shard_map(function, mesh=mesh, in_specs=given, out_specs=gives, check_vma=False)


def put(tree: Any, mesh: Mesh, spec: PartitionSpec = SHARED) -> Any:
    """Arrays on the devices of members; what lies there already is not copied."""
    sharding = NamedSharding(mesh, spec)
    one = jax.device_put if sharding.is_fully_addressable else laid
    return jax.tree.map(lambda a: one(a, sharding), tree)


def on_host(array: jax.Array) -> np.ndarray:
    """All of an array, in every process; of keys, their numbers."""
    return fetched(jax.random.key_data(jax.random.clone(array)) if _check.is_key(array) else array)


def like_was(like: jax.Array, numbers: np.ndarray) -> jax.Array:
    """An array again of what `on_host` made of some."""
    array = jnp.asarray(numbers)
    return jax.random.wrap_key_data(array, impl=jax.random.key_impl(like)) if _check.is_key(like) else array


def fewest(members: int) -> int:
    """How many members a device has at least: two if there are, as `vmap` over one adds in another order than over several."""
    return min(2, members)


def whole(block: int, members: int) -> int:
    """The size of blocks, at least as asked for, that every process can have a part of."""
    processes = jax.process_count()
    return processes * max(-(-min(block, members) // processes), fewest(members))


def share(members: int) -> int:
    """How many members each device has if they are spread over all."""
    return max(-(-members // _counts()[-1]), fewest(members))


def filled(each: int, members: int) -> int:
    """The size of blocks of so many on a device: over as few devices as have all members, or over all devices."""
    return each * next((count for count in _counts() if count * each >= members), _counts()[-1])


def mesh_of(block: int, least: int) -> Mesh:
    """The devices for blocks of this size, of each process as many."""
    local = count_for(block, least) // jax.process_count()
    by_process = [jax.local_devices(process_index=i)[:local] for i in range(jax.process_count())]
    return parallel.mesh("members=-1", devices=sum(by_process, []))


def count_for(block: int, least: int) -> int:
    """The most devices that can have equal parts of a block, of at least so many members.

    Raises ValueError if the block can't be split over the processes.
    """
    if counts := [count for count in _counts() if block % count == 0 and block >= count * least]:
        return counts[-1]
    raise ValueError(f"sweep: blocks of {block} members can't be split over {jax.process_count()} processes, {least} on a device")


def _counts() -> list[int]:
    """Numbers of devices to choose from: as many of each process."""
    return [jax.process_count() * local for local in range(1, jax.local_device_count() + 1)]
