"""Rows of layers of graphs and sets. Those of graphs get a graph for each sample, the same one, with features of its own."""

import jax.numpy as jnp
import numpy as np

from jdl import functional
from jdl import layers as L
from jdl.layer import Layer
from rows._row import Row, array

NODES = (array(4, 4, 3),)
AND_EDGES = (*NODES, array(4, 5, 2))
SENDERS, RECEIVERS = np.array([[0, 1, 1, 2, 3], [1, 0, 2, 1, 0]])  # no edge goes to node 3
RANK = (array(4, 4), r"nodes must be \(nodes, features\), got float32\[16\]")
INTEGERS = (array(4, 4, 3, dtype="int32"), r"nodes must be a floating-point array, got int32\[16, 3\]")
SETS = (array(4, 5, 6),)
NO_SET = (array(4, 6), r"\(batch, time, features\), got float32\[4, 6\]")


def over_graphs(layer, read="nodes", weigh=lambda edges: edges):
    """The layer as one of arrays `(batch, nodes, features)` and, if you like, `(batch, edges, features)`."""

    def batch(x, edges=None):
        size, joined = len(x), lambda x: x.reshape(-1, *x.shape[2:])
        first = np.repeat(4 * np.arange(size), 5)
        return functional.Graphs(
            nodes=joined(x),
            senders=np.tile(SENDERS, size) + first,
            receivers=np.tile(RECEIVERS, size) + first,
            node_counts=np.full(size, 4),
            edge_counts=np.full(size, 5),
            edges=None if edges is None else weigh(joined(edges)),
        )

    def init(key, *inputs):
        inputs = [jnp.zeros(x.shape, x.dtype) for x in inputs]
        return layer.init(key, batch(*inputs))

    def apply(params, state, *inputs, key=None, train=False):
        y, state = layer.apply(params, state, batch(*inputs), key=key, train=train)
        y = getattr(y, read) if isinstance(y, functional.Graphs) else y
        return y.reshape(len(inputs[0]), *(() if len(y) == len(inputs[0]) else (4,)), *y.shape[1:]), state

    return Layer(init, apply)


def joined(layer):
    """The layer, on several arrays side by side."""

    @L.compose(layer=layer)
    def forward(net, *arrays):
        return net.layer(jnp.concatenate(arrays, -1))

    return forward


ROWS = (
    Row(
        "gcn",
        lambda: over_graphs(L.gcn(5)),
        NODES,
        wrong=(RANK, INTEGERS),
        misfits=((array(4, 4, 7), r"kernel takes 3 features, x is float32\[16, 7\]"),),
        often=False,
    ),
    Row(
        "gcn_weighted",
        lambda: over_graphs(L.gcn(5, bias=False), weigh=lambda edges: 1 + jnp.square(edges)),
        (*NODES, array(4, 5)),
        often=False,
    ),
    Row("graph_sage", lambda: over_graphs(L.graph_sage(5)), NODES, wrong=(RANK, INTEGERS), often=False),
    Row("graph_sage_max", lambda: over_graphs(L.graph_sage(5, reduction="max")), NODES, often=False),
    Row("gat", lambda: over_graphs(L.gat(3, heads=2)), NODES, wrong=(RANK, INTEGERS), often=False),
    Row(
        "gat_of_edge_features",
        lambda: over_graphs(L.gat(3, heads=2, concat=False, edge_features=True, rate=0.3)),
        AND_EDGES,
        draws=True,
    ),
    Row("gatv2", lambda: over_graphs(L.gatv2(3, heads=2, self_loops=False)), NODES, wrong=(RANK, INTEGERS), often=False),
    Row("gatv2_of_edge_features", lambda: over_graphs(L.gatv2(3, edge_features=True)), AND_EDGES, often=False),
    Row(
        "gin",
        lambda: over_graphs(L.gin(L.mlp([5, 5], activation=jnp.tanh), learn_epsilon=True)),
        NODES,
        wrong=(RANK, INTEGERS),
        often=False,
    ),
    Row(
        "message_passing",
        lambda: over_graphs(L.message_passing(joined(L.dense(5)), joined(L.dense(5)), reduction="min")),
        AND_EDGES,
        often=False,
    ),
    Row(
        "graph_network",
        lambda: over_graphs(L.graph_network(L.dense(5), L.dense(4), L.dense(3), reduction="mean"), read="globals"),
        AND_EDGES,
        often=False,
    ),
    Row("on_nodes", lambda: over_graphs(L.on_nodes(L.batch_norm(), masked=True)), NODES, wrong=(RANK,), often=False),
    Row("graph_pool", lambda: over_graphs(L.graph_pool("max")), NODES, wrong=(RANK, INTEGERS), often=False),
    Row(
        "graph_attention_pool",
        lambda: over_graphs(L.graph_attention_pool(5, heads=3, gated=True)),
        NODES,
        wrong=(RANK, INTEGERS),
        often=False,
    ),
    Row(
        "deep_sets",
        lambda: L.deep_sets(L.mlp([5, 5], activation=jnp.tanh), L.dense(2)),
        SETS,
        wrong=(NO_SET,),
        misfits=((array(4, 5, 7), "6 features"),),
        often=False,
    ),
    Row(
        "set_attention_pool",
        lambda: L.set_attention_pool(2, seeds=3),
        SETS,
        wrong=(NO_SET,),
        misfits=((array(4, 5, 8), "6 features"),),
        often=False,
    ),
    Row("global_sum_pool", lambda: L.function(L.global_sum_pool), SETS, wrong=((array(4, 6), "1 to 3 spatial axes"),), often=False),
)
