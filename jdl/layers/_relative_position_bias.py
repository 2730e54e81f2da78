"""A learnt bias of attention for every distance."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.layer import Layer, stateless
from jdl.layers._parameter import parameter


def relative_position_bias(
    heads: int,
    *,
    buckets: int = 32,
    longest: int = 128,
    causal: bool = False,
    embedding_init: initializers.Initializer = initializers.normal(0.02),
) -> Layer:
    """A learnt number for every head and bucket of distances, to add to the logits of attention.

    Args:
      heads: how many.
      buckets: of distances, as `functional.relative_buckets` sorts them.
      longest: distance from which on all are in one bucket.
      causal: whether keys after the query share a bucket.
      embedding_init: makes the table, `(buckets, heads)`.

    Returns:
      A Layer from positions of queries, `(batch or 1, time)`, and of keys, `(batch or 1, memory)`, to
      `(batch or 1, heads, time, memory)`, with param `embedding`: the `position_bias` of `attention`.

    Raises:
      ValueError: if sizes are not positive, or leave no bucket.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> layer, places = L.relative_position_bias(4), jnp.arange(6).reshape(1, 6)
      >>> params, state = layer.init(jax.random.key(0), places, places)
      >>> layer.apply(params, state, places, places)[0].shape
      (1, 4, 6, 6)

    Source: Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer",
    https://arxiv.org/abs/1910.10683.
    """
    _check.positive("relative_position_bias", heads=heads)
    options = {"buckets": buckets, "longest": longest, "causal": causal}
    jax.eval_shape(lambda at: functional.relative_buckets(at, at, **options), jax.ShapeDtypeStruct((1, 1), jnp.int32))

    def init(key: jax.Array, query_positions: Any, key_positions: Any) -> dict:
        wide = jax.ShapeDtypeStruct((), jnp.float32)
        return {"embedding": parameter(key, "embedding", embedding_init, (buckets, heads), wide)}

    def forward(params: dict, query_positions: jax.Array, key_positions: jax.Array) -> jax.Array:
        found = functional.relative_buckets(query_positions, key_positions, **options)
        return jnp.moveaxis(params["embedding"][found], -1, 1)

    return stateless(init, forward)
