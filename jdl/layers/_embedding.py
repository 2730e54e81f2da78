"""Look-up table of vectors."""

from typing import Any

import jax
from jax import numpy as jnp
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.layer import Layer, derive, stateless


def embedding(size: int, features: int, *, embedding_init: initializers.Initializer = initializers.normal(1.0)) -> Layer:
    """A vector for every index.

    Args:
      size: how many indices there are.
      features: length of a vector.
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

    def init(key: jax.Array, ids: Any) -> dict:
        if not jnp.issubdtype(ids.dtype, jnp.integer):
            raise TypeError(f"embedding: ids must be integers, got {_check.describe(ids)}")
        return {"embedding": embedding_init(derive(key, "embedding"), (size, features), jnp.float32)}

    return stateless(init, lambda params, ids: functional.embedding(ids, params["embedding"]))
