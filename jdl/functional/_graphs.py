"""A batch of graphs as arrays."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from jdl.functional import _check


class Graphs(flax.struct.PyTreeNode):
    """A batch of graphs, side by side in one set of arrays: `jit` and `vmap` take it as a tree.

    Nodes and edges of a graph follow each other, and so do graphs. What follows the last graph is padding: nodes and edges that no
    count includes, and graphs without nodes. An edge of padding leads from and to nodes of padding, so that it reaches no graph.

    Attributes:
      nodes: features, `(nodes, features)`; None where there are none yet, `graphs.replace(nodes=...)` gives them.
      senders: the node each edge comes from, integers `(edges,)` in 0..nodes-1.
      receivers: the node each edge goes to, likewise. An undirected edge is two.
      node_counts: how many nodes each graph has, integers `(graphs,)`.
      edge_counts: how many edges each graph has, likewise.
      edges: weights `(edges,)`, features `(edges, features)`, or None.
      globals: features of graphs, `(graphs, features)`, or None.
    """

    nodes: Any
    senders: Any
    receivers: Any
    node_counts: Any
    edge_counts: Any
    edges: Any = None
    globals: Any = None

    @property
    def node_mask(self) -> jax.Array:
        """Bools `(nodes,)`, False for padding."""
        return jnp.arange(len(nodes_of("node_mask", self))) < jnp.sum(self.node_counts)

    @property
    def edge_mask(self) -> jax.Array:
        """Bools `(edges,)`, False for padding."""
        return jnp.arange(self.senders.shape[0]) < jnp.sum(self.edge_counts)

    @property
    def graph_mask(self) -> jax.Array:
        """Bools `(graphs,)`, False for padding."""
        return jnp.asarray(self.node_counts) > 0

    @property
    def node_graphs(self) -> jax.Array:
        """Which graph each node belongs to, integers `(nodes,)`; the number of graphs for padding."""
        return _owners(self.node_counts, len(nodes_of("node_graphs", self)))

    @property
    def edge_graphs(self) -> jax.Array:
        """Which graph each edge belongs to, integers `(edges,)`; the number of graphs for padding."""
        return _owners(self.edge_counts, self.senders.shape[0])


def graph(nodes: Any, senders: Any, receivers: Any, *, edges: Any = None, globals: Any = None) -> Graphs:
    """Makes a batch of one graph.

    Args:
      nodes: features, `(nodes, features)`.
      senders: the node each edge comes from, integers `(edges,)`.
      receivers: the node each edge goes to, likewise. An undirected edge is two.
      edges: weights `(edges,)`, features `(edges, features)`, or None.
      globals: features of the graph, `(features,)`, or None.

    Returns:
      A `Graphs`.

    Raises:
      TypeError: if senders or receivers are not integers.
      ValueError: if shapes don't fit, or an edge has an end that is no node.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.graph(jnp.ones((3, 2)), [0, 1], [1, 2]).edge_counts.tolist()
      [2]
    """
    senders, receivers = (np.asarray(x, np.int32) if isinstance(x, list | tuple) else x for x in (senders, receivers))
    if getattr(nodes, "ndim", None) != 2 or getattr(senders, "ndim", None) != 1:
        given = f"{_check.describe(nodes)} and {_check.describe(senders)}"
        raise ValueError(f"graph: nodes must be (nodes, features) and senders (edges,), got {given}")
    node_counts, edge_counts = (np.array([x.shape[0]], np.int32) for x in (nodes, senders))
    features = None if globals is None else globals.reshape(1, -1)
    return check("graph", Graphs(nodes, senders, receivers, node_counts, edge_counts, edges, features))


def check(name: str, graphs: Any) -> Graphs:
    """The graphs; raises unless their shapes fit each other, and, where the host sees them, indices and counts too."""
    if not isinstance(graphs, Graphs):
        raise TypeError(f"{name}: takes Graphs, got {_check.describe(graphs)}")
    senders, counts = graphs.senders, graphs.node_counts
    if graphs.nodes is not None and getattr(graphs.nodes, "ndim", None) != 2:
        raise ValueError(f"{name}: nodes must be (nodes, features), got {_check.describe(graphs.nodes)}")
    size = None if graphs.nodes is None else graphs.nodes.shape[0]
    ends(name, size, senders, graphs.receivers)
    if counts.ndim != 1 or counts.shape != graphs.edge_counts.shape:
        given = f"{_check.describe(counts)} and {_check.describe(graphs.edge_counts)}"
        raise ValueError(f"{name}: node_counts and edge_counts must both be (graphs,), got {given}")
    for what, x, ranks, rows in (("edges", graphs.edges, (1, 2), senders), ("globals", graphs.globals, (2,), counts)):
        if x is not None and (x.ndim not in ranks or x.shape[:1] != rows.shape):
            wants = f"({rows.shape[0]}, features)" + (f" or ({rows.shape[0]},)" if 1 in ranks else "")
            raise ValueError(f"{name}: {what} must be {wants}, got {_check.describe(x)}")
    for what, total, limit in (("node_counts", counts, size), ("edge_counts", graphs.edge_counts, senders.shape[0])):
        found = _total(name, what, total)
        if found is not None and limit is not None and found > limit:
            raise ValueError(f"{name}: {what} add up to {found}, but there are only {limit}")
    return graphs


def nodes_of(name: str, graphs: Graphs) -> Any:
    """The features of nodes; raises unless there are any."""
    if graphs.nodes is None:
        raise ValueError(f"{name}: the graphs have no nodes yet; give them by graphs.replace(nodes=...)")
    return graphs.nodes


def ends(name: str, nodes: int | None, senders: Any, receivers: Any) -> None:
    """Raises unless senders and receivers are the ends of edges between so many nodes, or any number of them for None."""
    if senders.ndim != 1 or senders.shape != receivers.shape:
        given = f"{_check.describe(senders)} and {_check.describe(receivers)}"
        raise ValueError(f"{name}: senders and receivers must both be (edges,), got {given}")
    for what, x in (("senders", senders), ("receivers", receivers)):
        _check.indices(name, what, x, np.iinfo(np.int32).max if nodes is None else nodes)


def _total(name: str, what: str, counts: Any) -> int | None:
    """What the counts add up to; None where the host can't see them."""
    _check.indices(name, what, counts, np.iinfo(np.int32).max)
    return int(np.sum(np.asarray(counts))) if _check.seen(counts) else None


def _owners(counts: Any, size: int) -> jax.Array:
    """To whose count each of `size` entries belongs; -1 for all, which no segment has, if there are fewer than the counts say."""
    stops = jnp.cumsum(jnp.asarray(counts))
    owners = jnp.searchsorted(stops, jnp.arange(size), side="right")
    return jnp.where(stops[-1] > size, -1, owners)
