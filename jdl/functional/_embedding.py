"""Look-up of vectors by index."""

import jax
import jax.numpy as jnp

from jdl.functional import _check


def embedding(ids: jax.Array, table: jax.Array) -> jax.Array:
    """Takes a row of the table for every index: `y[..., :] = table[ids[...]]`.

    Args:
      ids: integers in 0..size-1, of any shape. Out of range, they are an error where the host sees them, and give NaN under jit.
      table: `(size, features)`.

    Returns:
      `(*ids.shape, features)`, of the dtype of the table.

    Raises:
      TypeError: if `ids` are not integers.
      ValueError: if an index is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.embedding(jnp.array([2, 0]), jnp.eye(3)).tolist()
      [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]

    Source: Bengio et al., "A Neural Probabilistic Language Model", https://jmlr.org/papers/v3/bengio03a.html.
    """
    ids = _check.array(ids)
    _check.indices("embedding", "ids", ids, table.shape[0])
    return jnp.asarray(table).at[ids].get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)
