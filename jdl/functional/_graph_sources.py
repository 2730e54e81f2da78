"""Graphs from NetworkX and SciPy. All of it runs on the host, with NumPy."""

from typing import Any

import numpy as np

from jdl.functional import _check
from jdl.functional._graphs import Graphs, check


def from_networkx(graph: Any, *, nodes: str | None = None, edges: str | None = None) -> Graphs:
    """Makes a batch of one graph from a graph of NetworkX; on the host.

    Args:
      graph: directed or not, also with parallel edges. An undirected edge becomes two, a loop one. Nodes are numbered in its order.
      nodes: the attribute of nodes that holds their features, a number or a vector; without it, `nodes` is None.
      edges: the attribute of edges that holds their weight, a number, or features, a vector, such as `"weight"`; without it,
        `edges` is None. Of a graph without edges they are `(0,)`; `batch_graphs` makes them as wide as those of others.

    Returns:
      A `Graphs` of NumPy's arrays, features in float32.

    Raises:
      ValueError: if there are no nodes, or an attribute is not there everywhere, with the same length.

    Example:
      >>> import networkx
      >>> from jdl import functional
      >>> path = functional.from_networkx(networkx.path_graph(3))
      >>> path.senders.tolist(), path.receivers.tolist()
      ([0, 1, 1, 2], [1, 2, 0, 1])
    """
    number = {node: i for i, node in enumerate(graph.nodes())}
    found = list(graph.edges(data=True))
    if not graph.is_directed():
        found += [(receiver, sender, data) for sender, receiver, data in found if sender != receiver]
    given = _attribute("edges", edges, [data for *_, data in found])
    features = _attribute("nodes", nodes, [data for _, data in graph.nodes(data=True)])
    senders, receivers = (np.array([number[edge[end]] for edge in found], np.int32) for end in (0, 1))
    features = features if features is None or features.ndim == 2 else np.expand_dims(features, 1)
    return _one("from_networkx", len(number), features, senders, receivers, given)


def from_scipy(adjacency: Any, nodes: Any = None) -> Graphs:
    """Makes a batch of one graph from a sparse adjacency matrix of SciPy; on the host.

    Args:
      adjacency: a sparse matrix or array, `(nodes, nodes)`, whose entry `[i, j]` is the weight of the edge from `i` to `j`, as in
        `scipy.sparse.csgraph`; of an undirected graph it is symmetric. Entries that are stored are edges, also zeros.
      nodes: features, `(nodes, features)`, or None.

    Returns:
      A `Graphs` of NumPy's arrays, whose `edges` are the weights, in float32 unless they are floating point.

    Raises:
      ValueError: if the matrix is not square or has no rows, or `nodes` don't fit it.

    Example:
      >>> import numpy as np, scipy.sparse
      >>> from jdl import functional
      >>> one = functional.from_scipy(scipy.sparse.csr_array([[0.0, 2.0], [0.0, 0.0]]), np.ones((2, 3)))
      >>> one.senders.tolist(), one.receivers.tolist(), one.edges.tolist()
      ([0], [1], [2.0])
    """
    if len(adjacency.shape) != 2 or adjacency.shape[0] != adjacency.shape[1]:
        raise ValueError(f"from_scipy: adjacency must be (nodes, nodes), got {list(adjacency.shape)}")
    if nodes is not None and getattr(nodes, "shape", ())[:1] != adjacency.shape[:1]:
        raise ValueError(f"from_scipy: nodes must be {adjacency.shape[0]} and features, got {_check.describe(nodes)}")
    entries = adjacency.tocsr().tocoo()  # which adds up what is stored twice
    senders, receivers = (index.astype(np.int32) for index in (entries.row, entries.col))
    weights = entries.data if np.issubdtype(entries.data.dtype, np.floating) else entries.data.astype(np.float32)
    return _one("from_scipy", adjacency.shape[0], nodes, senders, receivers, weights)


def _one(name: str, count: int, nodes: Any, senders: Any, receivers: Any, edges: Any) -> Graphs:
    if count == 0:
        raise ValueError(f"{name}: a graph must have a node at least")
    node_counts, edge_counts = (np.array([size], np.int32) for size in (count, len(senders)))
    return check(name, Graphs(nodes, senders, receivers, node_counts, edge_counts, edges))


def _attribute(what: str, name: str | None, of_each: list[dict]) -> Any:
    """An attribute of all nodes or edges as one array."""
    if name is None:
        return None
    if any(name not in data for data in of_each):
        raise ValueError(f"from_networkx: some of {what} have no attribute {name!r}")
    try:
        values = np.array([data[name] for data in of_each], np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"from_networkx: {name!r} of {what} must be numbers, or vectors of one length") from error
    if values.ndim > 2:
        raise ValueError(f"from_networkx: {name!r} of {what} must be numbers or vectors, got {_check.describe(values)}")
    return values
