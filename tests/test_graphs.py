"""Graphs as arrays, segments, and layers of graphs and sets, against loops and dense matrices in NumPy."""

import functools

import jax
import jax.numpy as jnp
import networkx
import numpy as np
import optax
import pytest
import scipy.sparse
from tolerances import assert_close, assert_equal

from jdl import functional, losses, train
from jdl import layers as L

NODE_COUNTS, EDGE_COUNTS = (4, 1, 3), (7, 0, 4)


def joined(layer):
    """The layer, on several arrays side by side."""

    @L.compose(layer=layer)
    def forward(net, *arrays):
        return net.layer(jnp.concatenate(arrays, -1))

    return forward


def weighted(layer):
    """The layer, on graphs whose edges have positive weights."""
    return L.chain(lambda graphs: graphs.replace(edges=1 + jnp.square(graphs.edges[:, 0])), layer)


LAYERS = {
    "gcn": weighted(L.gcn(2)),
    "gcn_without_loops": weighted(L.gcn(2, self_loops=False)),
    "graph_sage": L.graph_sage(2),
    "graph_sage_max": L.graph_sage(2, reduction="max"),
    "gat": L.gat(2, heads=2, edge_features=True),
    "gat_mean": L.gat(2, heads=2, concat=False, self_loops=False),
    "gatv2": L.gatv2(2, heads=2, edge_features=True),
    "gin": L.gin(L.dense(2), epsilon=0.5, learn_epsilon=True),
    "message_passing": L.message_passing(joined(L.dense(2)), joined(L.dense(2)), reduction="max"),
    "graph_network": L.chain(L.graph_network(L.dense(2), L.dense(2), L.dense(2)), lambda graphs: graphs.globals),
    "graph_attention_pool": L.graph_attention_pool(2),
    **{f"graph_pool_{name}": L.graph_pool(reduction=name) for name in ("mean", "max")},
}
OF_GRAPHS = [name for name in LAYERS if "pool" in name or "network" in name]


@jax.jit
def run(params, graphs):
    """The outputs of all layers, and gradients of what is no padding, of params and nodes: one program for all tests."""

    def loss(params, nodes):
        outputs, total = {}, 0.0
        for name, layer in LAYERS.items():
            y, _ = layer.apply(params[name], {}, graphs.replace(nodes=nodes))
            y, mask = (y, graphs.graph_mask) if name in OF_GRAPHS else (y.nodes, graphs.node_mask)
            outputs[name] = y
            total += (jnp.sin(y + jnp.cos(jnp.arange(y.size)).reshape(y.shape)) * mask[:, None]).sum()
        return total, outputs

    (_, outputs), gradients = jax.value_and_grad(loss, (0, 1), has_aux=True)(params, graphs.nodes)
    return outputs, gradients


@pytest.fixture
def batch(rng):
    """Three graphs, one without edges, none with an edge twice or a loop."""
    normal = lambda *shape: rng.normal(size=shape).astype("float32")

    def one(nodes, edges):
        pairs = [(i, j) for i in range(nodes) for j in range(nodes) if i != j]
        chosen = [pairs[i] for i in rng.permutation(len(pairs))[:edges]]
        ends = np.array(chosen, np.int32).reshape(-1, 2)
        return functional.graph(normal(nodes, 3), *ends.T, edges=normal(edges, 2), globals=normal(2))

    return functional.batch_graphs([one(*counts) for counts in zip(NODE_COUNTS, EDGE_COUNTS)])


@pytest.fixture
def params(key, rng, batch):
    """Of all layers, normal numbers."""
    shapes = {name: jax.eval_shape(layer.init, key, batch)[0] for name, layer in LAYERS.items()}
    return jax.tree.map(lambda x: rng.normal(size=x.shape).astype(x.dtype), shapes)


def dense_matrices(batch):
    """Whether there is an edge to `i` from `j`, and its features, as matrices."""
    size = len(batch.nodes)
    there, features = np.zeros((size, size), bool), np.zeros((size, size, 2))
    there[batch.receivers, batch.senders] = True
    features[batch.receivers, batch.senders] = batch.edges
    return there, features


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def softmax_where(logits, there):
    """Along the second axis, of `(i, j, heads)`; zeros where there is nothing."""
    parts = np.exp(logits) * there[..., None]
    total = parts.sum(1, keepdims=True)
    return parts / np.where(total == 0, 1, total)


def test_layers_are_what_dense_matrices_say(batch, params):
    outputs, _ = run(params, batch)
    there, features = dense_matrices(batch)
    x, eye = np.asarray(batch.nodes, np.float64), np.eye(len(batch.nodes))
    kernel = lambda layer, *path: np.asarray(functools.reduce(lambda tree, name: tree[name], path, params[layer])["kernel"])
    bias = lambda layer, name: np.asarray(params[layer][name]["bias"])

    weights = np.where(there, 1 + features[..., 0] ** 2, 0)
    expected = {}
    for name, adjacency in (("gcn", weights + eye), ("gcn_without_loops", weights)):
        degrees = adjacency.sum(1)
        roots = np.where(degrees > 0, 1 / np.sqrt(np.where(degrees > 0, degrees, 1)), 0)
        expected[name] = np.diag(roots) @ adjacency @ np.diag(roots) @ x @ kernel(name, "1") + bias(name, "1")

    pooled = np.maximum(x @ kernel("graph_sage_max", "pool") + bias("graph_sage_max", "pool"), 0)
    largest = np.where(there[..., None], pooled[None], 0).max(1)  # what is pooled is not negative, so that 0 never wins
    for name, around in (("graph_sage", there @ x / np.maximum(there.sum(1, keepdims=True), 1)), ("graph_sage_max", largest)):
        expected[name] = x @ kernel(name, "own") + bias(name, "own") + around @ kernel(name, "neighbors")

    def attend(values, logits, there):
        return np.einsum("ijh,jhf->ihf", softmax_where(logits, there), values)

    for name in ("gat", "gat_mean"):
        values = np.einsum("nc,chf->nhf", x, kernel(name, "project"))
        sender, receiver = (np.einsum("nhf,fh->nh", values, kernel(name, end)) for end in ("sender", "receiver"))
        edges = features @ kernel(name, "edge") if name == "gat" else 0
        y = attend(values, leaky(sender[None] + receiver[:, None] + edges), (there | (eye > 0)) if name == "gat" else there)
        expected[name] = (y.reshape(len(x), -1) if name == "gat" else y.mean(1)) + bias(name, "bias")
    values, receiver = (np.einsum("nc,chf->nhf", x, kernel("gatv2", end)) for end in ("sender", "receiver"))
    edges = np.einsum("ijc,chf->ijhf", features, kernel("gatv2", "edge"))
    logits = np.einsum("ijhf,fh->ijh", leaky(values[None] + receiver[:, None] + edges), kernel("gatv2", "score"))
    expected["gatv2"] = attend(values, logits, there | (eye > 0)).reshape(len(x), -1) + bias("gatv2", "bias")

    own = (1 + params["gin"]["own"]["epsilon"]) * x
    expected["gin"] = (own + there @ x) @ kernel("gin", "layer") + bias("gin", "layer")
    for name, y in expected.items():
        np.testing.assert_allclose(outputs[name], y, rtol=1e-4, atol=1e-5, err_msg=name)


def test_message_passing_and_graph_networks_are_what_loops_say(batch, params):
    outputs, _ = run(params, batch)
    layer = lambda name, part, x: np.concatenate(x) @ part_of(name, part)["kernel"] + part_of(name, part)["bias"]
    part_of = lambda name, part: params[name][part].get("layer", params[name][part])
    x, edges = batch.nodes, list(zip(batch.senders, batch.receivers, batch.edges))
    owner = np.repeat(np.arange(3), NODE_COUNTS)

    messages = [(r, layer("message_passing", "message", (x[s], x[r], e))) for s, r, e in edges]
    for i in range(len(x)):
        reached = [message for r, message in messages if r == i]
        largest = np.max(reached, axis=0) if reached else np.zeros(2)
        np.testing.assert_allclose(
            outputs["message_passing"][i], layer("message_passing", "update", (x[i], largest)), rtol=1e-4, atol=1e-5
        )

    params["whole"], given = params["graph_network"]["0"], batch.globals
    new = [layer("whole", "edges", (e, x[s], x[r], given[owner[r]])) for s, r, e in edges]
    around, of_edges, of_nodes = (np.zeros((size, 2)) for size in (len(x), 3, 3))
    np.add.at(around, batch.receivers, np.array(new))
    nodes = np.array([layer("whole", "nodes", (around[i], x[i], given[owner[i]])) for i in range(len(x))])
    np.add.at(of_edges, owner[batch.receivers], np.array(new))
    np.add.at(of_nodes, owner, nodes)
    expected = [layer("whole", "globals", parts) for parts in zip(of_edges, of_nodes, batch.globals)]
    np.testing.assert_allclose(outputs["graph_network"], expected, rtol=1e-4, atol=1e-5)


def test_readouts_are_what_loops_over_graphs_say(batch, params):
    outputs, _ = run(params, batch)
    weigh = params["graph_attention_pool"]
    for g, one in enumerate(functional.unbatch_graphs(batch)):
        for name in ("mean", "max"):
            np.testing.assert_allclose(outputs[f"graph_pool_{name}"][g], getattr(one.nodes, name)(0), rtol=1e-5, atol=1e-6)
        scores = np.tanh(one.nodes @ weigh["hidden"]["kernel"]) @ weigh["score"]["kernel"]
        shares = np.exp(scores) / np.exp(scores).sum()
        np.testing.assert_allclose(outputs["graph_attention_pool"][g], (shares * one.nodes).sum(0), rtol=1e-4, atol=1e-5)


def test_the_order_of_nodes_and_edges_has_no_influence(batch, params, rng):
    """Relabelled nodes give relabelled outputs and the same readouts, to rounding."""
    starts = np.cumsum([0, *NODE_COUNTS])
    order = np.concatenate([start + rng.permutation(count) for start, count in zip(starts, NODE_COUNTS)])
    new = np.argsort(order).astype(np.int32)  # the new number of each node
    edges = np.concatenate([start + rng.permutation(count) for start, count in zip(np.cumsum([0, *EDGE_COUNTS]), EDGE_COUNTS)])
    relabelled = batch.replace(
        nodes=batch.nodes[order],
        senders=new[batch.senders][edges],
        receivers=new[batch.receivers][edges],
        edges=batch.edges[edges],
    )
    outputs, other = run(params, batch)[0], run(params, relabelled)[0]
    for name, y in outputs.items():
        assert_close(other[name], np.asarray(y) if name in OF_GRAPHS else np.asarray(y)[order])


def test_padding_has_no_influence(batch, params, rng):
    """Outputs and gradients equal those without padding; whatever padding holds, they are the same to the bit."""
    padded = functional.pad_graphs(batch)
    assert (len(padded.nodes), len(padded.senders), len(padded.node_counts)) == (16, 16, 4)
    outputs, (of_params, of_nodes) = jax.tree.map(np.asarray, run(params, batch))
    with_padding, (their_params, their_nodes) = jax.tree.map(np.asarray, run(params, padded))
    real = lambda tree: {name: y[: 3 if name in OF_GRAPHS else 8] for name, y in tree.items()}
    assert_close(real(with_padding), outputs)
    assert not any(np.any(with_padding[name][3]) for name in OF_GRAPHS if "pool" in name)
    assert not np.any(their_nodes[8:])

    def filled(x, first):
        noise = rng.normal(size=x.shape).astype(x.dtype)
        noise[:first] = x[:first]
        return noise

    filled_in = {name: filled(getattr(padded, name), count) for name, count in (("nodes", 8), ("edges", 11), ("globals", 3))}
    other = padded.replace(**filled_in, senders=padded.senders.copy())
    other.senders[11:] = rng.integers(8, 16, size=5)
    of_other, gradients = jax.tree.map(np.asarray, run(params, other))
    assert_equal(real(of_other), real(with_padding))
    assert_equal(gradients, (their_params, their_nodes))
    assert_close(their_params, of_params, scale=3)
    assert_close(their_nodes[:8], of_nodes, scale=3)


def test_graphs_in_a_batch_have_no_influence_on_each_other(batch, params):
    outputs, _ = run(params, batch)
    alone = functional.unbatch_graphs(batch)[2]
    size = {"node_sizes": len(batch.nodes), "edge_sizes": len(batch.senders), "graph_sizes": 3}
    of_one, _ = run(params, functional.pad_graphs(alone, **size))  # of the shape of the batch: nothing is compiled
    for name, y in outputs.items():
        last = 1 if name in OF_GRAPHS else 3
        assert_close(np.asarray(of_one[name])[:last], np.asarray(y)[-last:])


def test_attention_counts_loops_once(batch, params):
    """A graph that has loops already attends as it does without them; of the shape that padding gives, nothing is compiled."""

    def looped(one):
        ends = (np.append(ends, range(4)).astype(np.int32) for ends in (one.senders, one.receivers))
        return functional.graph(one.nodes, *ends, edges=np.append(one.edges, one.edges[:4], 0), globals=one.globals)

    first, *others = functional.unbatch_graphs(batch)
    looped, without = (functional.pad_graphs(one) for one in (functional.batch_graphs([looped(first), *others]), batch))
    outputs, expected = run(params, looped)[0], run(params, without)[0]
    for name in ("gat", "gatv2"):
        assert_close(np.asarray(outputs[name])[:8], np.asarray(expected[name])[:8])
    assert not np.allclose(outputs["gat_mean"][:8], expected["gat_mean"][:8])  # which adds none, and takes them as neighbours


def test_convolution_counts_loops_besides():
    x = np.array([[2.0], [4.0]], "float32")  # A + I is [[2, 0], [1, 1]]
    y = jax.jit(functional.gcn)(x, np.array([0, 0]), np.array([0, 1]))
    np.testing.assert_allclose(y, [[2.0], [3.0]], rtol=1e-6)


def test_masked_layers_don_t_count_padding(batch):
    layer, padded = L.on_nodes(L.batch_norm(), masked=True), functional.pad_graphs(batch)
    run = jax.jit(lambda graphs: layer.apply(*layer.init(jax.random.key(0), graphs), graphs, train=True)[0].nodes)
    expected = (batch.nodes - batch.nodes.mean(0)) / batch.nodes.std(0)
    np.testing.assert_allclose(run(padded)[:8], expected, rtol=1e-3, atol=1e-3)


def test_batches_go_through_vmap(batch):
    other = batch.replace(nodes=-batch.nodes, node_counts=np.array([5, 2, 1], np.int32))
    stacked = jax.tree.map(lambda *arrays: np.stack(arrays), batch, other)
    pooled = jax.jit(jax.vmap(functools.partial(functional.graph_pool, reduction="mean")))(stacked)
    for y, one in zip(np.asarray(pooled), (batch, other)):
        means = [part.mean(0) for part in np.split(one.nodes, np.cumsum(one.node_counts)[:-1])]
        np.testing.assert_allclose(y, means, rtol=1e-5, atol=1e-6)


def test_bucketed_sizes_compile_few_programs(rng):
    traced = []

    @jax.jit
    def pooled(graphs):
        traced.append(graphs.nodes.shape)
        return functional.graph_pool(graphs)

    for _ in range(20):
        sizes = rng.integers(1, 9, size=rng.integers(1, 5))
        cycles = [functional.from_networkx(networkx.cycle_graph(size)) for size in sizes]
        graphs = [one.replace(nodes=np.ones((size, 1), "float32")) for one, size in zip(cycles, sizes)]
        padded = functional.pad_graphs(functional.batch_graphs(graphs), node_sizes=(16, 64), edge_sizes=128, graph_sizes=4)
        np.testing.assert_array_equal(np.asarray(pooled(padded))[: len(sizes), 0], sizes)
    assert len(traced) <= 2


# Segments.


@jax.jit
def segments_of(x, ids, where):
    """Every reduction of six segments, with all rows and with some, and the gradient of all."""
    names = ("sum", "mean", "max", "min", "softmax")
    reductions = {name: getattr(functional, f"segment_{name}") for name in names}

    def total(x):
        made = {name: (reduce(x, ids, 6), reduce(x, ids, 6, where=where)) for name, reduce in reductions.items()}
        return sum(jnp.sin(y).sum() for pair in made.values() for y in pair), made

    return jax.grad(total, has_aux=True)(x)


def test_segments_are_what_loops_say(rng):
    ids = np.array([5, 0, 0, 3, 0, 3, 1], np.int32)  # 2 and 4 are empty
    where = np.array([True, False, True, False, True, False, True])  # and 3, of those that count
    x = rng.normal(size=(7, 2)).astype("float32")
    x[3] = x[5]  # a tie
    gradient, made = jax.tree.map(np.asarray, segments_of(x, ids, where))
    assert np.isfinite(gradient).all()
    for i, counted in enumerate((np.ones(7, bool), where)):
        for s in range(6):
            rows = x[(ids == s) & counted]
            for name in ("sum", "mean", "max", "min"):
                expected = getattr(rows, name)(0) if len(rows) else np.zeros(2)
                np.testing.assert_allclose(made[name][i][s], expected, rtol=1e-5, atol=1e-6, err_msg=f"{name} {s}")
            shares = np.exp(rows) / np.exp(rows).sum(0)
            np.testing.assert_allclose(made["softmax"][i][(ids == s) & counted], shares, rtol=1e-5)
        assert not made["softmax"][i][~counted].any()


def test_rows_that_don_t_count_may_be_anything(rng):
    ids, where = np.array([0, 1, 1, 3, 0, -7, 99], np.int32), np.array([True, True, True, True, True, False, False])
    x = rng.normal(size=(7, 2)).astype("float32")
    wild = x.copy()
    wild[5:] = np.nan
    without, of_wild = (segments_of(y, ids, where) for y in (x, wild))
    for name in without[1]:
        assert_equal(of_wild[1][name][1], without[1][name][1])
        assert np.isfinite(np.asarray(of_wild[1][name][1])).all(), name
        assert np.isnan(np.asarray(of_wild[1][name][0])).all(), f"{name} of indices out of range must not be silently wrong"
    with pytest.raises(ValueError, match=r"segment_ids must lie in 0\.\.5, found -7 at index \[5\]"):
        functional.segment_sum(x, ids, 6)


def test_large_logits_don_t_overflow():
    y = functional.segment_softmax(np.array([1e4, 1e4, -1e4, -np.inf], "float32"), np.array([0, 0, 1, 1]), 2)
    assert y.tolist() == [0.5, 0.5, 1.0, 0.0]


# What is wrong.

X = np.ones((3, 2), "float32")
PATH = functional.graph(X, [0, 1], [1, 2])
TWO = functional.batch_graphs([PATH, PATH])


@pytest.mark.parametrize("call, message", [
    (lambda: functional.graph(X, [0, 3], [1, 2]), r"graph: senders must lie in 0\.\.2, found 3 at index \[1\]"),
    (lambda: functional.graph(X, [0, 1], [1, -1]), r"graph: receivers must lie in 0\.\.2, found -1"),
    (lambda: functional.graph(X, [0, 1], [1]), r"senders and receivers must both be \(edges,\)"),
    (lambda: functional.graph(X, [0], [0], edges=X), r"edges must be \(1, features\) or \(1,\), got float32\[3, 2\]"),
    (lambda: functional.graph(X[0], [0], [0]), r"nodes must be \(nodes, features\)"),
    (lambda: functional.graph(X, np.zeros(1), np.zeros(1)), "senders must be integers"),
    (lambda: L.gcn(2).init(jax.random.key(0), PATH.replace(node_counts=np.array([2, 2]))), r"edge_counts must both be \(graphs,\)"),
    (lambda: functional.graph_pool(PATH.replace(node_counts=np.array([4]))), "node_counts add up to 4, but there are only 3"),
    (lambda: functional.graph_pool(PATH.replace(edge_counts=np.array([3]))), "edge_counts add up to 3, but there are only 2"),
    (lambda: PATH.replace(nodes=None).node_mask, r"node_mask: .* have no nodes yet; give them by graphs.replace\(nodes=...\)"),
    (lambda: PATH.replace(nodes=None).node_graphs, "node_graphs: the graphs have no nodes yet"),
    (lambda: functional.graph_pool(PATH.replace(nodes=None)), "graph_pool: the graphs have no nodes yet"),
    (lambda: functional.graph_pool(X), "graph_pool: takes Graphs, got float32"),
    (lambda: L.gcn(2).init(jax.random.key(0), X), "gcn: takes Graphs, got float32"),
    (lambda: L.gcn(2).apply({"kernel": X.T}, {}, PATH.replace(edges=X[:2])), r"gcn: edges must be weights \(edges,\)"),
    (lambda: L.gat(2, edge_features=True).init(jax.random.key(0), PATH), "gat: edges must be features"),
    (lambda: L.on_edges(jnp.tanh).init(jax.random.key(0), PATH), "on_edges: the graphs have no edges"),
    (lambda: L.on_nodes(jnp.ravel).apply({}, {}, PATH), r"on_nodes: of float32\[3, 2\] the layer made float32\[6\]"),
    (lambda: functional.batch_graphs([]), "there must be a graph at least"),
    (lambda: functional.batch_graphs([PATH, PATH.replace(edges=X[:2])]), "graph 1 is Graphs"),
    (lambda: functional.batch_graphs([TWO.replace(node_counts=np.array([2, 4]))]), "must be nodes of the graph whose edge it is"),
    (lambda: functional.batch_graphs([TWO.replace(node_counts=np.array([6, 0]))]), "a graph without nodes is padding"),
    (lambda: functional.pad_graphs(PATH, node_sizes=3), r"none of node_sizes \[3\] holds 4"),
    (lambda: functional.pad_graphs(PATH, edge_sizes=(0, 8)), "edge_sizes must be a positive integer"),
    (lambda: functional.from_networkx(networkx.Graph()), "a graph must have a node at least"),
    (lambda: functional.from_networkx(networkx.path_graph(2), edges="weight"), "some of edges have no attribute 'weight'"),
    (lambda: functional.from_scipy(scipy.sparse.csr_array((2, 3))), r"adjacency must be \(nodes, nodes\), got \[2, 3\]"),
    (lambda: functional.from_scipy(scipy.sparse.csr_array((2, 2)), X), r"nodes must be 2 and features"),
    (lambda: functional.aggregate_neighbors(X, [0], [1], X), r"weights must be of the leading shape of \[1, 2\]"),
    (lambda: functional.gcn(X, [0], [1], X), r"weights must be one for each of \[1\] edges"),
    (lambda: functional.segment_sum(X, [0, 1], 2), "segment_ids must be one for each row of x"),
    (lambda: functional.segment_sum(X, [0, 1, 1], 0), "num_segments must be a positive integer"),
    (lambda: functional.segment_sum(X, [0, 1, 1], 2, where=[1, 0, 1]), "where must be bools"),
    (lambda: functional.graph_attention_pool(PATH, X[:, :0]), r"scores must be \(nodes, heads\)"),
    (lambda: L.set_attention_pool(4).init(jax.random.key(0), np.ones((1, 2, 6), "float32")), "4 heads don't divide"),
    (lambda: L.graph_sage(2, reduction="sum"), "reduction must be mean or max"),
    (lambda: L.message_passing(jnp.add, jnp.add, reduction="median"), "reduction must be sum, mean, max or min"),
    (lambda: L.gat(2, rate=1.5), r"gat: rate must be in \[0, 1\]"),
])  # fmt: skip
def test_what_is_wrong_is_named(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()


def test_what_is_wrong_is_not_silent_under_jit():
    """Indices and counts that nobody could check give NaN."""

    @jax.jit
    def run(graphs):
        return functional.gcn(graphs.nodes, graphs.senders, graphs.receivers), functional.graph_pool(graphs)

    assert all(np.isfinite(y).all() for y in run(PATH))
    far = np.array([0, 3], np.int32)
    assert np.isnan(run(PATH.replace(receivers=far))[0]).any() and np.isnan(run(PATH.replace(senders=far))[0]).any()
    assert np.isnan(run(PATH.replace(node_counts=np.array([4], np.int32)))[1]).all()


# Graphs from elsewhere.


def test_a_graph_of_networkx_keeps_its_edges():
    graph = networkx.Graph([("a", "b", {"weight": 2.0}), ("b", "c", {"weight": 3.0}), ("c", "c", {"weight": 5.0})])
    networkx.set_node_attributes(graph, {name: [i, -i] for i, name in enumerate("abc")}, "place")
    for given in (graph, graph.to_directed(), networkx.MultiGraph(graph)):
        one = functional.from_networkx(given, nodes="place", edges="weight")
        assert one.nodes.tolist() == [[0, 0], [1, -1], [2, -2]] and one.nodes.dtype == "float32"
        adjacency = np.zeros((3, 3))
        np.add.at(adjacency, (one.senders, one.receivers), one.edges)
        np.testing.assert_array_equal(adjacency, networkx.to_numpy_array(graph))
        assert (one.node_counts.tolist(), one.edge_counts.tolist()) == ([3], [5])


def test_a_matrix_of_scipy_keeps_its_entries(rng):
    matrix = scipy.sparse.random_array((6, 6), density=0.3, rng=rng)
    for given in (matrix, matrix.tocsc(), scipy.sparse.csr_matrix(matrix), matrix > 0.5):
        one = functional.from_scipy(given)
        adjacency = np.zeros((6, 6), one.edges.dtype)
        adjacency[one.senders, one.receivers] = one.edges
        np.testing.assert_array_equal(adjacency, given.toarray())
    assert one.edges.dtype == "float32"  # of bools


def test_a_batch_comes_apart_again(batch):
    parts = functional.unbatch_graphs(functional.pad_graphs(batch, node_sizes=(5, 30)))
    assert [len(part.nodes) for part in parts] == [*NODE_COUNTS]
    assert_equal(functional.batch_graphs(parts), batch)
    without = functional.from_networkx(networkx.path_graph(3))  # nodes come later, as many as padding makes
    assert_equal(functional.unbatch_graphs(functional.pad_graphs(without)), [without])


def test_graphs_without_edges_go_with_others():
    atom, bonds = networkx.empty_graph(1), networkx.Graph([(0, 1, {"kind": [1.0, 2.0]})])
    alone, pair = (functional.from_networkx(one, edges="kind") for one in (atom, bonds))
    both = functional.batch_graphs([alone, pair, alone])
    assert both.edges.tolist() == [[1.0, 2.0]] * 2 and both.senders.tolist() == [1, 2]
    assert (both.edges.dtype, both.edge_counts.tolist()) == ("float32", [0, 2, 0])
    assert functional.batch_graphs([alone, alone]).edges.shape == (0,)


# Sets.


def test_sets_are_what_numpy_says(rng, key):
    x, mask = rng.normal(size=(2, 5, 4)).astype("float32"), np.array([[1, 1, 0, 1, 0], [1, 1, 1, 1, 1]], bool)
    deep, pool = L.deep_sets(jnp.tanh, L.dense(2), reduction="mean"), L.set_attention_pool(2, seeds=3)

    @jax.jit
    def made(key, x):
        keys = jax.random.split(key)
        return deep.init(keys[0], x)[0], pool.init(keys[1], x)[0]

    @jax.jit
    def run(params, x, mask):
        return deep.apply(params[0], {}, x, mask=mask)[0], pool.apply(params[1], {}, x, mask=mask)[0]

    params = jax.tree.map(lambda a: np.asarray(a) + 0.1, made(key, x))
    of_deep, of_pool = run(params, x, mask)
    dense = lambda name, x: x @ name["kernel"] + name["bias"]
    feed = lambda name, x: dense(name["1"], np.maximum(dense(name["0"], x), 0))

    def norm(name, x):
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + 1e-5) * name["scale"] + name["bias"]

    outer, made_of = params[0]["outer"], params[1]
    for i in range(2):
        elements = x[i][mask[i]]
        np.testing.assert_allclose(of_deep[i], dense(outer, np.tanh(elements).mean(0)), rtol=1e-4, atol=1e-5)
        attention, seeds, fed = made_of["attention"], made_of["query"]["seeds"], feed(made_of["feed"], elements)
        query, keys, values = (dense(attention[name], y) for name, y in (("query", seeds), ("key", fed), ("value", fed)))
        heads = []
        for part in (slice(0, 2), slice(2, 4)):
            weights = np.exp(query[:, part] @ keys[:, part].T / np.sqrt(2))
            heads.append(weights / weights.sum(1, keepdims=True) @ values[:, part])
        hidden = norm(made_of["attention_norm"], seeds + dense(attention["out"], np.concatenate(heads, 1)))
        expected = norm(made_of["mlp_norm"], hidden + feed(made_of["mlp"], hidden))
        np.testing.assert_allclose(of_pool[i], expected, rtol=1e-3, atol=1e-4)

    order, wild = rng.permutation(5), np.where(mask[..., None], x, 1e3).astype("float32")
    assert_close(run(params, x[:, order], mask[:, order]), (of_deep, of_pool))
    assert_equal(run(params, wild, mask), (of_deep, of_pool))


# All together.


def test_gcn_learns_who_went_with_whom(key):
    """Zachary's karate club, of which only the two leaders are labelled: nearly all others are found."""
    club = networkx.karate_club_graph()
    labels = np.array([club.nodes[i]["club"] == "Officer" for i in club], np.int32)
    graph = functional.from_networkx(club).replace(nodes=np.eye(34, dtype="float32"))
    known = np.where(np.isin(np.arange(34), [0, 33]), labels, -1)
    model = L.chain(L.gcn(8), L.on_nodes(jnp.tanh), L.gcn(2), lambda graphs: graphs.nodes)
    objective = train.objective(model, functools.partial(losses.cross_entropy, ignore_index=-1))
    step = train.step(objective, optax.adam(0.02))

    @jax.jit
    def logits_after_training(key):
        start = step.init(key, (graph, known))
        end, _ = jax.lax.scan(lambda state, _: step.update(state, (graph, known)), start, length=200)
        return model.apply(end.params, end.state, graph)[0]

    found = np.argmax(logits_after_training(key), -1)
    assert (found == labels).mean() > 0.8
