"""Batches of graphs, and padding to few shapes. All of it runs on the host, with NumPy."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jdl.functional import _check
from jdl.functional._graphs import Graphs, check

Sizes = int | Sequence[int] | None


def batch_graphs(graphs: Sequence[Graphs]) -> Graphs:
    """Puts graphs side by side, without padding; on the host.

    Args:
      graphs: batches of one graph or more, of the same features. Their padding is left out. Without edges, edges `(0,)`, which
        have no width yet, take that of the others.

    Returns:
      One `Graphs` of NumPy's arrays.

    Raises:
      TypeError: if one is no `Graphs`.
      ValueError: if there are none, or some have features that others lack or that have another width.

    Example:
      >>> import numpy as np
      >>> from jdl import functional
      >>> path, loop = functional.graph(np.ones((2, 1)), [0], [1]), functional.graph(np.ones((1, 1)), [0], [0])
      >>> both = functional.batch_graphs([path, loop])
      >>> both.senders.tolist(), both.receivers.tolist(), both.node_counts.tolist()
      ([0, 2], [1, 2], [2, 1])
    """
    parts = _with_width([_trimmed("batch_graphs", one) for one in graphs])
    if not parts:
        raise ValueError("batch_graphs: there must be a graph at least")
    widths = [[None if x is None else x.shape[1:] for x in (part.nodes, part.edges, part.globals)] for part in parts]
    for i, width in enumerate(widths):
        if width != widths[0]:
            given = f"graph {i} is {_check.describe(graphs[i])}, the first {_check.describe(graphs[0])}"
            raise ValueError(f"batch_graphs: graphs must have features of the same width; {given}")
    starts = np.cumsum([0, *(part.node_counts.sum() for part in parts[:-1])], dtype=np.int32)
    moved = [part.replace(senders=part.senders + i, receivers=part.receivers + i) for part, i in zip(parts, starts)]
    return jax.tree.map(lambda *arrays: np.concatenate(arrays), *moved)


def unbatch_graphs(graphs: Graphs) -> list[Graphs]:
    """Takes a batch apart into its graphs, and leaves padding out; on the host.

    Args:
      graphs: a batch.

    Returns:
      A list with a `Graphs` of NumPy's arrays for each graph.

    Raises:
      TypeError: if it is no `Graphs`.
      ValueError: if shapes, indices or counts don't fit.

    Example:
      >>> import numpy as np
      >>> from jdl import functional
      >>> path, loop = functional.graph(np.ones((2, 1)), [0], [1]), functional.graph(np.ones((1, 1)), [0], [0])
      >>> batch = functional.pad_graphs(functional.batch_graphs([path, loop]))
      >>> [one.senders.tolist() for one in functional.unbatch_graphs(batch)]
      [[0], [0]]
    """
    whole = _trimmed("unbatch_graphs", graphs)
    nodes, edges = (np.cumsum([0, *counts]) for counts in (whole.node_counts, whole.edge_counts))
    found = []
    for i, (start, stop, low, high) in enumerate(zip(nodes, nodes[1:], edges, edges[1:])):
        cut = lambda x, first, end: None if x is None else x[first:end]
        one = Graphs(
            nodes=cut(whole.nodes, start, stop),
            senders=whole.senders[low:high] - np.int32(start),
            receivers=whole.receivers[low:high] - np.int32(start),
            node_counts=whole.node_counts[i : i + 1],
            edge_counts=whole.edge_counts[i : i + 1],
            edges=cut(whole.edges, low, high),
            globals=cut(whole.globals, i, i + 1),
        )
        found.append(one)
    return found


def pad_graphs(graphs: Graphs, *, node_sizes: Sizes = None, edge_sizes: Sizes = None, graph_sizes: Sizes = None) -> Graphs:
    """Pads a batch to one of few sizes, so that few programs are compiled; on the host.

    Padding has no influence on graphs. At least one node is added, which edges of padding lead from and to.

    Args:
      graphs: a batch; padding that it has is replaced.
      node_sizes: numbers of nodes to choose from: the smallest that holds one more than there are is taken. One number is the only
        choice; powers of two if not given.
      edge_sizes: likewise, numbers of edges; the smallest that holds all.
      graph_sizes: likewise, numbers of graphs.

    Returns:
      A `Graphs` of NumPy's arrays, padded with zeros.

    Raises:
      TypeError: if it is no `Graphs`.
      ValueError: if no size holds the batch.

    Example:
      >>> import numpy as np
      >>> from jdl import functional
      >>> path = functional.graph(np.ones((4, 1)), [0, 1, 2], [1, 2, 3])
      >>> padded = functional.pad_graphs(path, graph_sizes=2)
      >>> padded.nodes.shape, padded.senders.tolist(), padded.node_counts.tolist()
      ((8, 1), [0, 1, 2, 7], [4, 0])
    """
    graphs = _trimmed("pad_graphs", graphs)
    n, e, g = int(graphs.node_counts.sum()), len(graphs.senders), len(graphs.node_counts)
    nodes = _smallest("node_sizes", node_sizes, n + 1)
    edges = _smallest("edge_sizes", edge_sizes, e)
    several = _smallest("graph_sizes", graph_sizes, g)

    def pad(x: Any, size: int, value: int = 0) -> Any:
        if x is None:
            return None
        return np.concatenate([x, np.full((size - len(x), *x.shape[1:]), value, x.dtype)])

    return Graphs(
        nodes=pad(graphs.nodes, nodes),
        senders=pad(graphs.senders, edges, nodes - 1),
        receivers=pad(graphs.receivers, edges, nodes - 1),
        node_counts=pad(graphs.node_counts, several),
        edge_counts=pad(graphs.edge_counts, several),
        edges=pad(graphs.edges, edges),
        globals=pad(graphs.globals, several),
    )


def _trimmed(name: str, graphs: Graphs) -> Graphs:
    """The graphs without padding, as NumPy's arrays."""
    graphs = jax.tree.map(np.asarray, check(name, graphs))
    n, e, there = graphs.node_counts.sum(), graphs.edge_counts.sum(), graphs.node_counts > 0
    if np.any(graphs.edge_counts[~there]):
        raise ValueError(f"{name}: a graph without nodes is padding, and has no edges; edge_counts are {graphs.edge_counts}")
    owners = np.repeat(np.arange(len(there)), graphs.node_counts)
    of_edge = np.repeat(np.arange(len(there)), graphs.edge_counts)
    for what, x in (("senders", graphs.senders), ("receivers", graphs.receivers)):
        inside = np.append(owners, -1)[np.minimum(x[:e], n)]
        if np.any(inside != of_edge):
            raise ValueError(f"{name}: {what} must be nodes of the graph whose edge it is, by node_counts and edge_counts")
    cut = lambda x, size: None if x is None else x[:size]
    return Graphs(
        nodes=cut(graphs.nodes, n),
        senders=graphs.senders[:e].astype(np.int32),
        receivers=graphs.receivers[:e].astype(np.int32),
        node_counts=graphs.node_counts[there].astype(np.int32),
        edge_counts=graphs.edge_counts[there].astype(np.int32),
        edges=cut(graphs.edges, e),
        globals=None if graphs.globals is None else graphs.globals[there],
    )


def _with_width(parts: list[Graphs]) -> list[Graphs]:
    """The graphs, where edges `(0,)`, of which nobody could know the width, are like the edges of others."""
    blank = lambda part: part.edges is not None and part.edges.shape == (0,)
    known = [part.edges[:0] for part in parts if part.edges is not None and not blank(part)]
    return [part.replace(edges=known[0]) if known and blank(part) else part for part in parts]


def _smallest(what: str, sizes: Sizes, need: int) -> int:
    """The smallest size that is enough."""
    if sizes is None:
        return 1 << max(need - 1, 0).bit_length()
    choices = (sizes,) if isinstance(sizes, int) else tuple(sizes)
    _check.all_positive("pad_graphs", **{what: choices})
    if enough := [size for size in choices if size >= need]:
        return min(enough)
    raise ValueError(f"pad_graphs: none of {what} {list(choices)} holds {need}")
