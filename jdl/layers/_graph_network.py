"""The block of graph networks."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl import functional
from jdl.functional._graph_pool import floating_nodes
from jdl.functional._segment import Reduction, check_reduction, segment_reductions
from jdl.layer import Layer, compose


def graph_network(
    edges: Layer | Callable, nodes: Layer | Callable, globals: Layer | Callable | None = None, *, reduction: Reduction = "sum"
) -> Layer:
    """The block of a graph network: new edges, of them and their nodes new nodes, and of both, if you like, new globals.

    Each layer gets one array, of features side by side: `edges` those of edges (or weights), of the nodes that edges come from and
    of those that they go to; `nodes` what `reduction` makes of the new edges to each node, and of nodes; `globals` what it makes
    of the new edges and of the new nodes of each graph; all three also the globals, at the end. What graphs lack is left out.

    Args:
      edges: such as `mlp([64, 64])`.
      nodes: likewise.
      globals: likewise; without it, globals stay, which makes this an interaction network.
      reduction: `"sum"`, `"mean"`, `"max"` or `"min"`; of nothing it is 0.

    Returns:
      A Layer from `Graphs` to `Graphs`, of `edges`, `nodes` and `globals`. Indices out of range and counts that don't add up are
      an error where the host sees them, and give NaN under jit.

    Raises:
      ValueError: if there is no such reduction.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional, layers as L
      >>> graph = functional.graph(jnp.ones((3, 4)), [0, 1], [1, 2])
      >>> block = L.graph_network(L.mlp([8, 5]), L.mlp([8, 6]), L.mlp([8, 7]))
      >>> params, state = block.init(jax.random.key(0), graph)
      >>> y, _ = block.apply(params, state, graph)
      >>> y.edges.shape, y.nodes.shape, y.globals.shape
      ((2, 5), (3, 6), (1, 7))

    Source: Battaglia et al., "Relational inductive biases, deep learning, and graph networks", https://arxiv.org/abs/1806.01261;
    without globals: Battaglia et al., "Interaction Networks for Learning about Objects, Relations and Physics",
    https://arxiv.org/abs/1612.00222.
    """
    check_reduction("graph_network", reduction)
    reduce, last = segment_reductions[reduction], {} if globals is None else {"globals": globals}

    @compose(edges=edges, nodes=nodes, **last)
    def forward(net, graphs):
        x, senders, receivers = floating_nodes("graph_network", graphs), graphs.senders, graphs.receivers
        ends = [functional.embedding(senders, x), functional.embedding(receivers, x)]
        new_edges = net.edges(_joined([graphs.edges, *ends, _spread(graphs.globals, graphs.edge_graphs)]))
        around = reduce(new_edges, receivers, len(x))
        new_nodes = net.nodes(_joined([around, x, _spread(graphs.globals, graphs.node_graphs)]))
        graphs = graphs.replace(edges=new_edges, nodes=new_nodes)
        if globals is None:
            return graphs
        count = len(graphs.node_counts)
        of_edges = reduce(new_edges, graphs.edge_graphs, count, where=graphs.edge_mask)
        of_nodes = reduce(new_nodes, graphs.node_graphs, count, where=graphs.node_mask)
        return graphs.replace(globals=net.globals(_joined([of_edges, of_nodes, graphs.globals])))

    return forward


def _joined(parts: list[Any]) -> jax.Array:
    """Features side by side, weights as one, without those that are not there."""
    there = [jnp.expand_dims(part, 1) if part.ndim == 1 else part for part in parts if part is not None]
    return jnp.concatenate(there, axis=-1)


def _spread(features: Any, owners: jax.Array) -> Any:
    """What each owner has, 0 for padding, whose owner follows the last."""
    if features is None:
        return None
    return functional.embedding(owners, jnp.concatenate([features, jnp.zeros((1, *features.shape[1:]), features.dtype)]))
