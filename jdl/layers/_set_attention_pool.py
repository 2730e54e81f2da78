"""Pooling of sets by attention of learnt seeds."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl.functional import _check
from jdl.functional._dropout import sequences
from jdl.layer import Layer, compose, stateless
from jdl.layers._attention import attention
from jdl.layers._fitted import fitted
from jdl.layers._layer_norm import layer_norm
from jdl.layers._mlp import mlp
from jdl.layers._parameter import parameter


def set_attention_pool(
    heads: int,
    *,
    seeds: int = 1,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
    seeds_init: initializers.Initializer = initializers.glorot_uniform(),
) -> Layer:
    """Pools a set by multi-head attention of learnt seeds (PMA): `y = norm(h + mlp(h))`, `h = norm(S + attention(S, feed(x)))`.

    Args:
      heads: of attention; divides the features.
      seeds: how many vectors come out.
      kernel_init: makes the kernels of `attention`, and of `feed` and `mlp`, each of two dense layers as wide as `x`.
      bias_init: makes their biases.
      seeds_init: makes the seeds (S), `(seeds, features)`.

    Returns:
      A Layer from `(batch, n, features)` to `(batch, seeds, features)`, with an input `mask=`, `(batch, n)` bool, False for what is
      no element, if you like.

    Raises:
      ValueError: if a size is not a positive integer, or `heads` don't divide the features.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.set_attention_pool(2, seeds=3).init(jax.random.key(0), jnp.ones((4, 5, 6)))
      >>> params["query"]["seeds"].shape
      (3, 6)

    Source: Lee et al., "Set Transformer", https://arxiv.org/abs/1810.00825.
    """
    _check.positive("set_attention_pool", heads=heads, seeds=seeds)
    made = lambda layer: functools.partial(layer, kernel_init=kernel_init, bias_init=bias_init)

    def init(key: jax.Array, x: Any) -> dict:
        return {"seeds": parameter(key, "seeds", seeds_init, (seeds, x.shape[-1]), x)}

    def query(params: dict, x: jax.Array) -> jax.Array:
        start = jnp.expand_dims(params["seeds"].astype(x.dtype), 0)
        return jnp.broadcast_to(start, (len(x), *start.shape[1:]))

    def choose(x: Any, mask: Any = None) -> Layer:
        width = sequences("set_attention_pool", x).shape[-1]
        parts = {name: made(mlp)([width, width]) for name in ("feed", "mlp")}
        parts |= {"attention_norm": layer_norm(), "mlp_norm": layer_norm()}

        @compose(query=stateless(init, query), attention=made(attention)(heads), **parts)
        def forward(net: Any, x: jax.Array, mask: Any = None) -> jax.Array:
            start = net.query(x)
            hidden = net.attention_norm(start + net.attention(start, net.feed(x), mask=mask)[0])
            return net.mlp_norm(hidden + net.mlp(hidden))

        return forward

    return fitted(choose)
