"""Look-up of vectors by index, and what reads them out again."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._dense import dense


def embedding(ids: jax.Array, table: jax.Array, *, padding_index: int | None = None, one_hot: bool = False) -> jax.Array:
    """Takes a row of the table for every index: `y[..., :] = table[ids[...]]`.

    Args:
      ids: integers in 0..size-1, of any shape. Out of range, they are an error where the host sees them, and give NaN under jit.
      table: `(size, features)`.
      padding_index: the index of a row that gets no gradient.
      one_hot: whether to look up by a product with one-hot vectors, of the precision that matrix products have: faster on TPUs,
        where gradients of look-ups are slow. All rows must be finite.

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
    ids, table = _check.array(ids), jnp.asarray(table)
    size = table.shape[0]
    _check.indices("embedding", "ids", ids, size)
    row_of = lambda marks: jnp.expand_dims(marks, range(ids.ndim, ids.ndim + table.ndim - 1))
    if one_hot:
        y = dense(jax.nn.one_hot(ids, size, dtype=table.dtype), table)
        y = jnp.where(row_of((ids >= 0) & (ids < size)), y, jnp.nan)
    else:
        y = table.at[ids].get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)
    if padding_index is None:
        return y
    check_padding("embedding", padding_index, size)
    return jnp.where(row_of(ids == padding_index), jax.lax.stop_gradient(y), y)


def check_padding(name: str, index: int, size: int) -> None:
    """Raises ValueError unless the table has the row."""
    if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < size:
        raise ValueError(f"{name}: padding_index must be an integer in 0..{size - 1}, got {index!r}")


def attend(x: jax.Array, table: jax.Array) -> jax.Array:
    """Multiplies `x` by every row of a table of embeddings: `y = x E^T`, the logits of a model whose output layer is its embedding.

    Args:
      x: input, `(..., features)`, floating point.
      table: `(size, features)`, cast to the dtype of `x`.

    Returns:
      `(..., size)`, of the dtype of `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if the last axes of `x` and the table differ.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional, layers as L
      >>> @L.compose(embed=L.embedding(100, 16), norm=L.rms_norm())
      ... def next_token(net, tokens):
      ...     return functional.attend(net.norm(net.embed(tokens)), net.params["embed"]["embedding"])
      >>> tokens = jnp.zeros((2, 7), int)
      >>> params, state = next_token.init(jax.random.key(0), tokens)
      >>> next_token.apply(params, state, tokens)[0].shape
      (2, 7, 100)

    Source: Press and Wolf, "Using the Output Embedding to Improve Language Models", https://arxiv.org/abs/1608.05859.
    """
    x = _check.floating("attend", x)
    if table.ndim != 2 or x.shape[-1:] != table.shape[1:]:
        raise ValueError(f"attend: a table (size, features) must have the features of x, got {_check.describe((table, x))}")
    return dense(x, table.T)
