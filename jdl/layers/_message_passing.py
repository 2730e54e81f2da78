"""Message passing in general."""

from collections.abc import Callable

from jdl import functional
from jdl.functional._graph_pool import floating_nodes
from jdl.functional._segment import Reduction, check_reduction, segment_reductions
from jdl.layer import Layer, compose


def message_passing(message: Layer | Callable, update: Layer | Callable, *, reduction: Reduction = "sum") -> Layer:
    """A step of message passing: `m[i] = reduce_{edges e from j to i} message(x[j], x[i], e)`, then `y[i] = update(x[i], m[i])`.

    Args:
      message: of the nodes that edges come from, the nodes that they go to and, if the graphs have any, the edges:
        `(edges, features)` each, or weights, `(edges,)`.
      update: of the nodes and what reaches them; a node without edges gets 0.
      reduction: `"sum"`, `"mean"`, `"max"` or `"min"`.

    Returns:
      A Layer from `Graphs` to `Graphs` with new nodes, of `message` and `update`. Indices out of range are an error where the host
      sees them, and give NaN under jit.

    Raises:
      ValueError: if there is no such reduction.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional, layers as L
      >>> graph = functional.graph(jnp.array([[1.0], [2.0], [5.0]]), [0, 1], [2, 2])
      >>> step = L.message_passing(lambda sent, received: sent - received, lambda x, got: x + got)
      >>> step.apply({}, {}, graph)[0].nodes.tolist()
      [[1.0], [2.0], [-2.0]]

    Source: Gilmer et al., "Neural Message Passing for Quantum Chemistry", https://arxiv.org/abs/1704.01212.
    """
    check_reduction("message_passing", reduction)

    @compose(message=message, update=update)
    def forward(net, graphs):
        x, edges = floating_nodes("message_passing", graphs), () if graphs.edges is None else (graphs.edges,)
        sent, received = functional.embedding(graphs.senders, x), functional.embedding(graphs.receivers, x)
        messages = net.message(sent, received, *edges)
        reached = segment_reductions[reduction](messages, graphs.receivers, len(x))
        return graphs.replace(nodes=net.update(x, reached))

    return forward
