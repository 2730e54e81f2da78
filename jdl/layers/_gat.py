"""Graph attention."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.functional._graph_pool import floating_nodes
from jdl.functional._neighbors import with_loops
from jdl.functional._numbers import widen
from jdl.layer import Layer, compose
from jdl.layers._bias import bias as bias_layer
from jdl.layers._dense import dense
from jdl.layers._drawing import draws
from jdl.layers._dropout import dropout
from jdl.layers._einsum import einsum


def gat(
    features: int,
    *,
    heads: int = 1,
    concat: bool = True,
    self_loops: bool = True,
    edge_features: bool = False,
    slope: float | jax.Array = 0.2,
    rate: float | jax.Array = 0.0,
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.glorot_uniform(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """Graph attention (GAT): `y[i] = sum_j a[i, j] W x[j]`, `a[i, :] = softmax_j(leaky_relu(s^T W x[j] + r^T W x[i]))`.

    Each head has a W, s and r of its own, and `j` runs over the nodes from which edges go to `i`.

    Args:
      features: of a head.
      heads: how many there are.
      concat: whether heads are put side by side; else their mean is taken, as in a last layer.
      self_loops: whether every node attends to itself too, once: loops that there are don't count besides.
      edge_features: whether the features of edges, of rank 2, add a linear map of them to the logits; `self_loops` have none.
        Otherwise edges only say who the neighbours are: their weights or features have no influence.
      slope: of the leaky ReLU below 0; may be traced.
      rate: probability of dropping a weight in training, in [0, 1]; may be traced. The number 0 needs no key.
      bias: whether to add one.
      kernel_init: makes the kernel of `project`, `(in, heads, features)` as a matrix, those of `sender` (s) and `receiver` (r),
        `(features, heads)`, a column for each head, and that of `edge`, `(in, heads)`.
      bias_init: makes the bias, `(heads * features,)`, or `(features,)` for a mean.

    Returns:
      A Layer from `Graphs` to `Graphs` with new nodes, of `heads * features`, or `features` for a mean. Indices out of range are
      an error where the host sees them, and give NaN under jit.

    Raises:
      ValueError: if a size is not a positive integer, `rate` is a number outside [0, 1], or edges have no features to use.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional, layers as L
      >>> graph = functional.graph(jnp.ones((3, 4)), [0, 1, 1, 2], [1, 0, 2, 1])
      >>> model = L.chain(L.gat(8, heads=2), L.on_nodes(jax.nn.elu), L.gat(2, concat=False))
      >>> params, state = model.init(jax.random.key(0), graph)
      >>> params["0"]["project"]["kernel"].shape, jax.jit(model.apply)(params, state, graph)[0].nodes.shape
      ((4, 2, 8), (3, 2))

    Source: Veličković et al., "Graph Attention Networks", https://arxiv.org/abs/1710.10903.
    """
    _check.positive("gat", features=features, heads=heads)
    score = lambda: einsum("nhf,fh->nh", (features, heads), kernel_init=kernel_init)
    parts = {"project": dense((heads, features), bias=False, kernel_init=kernel_init), "sender": score(), "receiver": score()}
    parts |= {"edge": dense(heads, bias=False, kernel_init=kernel_init)} if edge_features else {}

    def attend(net, x, senders, receivers, edges):
        values = net.project(x)
        logits = functional.embedding(senders, net.sender(values)) + functional.embedding(receivers, net.receiver(values))
        return values, jax.nn.leaky_relu(logits + edges(net), slope)

    return _attention("gat", attend, parts, concat, self_loops, rate, bias_layer(bias_init=bias_init) if bias else None)


def gatv2(
    features: int,
    *,
    heads: int = 1,
    concat: bool = True,
    self_loops: bool = True,
    edge_features: bool = False,
    slope: float | jax.Array = 0.2,
    rate: float | jax.Array = 0.0,
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.glorot_uniform(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """Graph attention (GATv2): `y[i] = sum_j a[i, j] S x[j]`, `a[i, :] = softmax_j(w^T leaky_relu(S x[j] + R x[i]))`.

    Each head has an S, R and w of its own, and `j` runs over the nodes from which edges go to `i`. Unlike in GAT,
    whom a node attends to most depends on the node.

    Args:
      features: of a head.
      heads: how many there are.
      concat: whether heads are put side by side; else their mean is taken, as in a last layer.
      self_loops: whether every node attends to itself too, once: loops that there are don't count besides.
      edge_features: whether a linear map of the features of edges, of rank 2, is added before the leaky ReLU; `self_loops` have
        none. Otherwise edges only say who the neighbours are: their weights or features have no influence.
      slope: of the leaky ReLU below 0; may be traced.
      rate: probability of dropping a weight in training, in [0, 1]; may be traced. The number 0 needs no key.
      bias: whether to add one.
      kernel_init: makes the kernels of `sender` (S), `receiver` (R) and `edge`, `(in, heads, features)` as matrices, and that of
        `score` (w), `(features, heads)`, a column for each head.
      bias_init: makes the bias, `(heads * features,)`, or `(features,)` for a mean.

    Returns:
      A Layer from `Graphs` to `Graphs` with new nodes, of `heads * features`, or `features` for a mean. Indices out of range are
      an error where the host sees them, and give NaN under jit.

    Raises:
      ValueError: if a size is not a positive integer, `rate` is a number outside [0, 1], or edges have no features to use.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional, layers as L
      >>> graph = functional.graph(jnp.ones((3, 4)), [0, 1, 1, 2], [1, 0, 2, 1])
      >>> params, state = L.gatv2(8, heads=2).init(jax.random.key(0), graph)
      >>> L.gatv2(8, heads=2).apply(params, state, graph)[0].nodes.shape
      (3, 16)

    Source: Brody, Alon and Yahav, "How Attentive are Graph Attention Networks?", https://arxiv.org/abs/2105.14491.
    """
    _check.positive("gatv2", features=features, heads=heads)
    names = ("sender", "receiver", "edge")[: 2 + edge_features]
    parts = {name: dense((heads, features), bias=False, kernel_init=kernel_init) for name in names}
    parts["score"] = einsum("nhf,fh->nh", (features, heads), kernel_init=kernel_init)

    def attend(net, x, senders, receivers, edges):
        values = net.sender(x)
        hidden = functional.embedding(senders, values) + functional.embedding(receivers, net.receiver(x)) + edges(net)
        return values, net.score(jax.nn.leaky_relu(hidden, slope))

    return _attention("gatv2", attend, parts, concat, self_loops, rate, bias_layer(bias_init=bias_init) if bias else None)


def _attention(
    name: str,
    attend: Callable[..., tuple[jax.Array, jax.Array]],
    parts: dict[str, Layer],
    concat: bool,
    self_loops: bool,
    rate: float | jax.Array,
    bias: Layer | None,
) -> Layer:
    """Mixes the values of neighbours by their logits, both of which `attend` gives."""
    _check.within(name, 0, 1, rate=rate)
    drops = draws(rate)

    def of_edges(graphs: Any, net: Any) -> Any:
        """What the edges add to those of neighbours, 0 for self-loops."""
        if "edge" not in parts:
            return 0
        if graphs.edges is None or graphs.edges.ndim != 2:
            raise ValueError(f"{name}: edges must be features (edges, features), got {_check.describe(graphs.edges)}")
        terms = net.edge(graphs.edges)
        loops = jnp.zeros((len(graphs.nodes) if self_loops else 0, *terms.shape[1:]), terms.dtype)
        return jnp.concatenate([terms, loops])

    @compose(**parts, drop=dropout(rate) if drops else lambda x: x, bias=bias or (lambda x: x))
    def forward(net, graphs):
        x, senders, receivers, counted = floating_nodes(name, graphs), graphs.senders, graphs.receivers, None
        if self_loops:
            senders, receivers, counted = with_loops(senders, receivers, len(x))
        values, logits = attend(net, x, senders, receivers, lambda net: of_edges(graphs, net))
        weights = net.drop(functional.segment_softmax(widen(logits), receivers, len(x), where=counted))
        y = functional.aggregate_neighbors(values, senders, receivers, weights)
        return graphs.replace(nodes=net.bias(y.reshape(len(x), -1) if concat else y.mean(1)))

    return forward
