"""Readouts: from the nodes of each graph to one vector."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._graphs import Graphs, check, nodes_of
from jdl.functional._numbers import widen
from jdl.functional._segment import Reduction, check_reduction, segment_reductions, segment_softmax, segment_sum


def graph_pool(graphs: Graphs, *, reduction: Reduction = "sum") -> jax.Array:
    """Reduces the nodes of each graph: `y[g] = sum_{nodes i of g} x[i]`. Graphs of padding give 0.

    Args:
      graphs: a batch. Counts that don't add up are an error where the host sees them, and give NaN under jit.
      reduction: `"sum"`, `"mean"`, `"max"` or `"min"`.

    Returns:
      `(graphs, features)`, of the dtype of nodes; computed in float32 at least.

    Raises:
      TypeError: if it is no `Graphs`, or nodes are not floating point.
      ValueError: if there are no nodes or no such reduction, or shapes, indices or counts don't fit.

    Example:
      >>> import numpy as np
      >>> from jdl import functional
      >>> graph = functional.graph(np.array([[1.0], [3.0]], "float32"), [0], [1])
      >>> functional.graph_pool(functional.pad_graphs(graph, graph_sizes=2), reduction="mean").tolist()
      [[2.0], [0.0]]
    """
    check_reduction("graph_pool", reduction)
    x = floating_nodes("graph_pool", graphs)
    reduce = segment_reductions[reduction]
    return reduce(x, graphs.node_graphs, graphs.node_counts.shape[0], where=graphs.node_mask)


def graph_attention_pool(graphs: Graphs, scores: jax.Array) -> jax.Array:
    """Takes the mean over the nodes of each graph, weighted by the softmax of scores. Graphs of padding give 0.

    Args:
      graphs: a batch. Counts that don't add up are an error where the host sees them, and give NaN under jit.
      scores: `(nodes, heads)`, where `heads` divides the features of nodes: each head weights a share of them.

    Returns:
      `(graphs, features)`, of the dtype of nodes; computed in float32 at least.

    Raises:
      TypeError: if it is no `Graphs`, or nodes or scores are not floating point.
      ValueError: if there are no nodes, or shapes, indices or counts don't fit.

    Example:
      >>> import numpy as np
      >>> from jdl import functional
      >>> graph = functional.graph(np.array([[1.0], [3.0]], "float32"), [0], [1])
      >>> functional.graph_attention_pool(graph, np.zeros((2, 1), "float32")).tolist()
      [[2.0]]

    Source: Ilse et al., "Attention-based Deep Multiple Instance Learning", https://arxiv.org/abs/1802.04712.
    """
    x, scores = floating_nodes("graph_attention_pool", graphs), _check.floating("graph_attention_pool", scores, "scores")
    if scores.ndim != 2 or len(scores) != len(x) or scores.shape[-1] == 0 or x.shape[-1] % scores.shape[-1]:
        given = f"{_check.describe(scores)} for {_check.describe(x)}"
        raise ValueError(f"graph_attention_pool: scores must be (nodes, heads), heads that divide the features, got {given}")
    of, count, mask = graphs.node_graphs, graphs.node_counts.shape[0], graphs.node_mask
    weights = segment_softmax(widen(scores), of, count, where=mask)
    shares = widen(x).reshape(len(x), scores.shape[-1], -1) * jnp.expand_dims(weights, -1)
    return segment_sum(shares, of, count, where=mask).reshape(count, -1).astype(x.dtype)


def floating_nodes(name: str, graphs: Any) -> jax.Array:
    """The features of nodes, as JAX's array; raises unless there are any and the graphs are sound."""
    return _check.floating(name, nodes_of(name, check(name, graphs)), "nodes")
