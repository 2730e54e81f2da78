"""How long the sequences of a padded batch are."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl.functional import _check


def given(name: str, what: str, lengths: Any, sequences: Any) -> Any:
    """The lengths of `(batch, time, ...)`, full ones for None; raises unless they are integers in 0..time."""
    batch, time = sequences.shape[:2]
    if lengths is None:
        return np.full(batch, time)
    lengths = _check.array(lengths)
    if lengths.shape != (batch,):
        raise ValueError(f"{name}: {what} must be [{batch}], got {_check.describe(lengths)}")
    _check.indices(name, what, lengths, time + 1)
    return lengths


def inside(lengths: Any, time: int) -> jax.Array:
    """Bools `(batch, time)`: which entries are no padding."""
    return jnp.expand_dims(jnp.arange(time), 0) < jnp.expand_dims(lengths, 1)


def last(x: jax.Array, lengths: Any) -> jax.Array:
    """The last entry that is no padding, `(batch, 1, ...)` of `(batch, time, ...)`; NaN for lengths out of 1..time."""
    lengths = jnp.asarray(lengths)
    at = jnp.where(lengths > 0, lengths - 1, x.shape[1])
    return jnp.take_along_axis(x, jnp.expand_dims(at, range(1, x.ndim)), 1, mode="fill")
