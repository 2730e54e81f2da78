"""How large a batch may be."""

import bisect
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl.loop._blocks import free_bytes
from jdl.loop._programs import program_bytes
from jdl.train import Run
from jdl.train._run import rows


def largest_batch_size(make_run: Callable[[int], Run], data: Any, *, room: int | None = None) -> int:
    """Finds the largest power of 2 whose training step fits in memory, by what XLA plans for it: compiled, but never run.

    Args:
      make_run: from the size of a batch to a run.
      data: a tree of arrays with one first axis, that of samples; they count too, since they are on the device.
      room: how many bytes there are; by default most of what is free on the device, and those of the data.

    Returns:
      A power of 2, at most the number of samples.

    Raises:
      MemoryError: if not even a batch of one sample fits.

    Example:
      >>> import jax.numpy as jnp, optax, jdl
      >>> from jdl import layers as L, losses, train
      >>> data = jnp.ones((100, 3)), jnp.ones((100, 1))
      >>> step = train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.adam(1e-3))
      >>> jdl.largest_batch_size(lambda size: train.run(step, batch_size=size), data)
      64
    """
    data = jax.tree.map(jnp.asarray, data)
    sizes = [2**i for i in range(rows(data).bit_length())]
    planned = functools.cache(lambda size: _planned(make_run(size), data))
    room = free_bytes(data) if room is None else room
    fitting = bisect.bisect_right(sizes, room, key=planned)
    if not fitting:
        raise MemoryError(f"largest_batch_size: one sample takes {planned(1):,} bytes, there are {room:,}")
    return sizes[fitting - 1]


def _planned(run: Run, data: Any) -> int:
    train_state = jax.eval_shape(run.init, jax.random.key(0), data)
    advance = jax.jit(functools.partial(run.advance, steps=2), donate_argnums=0)
    return program_bytes(advance.lower(train_state, data).compile())
