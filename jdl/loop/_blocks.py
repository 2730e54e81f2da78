"""How many members of a population fit in memory at once."""

import os
from collections.abc import Callable
from typing import Any

import jax

from jdl.checkpoint._together import largest

_SHARE = 0.8  # of what is free


def block_size(members: int, bytes_of: Callable[[int], int], room: int) -> int:
    """The largest block found to fit: all members, or a share of them, at least 2.

    Args:
      members: how many there are.
      bytes_of: what a block of some size takes, as XLA plans it.
      room: how many bytes there are.

    Returns:
      A number from 1 to `members`; 1 only if there is but one member, as `vmap` over one adds in another order than over several.

    Raises:
      MemoryError: if not even two fit.
    """
    size = members
    while (needed := bytes_of(size)) > room:
        if size <= 2:
            raise MemoryError(f"sweep: {size} members take {needed / 2**30:.1f} GiB, there are {room / 2**30:.1f}")
        size = max(2, min(size - 1, size * room // needed))
    return size


def free_bytes(given: Any = (), devices: int = 1) -> int:
    """What a program may take, of a device's memory or the host's: also the room of what it is given, which is there already.

    Args:
      given: arrays that the program takes.
      devices: of this process that it runs on: they share the host's memory. Processes agree on the least that one has.
    """
    device = jax.local_devices()[0]
    shards = [shard for a in jax.tree.leaves(given) for shard in a.addressable_shards if shard.device == device]
    there = sum(shard.data.nbytes for shard in shards)
    stats = device.memory_stats()
    if stats and "bytes_limit" in stats:
        free = stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    else:
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // devices
    return -largest(-int(_SHARE * free + there))
