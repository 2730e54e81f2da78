"""What a run takes in place of all data: a part of an epoch that was read in its order."""

from typing import Any

import flax.struct
import jax


class Window(flax.struct.PyTreeNode):
    """Some batches of an epoch, one after the other.

    Attributes:
      batches: a tree of arrays `(batches, batch size, ...)`.
      start: the position in the epoch of their first sample.
      size: samples in an epoch.
    """

    batches: Any
    start: jax.Array
    size: jax.Array
