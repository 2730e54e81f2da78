"""Rows of layers of graphs and sets. Those of graphs get a graph for each sample, the same one, with features of its own."""

import jax.numpy as jnp
import numpy as np

from jdl import functional
from jdl import layers as L
from jdl.layer import Layer
from rows._row import Row, array

NODES = (array(4, 4, 3),)
SENDERS, RECEIVERS = np.array([[0, 1, 1, 2, 3], [1, 0, 2, 1, 0]])  # no edge goes to node 3
RANK = (array(4, 4), r"nodes must be \(nodes, features\), got float32\[16\]")
INTEGERS = (array(4, 4, 3, dtype="int32"), r"nodes must be a floating-point array, got int32\[16, 3\]")
OTHER = ((array(4, 4, 7), r"dense: kernel takes 3 features, x is float32\[16, 7\]"),)
JOINED = ((array(4, 4, 7), r"dense: kernel takes 8 features, x is float32\[20, 16\]"),)  # two ends and an edge of 2
FEWER = (array(4, 3, 3), r"senders must lie in 0\.\.11, found 12 at index \[15\]")
WRONG = RANK, INTEGERS, FEWER
SETS = (array(4, 5, 6),)
NO_SET = (array(4, 6), r"\(batch, time, features\), got float32\[4, 6\]")


def over_graphs(layer, read="nodes", edges=None):
    """The layer as one of arrays `(batch, nodes, features)`; `edges` makes edges of the nodes that they come from."""

    def batch(x):
        size, joined = len(x), lambda x: x.reshape(-1, *x.shape[2:])
        first = np.repeat(4 * np.arange(size), 5)
        return functional.Graphs(
            nodes=joined(x),
            senders=np.tile(SENDERS, size) + first,
            receivers=np.tile(RECEIVERS, size) + first,
            node_counts=np.full(size, 4),
            edge_counts=np.full(size, 5),
            edges=joined(edges(jnp.stack([x[:, i] for i in SENDERS], 1))) if edges and x.ndim == 3 else None,
        )

    def init(key, x):
        return layer.init(key, batch(jnp.zeros(x.shape, x.dtype)))

    def apply(params, state, x, *, key=None, train=False):
        y, state = layer.apply(params, state, batch(x), key=key, train=train)
        y = getattr(y, read) if isinstance(y, functional.Graphs) else y
        return y.reshape(len(x), *(() if len(y) == len(x) else (4,)), *y.shape[1:]), state

    return Layer(init, apply)


def features(sent):
    return sent[..., :2]


def joined(layer):
    """The layer, on several arrays side by side."""

    @L.compose(layer=layer)
    def forward(net, *arrays):
        return net.layer(jnp.concatenate(arrays, -1))

    return forward


ROWS = (
    Row(
        "gcn",
        lambda: over_graphs(L.gcn(5), edges=lambda sent: 1 + jnp.square(sent[..., 0])),
        NODES,
        wrong=(RANK, INTEGERS),
        misfits=((array(4, 4, 7), r"kernel takes 3 features, x is float32\[16, 7\]"),),
    ),
    Row("graph_sage", lambda: over_graphs(L.graph_sage(5, reduction="max")), NODES, wrong=WRONG, misfits=OTHER),
    Row(
        "gat",
        lambda: over_graphs(L.gat(3, heads=2, concat=False, edge_features=True, rate=0.3), edges=features),
        NODES,
        wrong=WRONG,
        misfits=OTHER,
        draws=True,
    ),
    Row(
        "gatv2",
        lambda: over_graphs(L.gatv2(3, heads=2, edge_features=True), edges=features),
        NODES,
        wrong=WRONG,
        misfits=OTHER,
    ),
    Row(
        "gin",
        lambda: over_graphs(L.gin(L.mlp([5, 5], activation=jnp.tanh), learn_epsilon=True)),
        NODES,
        wrong=WRONG,
        misfits=OTHER,
    ),
    Row(
        "message_passing",
        lambda: over_graphs(L.message_passing(joined(L.dense(5)), joined(L.dense(5)), reduction="min"), edges=features),
        NODES,
        wrong=WRONG,
        misfits=JOINED,
    ),
    Row(
        "graph_network",
        lambda: over_graphs(L.graph_network(L.dense(5), L.dense(4), L.dense(3), reduction="mean"), read="globals", edges=features),
        NODES,
        wrong=WRONG,
        misfits=JOINED,
    ),
    Row("on_nodes", lambda: over_graphs(L.on_nodes(L.dense(5))), NODES, wrong=(RANK, FEWER), misfits=OTHER),
    Row("graph_pool", lambda: over_graphs(L.graph_pool(reduction="max")), NODES, wrong=(RANK,)),
    Row(
        "graph_attention_pool",
        lambda: over_graphs(L.graph_attention_pool(5, heads=3, gated=True)),
        NODES,
        wrong=(RANK,),
    ),
    Row(
        "deep_sets",
        lambda: L.deep_sets(L.mlp([5, 5], activation=jnp.tanh), L.dense(2)),
        SETS,
        wrong=(NO_SET,),
        misfits=((array(4, 5, 7), "6 features"),),
    ),
    Row(
        "set_attention_pool",
        lambda: L.set_attention_pool(2, seeds=3),
        SETS,
        wrong=(NO_SET,),
        misfits=((array(4, 5, 8), "6 features"),),
    ),
    Row("global_sum_pool", lambda: L.function(L.global_sum_pool), SETS, wrong=((array(4, 6), "1 to 3 spatial axes"),)),
)
