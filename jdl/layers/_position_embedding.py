"""A learnt vector for every position."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.functional._dropout import sequences
from jdl.layer import Layer, stateless
from jdl.layers._parameter import parameter


def position_embedding(longest: int, *, embedding_init: initializers.Initializer = initializers.normal(0.02)) -> Layer:
    """Adds a learnt vector for every position: `y_t = x_t + table_t`, as in BERT and GPT-2.

    Inputs are `(x, positions=None)`: integers in 0..longest-1, `(batch or 1, time)`, such as where decoding has got to; 0, 1, 2
    and so on if not given. Out of range, they are an error where the host sees them, and give NaN under jit.

    Args:
      longest: how many positions there are.
      embedding_init: makes the table, `(longest, features)`.

    Returns:
      A Layer on `(batch, time, features)` with param `embedding`.

    Raises:
      ValueError: if `longest` is not a positive integer, or `x` is longer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> layer, x = L.position_embedding(512), jnp.ones((2, 7, 16))
      >>> params, state = layer.init(jax.random.key(0), x)
      >>> params["embedding"].shape, layer.apply(params, state, x)[0].shape
      ((512, 16), (2, 7, 16))

    Source: Devlin et al., "BERT", https://arxiv.org/abs/1810.04805.
    """
    _check.positive("position_embedding", longest=longest)

    def check(x: Any, positions: Any) -> Any:
        x = sequences("position_embedding", x)
        if positions is None and x.shape[1] > longest:
            raise ValueError(f"position_embedding: there are {longest} positions, x is {_check.describe(x)}")
        if positions is not None and positions.shape not in (x.shape[:2], (1, x.shape[1])):
            raise ValueError(f"position_embedding: positions must be {list(x.shape[:2])}, got {_check.describe(positions)}")
        return x

    def init(key: jax.Array, x: Any, positions: Any = None) -> dict:
        x = check(x, positions)
        return {"embedding": parameter(key, "embedding", embedding_init, (longest, x.shape[-1]), x)}

    def forward(params: dict, x: jax.Array, positions: Any = None) -> jax.Array:
        x, table = check(x, positions), params["embedding"]
        if table.shape[-1] != x.shape[-1]:
            raise ValueError(f"position_embedding: vectors have {table.shape[-1]} features, x is {_check.describe(x)}")
        added = jnp.expand_dims(table[: x.shape[1]], 0) if positions is None else functional.embedding(positions, table)
        return x + added.astype(x.dtype)

    return stateless(init, forward)
