"""Graph isomorphism network."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl import functional
from jdl.functional._graph_pool import floating_nodes
from jdl.layer import Layer, compose, stateless
from jdl.layers._parameter import parameter


def gin(layer: Layer | Callable, *, epsilon: float | jax.Array = 0.0, learn_epsilon: bool = False) -> Layer:
    """A layer of a graph isomorphism network (GIN): `y[i] = layer((1 + epsilon) x[i] + sum_{edges j to i} x[j])`.

    Edges only say who the neighbours are: their weights or features have no influence. For them there is `message_passing`.

    Args:
      layer: on what each node sums up, such as `mlp([64, 64])`.
      epsilon: by how much more than a neighbour a node itself counts; may be traced.
      learn_epsilon: whether it is a parameter, that starts there.

    Returns:
      A Layer from `Graphs` to `Graphs` with new nodes, of `layer` and, if epsilon is learnt, `own`. Indices out of range are an
      error where the host sees them, and give NaN under jit.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional, layers as L
      >>> graph = functional.graph(jnp.ones((3, 4)), [0, 1, 1, 2], [1, 0, 2, 1])
      >>> params, state = L.gin(L.mlp([8, 8]), learn_epsilon=True).init(jax.random.key(0), graph)
      >>> params["own"]["epsilon"].item(), sorted(params)
      (0.0, ['layer', 'own'])

    Source: Xu et al., "How Powerful are Graph Neural Networks?", https://arxiv.org/abs/1810.00826.
    """
    start = lambda key, shape, dtype: jnp.full(shape, epsilon, dtype)

    def init(key: jax.Array, x: Any) -> dict:
        return {"epsilon": parameter(key, "epsilon", start, (), x)} if learn_epsilon else {}

    def weigh(params: dict, x: jax.Array) -> jax.Array:
        return (1 + jnp.asarray(params.get("epsilon", epsilon), x.dtype)) * x

    @compose(own=stateless(init, weigh), layer=layer)
    def forward(net, graphs):
        x = floating_nodes("gin", graphs)
        y = net.own(x) + functional.aggregate_neighbors(x, graphs.senders, graphs.receivers)
        return graphs.replace(nodes=net.layer(y))

    return forward
