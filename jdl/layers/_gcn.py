"""Graph convolution."""

from typing import Any

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import Graphs, _check
from jdl.functional._graph_pool import floating_nodes
from jdl.layer import Layer, stateless
from jdl.layers._parameter import parameter


def gcn(
    features: int,
    *,
    self_loops: bool = True,
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.glorot_uniform(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """A graph convolution (GCN): `y = D^-1/2 (A + I) D^-1/2 x W + b`, with `D` the row sums of `A + I`.

    Edges of rank 1 are weights; without edges all weigh 1. Of a directed graph, `A[i, j]` is the edge from `j` to `i`.

    Args:
      features: size of the output.
      self_loops: whether to add `I`; loops that there are count besides.
      bias: whether to add one.
      kernel_init: makes the kernel, `(in, features)`.
      bias_init: makes the bias, `(features,)`.

    Returns:
      A Layer from `Graphs` to `Graphs` with new nodes, with params `kernel` and `bias`. Indices out of range are an error where the
      host sees them, and give NaN under jit.

    Raises:
      ValueError: if `features` is not a positive integer, or edges are features.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional, layers as L
      >>> graph = functional.graph(jnp.ones((3, 4)), [0, 1, 1, 2], [1, 0, 2, 1])
      >>> model = L.chain(L.gcn(16), L.on_nodes(jax.nn.relu), L.gcn(2))
      >>> params, state = model.init(jax.random.key(0), graph)
      >>> jax.jit(model.apply)(params, state, graph)[0].nodes.shape
      (3, 2)

    Source: Kipf and Welling, "Semi-Supervised Classification with Graph Convolutional Networks", https://arxiv.org/abs/1609.02907.
    """
    _check.positive("gcn", features=features)

    def init(key: jax.Array, graphs: Graphs) -> dict:
        x = floating_nodes("gcn", graphs)
        kernel = parameter(key, "kernel", kernel_init, (x.shape[-1], features), x)
        return {"kernel": kernel} | ({"bias": parameter(key, "bias", bias_init, (features,), x)} if bias else {})

    def forward(params: dict, graphs: Graphs) -> Any:
        if graphs.edges is not None and graphs.edges.ndim != 1:
            raise ValueError(f"gcn: edges must be weights (edges,), got {_check.describe(graphs.edges)}; leave them out")
        y = functional.dense(floating_nodes("gcn", graphs), params["kernel"])
        y = functional.gcn(y, graphs.senders, graphs.receivers, graphs.edges, self_loops=self_loops)
        return graphs.replace(nodes=functional.add_bias(y, params["bias"]) if bias else y)

    return stateless(init, forward)
