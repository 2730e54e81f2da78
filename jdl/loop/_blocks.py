"""How many members of a population fit in memory at once."""

import os
from collections.abc import Callable

import jax

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


def free_bytes() -> int:
    """What a program may take, of the device's memory or the host's."""
    stats = jax.devices()[0].memory_stats()
    if stats and "bytes_limit" in stats:
        return int(_SHARE * (stats["bytes_limit"] - stats.get("bytes_in_use", 0)))
    return int(_SHARE * os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
