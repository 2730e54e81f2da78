"""Look-up table of vectors."""

from typing import Any

import jax
from jax import numpy as jnp
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.functional._embedding import check_padding
from jdl.functional._embedding_bag import BagReduction, check_reduction
from jdl.layer import Layer, derive, stateless


def embedding(
    size: int,
    features: int,
    *,
    padding_index: int | None = None,
    one_hot: bool = False,
    embedding_init: initializers.Initializer = initializers.normal(1.0),
) -> Layer:
    """A vector for every index.

    Args:
      size: how many indices there are.
      features: length of a vector.
      padding_index: an index whose vector starts at zero and gets no gradient.
      one_hot: whether to look up by a product with one-hot vectors, of the precision that matrix products have: faster on TPUs,
        where gradients of look-ups are slow.
      embedding_init: makes the table, `(size, features)`.

    Returns:
      A Layer from integers of any shape to `(..., features)` with param `embedding`, of float32.

    Raises:
      ValueError: if `size` or `features` is not a positive integer, or an index is out of range where the host can see it.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.embedding(100, 8).init(jax.random.key(0), jnp.array([[3, 5]]))
      >>> L.embedding(100, 8).apply(params, state, jnp.array([[3, 5]]))[0].shape
      (1, 2, 8)

    Source: Bengio et al., "A Neural Probabilistic Language Model", https://jmlr.org/papers/v3/bengio03a.html.
    """
    _check.positive("embedding", size=size, features=features)
    if padding_index is not None:
        check_padding("embedding", padding_index, size)

    def init(key: jax.Array, ids: Any) -> dict:
        table = _table("embedding", key, ids, embedding_init, (size, features))
        return {"embedding": table if padding_index is None else table.at[padding_index].set(0)}

    def forward(params: dict, ids: jax.Array) -> jax.Array:
        return functional.embedding(ids, params["embedding"], padding_index=padding_index, one_hot=one_hot)

    return stateless(init, forward)


def embedding_bag(
    size: int,
    features: int,
    *,
    reduction: BagReduction = "mean",
    embedding_init: initializers.Initializer = initializers.normal(1.0),
) -> Layer:
    """The mean, the sum or the largest entries of the vectors of a bag of indices.

    Args:
      size: how many indices there are.
      features: length of a vector.
      reduction: `"mean"`, `"sum"` or `"max"`, over the last axis of the indices.
      embedding_init: makes the table, `(size, features)`.

    Returns:
      A Layer from integers `(..., bag)` to `(..., features)` with param `embedding`, of float32. Further inputs are `weights` of a
      sum and `where`, booleans that say which indices count, both of the shape of the indices. A bag of none gives zeros.

    Raises:
      ValueError: if `size` or `features` is not a positive integer, or there is no such reduction.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> bag, ids = L.embedding_bag(100, 8), jnp.array([[3, 5, 0]])
      >>> params, state = bag.init(jax.random.key(0), ids)
      >>> bag.apply(params, state, ids, where=ids != 0)[0].shape
      (1, 8)

    Source: Joulin et al., "Bag of Tricks for Efficient Text Classification", https://arxiv.org/abs/1607.01759.
    """
    _check.positive("embedding_bag", size=size, features=features)
    check_reduction(reduction)

    def init(key: jax.Array, ids: Any, weights: Any = None, where: Any = None) -> dict:
        return {"embedding": _table("embedding_bag", key, ids, embedding_init, (size, features))}

    def forward(params: dict, ids: jax.Array, weights: Any = None, where: Any = None) -> jax.Array:
        return functional.embedding_bag(ids, params["embedding"], reduction=reduction, weights=weights, where=where)

    return stateless(init, forward)


def _table(name: str, key: jax.Array, ids: Any, initializer: Any, shape: tuple[int, int]) -> jax.Array:
    if not jnp.issubdtype(ids.dtype, jnp.integer):
        raise TypeError(f"{name}: ids must be integers, got {_check.describe(ids)}")
    return initializer(derive(key, "embedding"), shape, jnp.float32)
