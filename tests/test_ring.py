"""Attention of sequences that are split over devices is that of whole ones."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jdl import functional, losses, models, parallel, train
from jdl import layers as L
from jdl.functional import _attention_chunks

P = jax.P
BATCH, TIME, MEMORY, HEADS, KV_HEADS, WIDTH = 2, 8, 12, 4, 2, 3


def test_every_option_gives_values_and_gradients_of_the_plain_one(rng):
    """In double precision: masks of each query, rows that see nothing, windows, positions, biases, caps, sinks."""
    normal = lambda *shape: rng.normal(size=shape)
    arrays = {
        "query": normal(BATCH, TIME, HEADS, WIDTH),
        "keys": normal(BATCH, MEMORY, KV_HEADS, WIDTH),
        "values": normal(BATCH, MEMORY, KV_HEADS, WIDTH + 1),
        "bias": normal(1, HEADS, TIME, MEMORY),
        "sinks": normal(HEADS),
        "soft_cap": np.float64(0.7),
    }
    mask = rng.random((BATCH, 1, TIME, MEMORY)) < 0.5
    mask[0, 0, 3] = False
    positions = rng.permutation(TIME).reshape(1, -1), rng.permutation(MEMORY).reshape(1, -1) - 1
    weights = normal(BATCH, TIME, HEADS, WIDTH + 1)

    def loss(arrays, backend):
        y = functional.attention(**arrays, mask=mask, causal=True, window=3, positions=positions, backend=backend)
        return (weights * y).sum(), y

    gradient = jax.jit(jax.value_and_grad(loss, has_aux=True), static_argnums=1)
    with jax.enable_x64(True):
        found = gradient(arrays, parallel.ring_attention(parallel.mesh("data=2,sequence=4")))
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-11, atol=1e-11), found, gradient(arrays, "xla"))


def test_a_layer_changes_by_one_argument(rng, key):
    """Values and gradients in single precision, with padding; what is sent is keys and values, and nothing is gathered."""
    mesh = parallel.mesh("data=2,sequence=4")
    make = functools.partial(L.attention, 2, causal=True, rope=functional.rope)
    x = rng.normal(size=(2, 16, 8)).astype("float32")
    params, state = make().init(key, x)
    mask = np.arange(16).reshape(1, -1) < np.array([[16], [5]])
    placed = parallel.place(x, mesh, P("data", "sequence"))

    def of(layer):
        loss = lambda x: (layer.apply(params, state, x, mask=mask)[0][0] ** 2).sum()
        return jax.jit(jax.value_and_grad(loss))

    spread = of(make(backend=parallel.ring_attention(mesh))).lower(placed).compile()
    (expected, slope), (found, spread_slope) = of(make())(x), spread(placed)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(spread_slope, slope, rtol=1e-5, atol=1e-5 * np.abs(slope).max())
    assert spread_slope.sharding.is_equivalent_to(placed.sharding, 3)
    assert {row.kind for row in parallel.collectives(spread).rows} == {"collective-permute", "all-reduce"}


def test_weights_are_dropped_as_rate_says(rng, key, monkeypatch):
    """Also where a device takes some of its queries at a time; of values that are unit vectors come the weights."""
    monkeypatch.setattr(_attention_chunks, "_PLAIN_BYTES", 0)
    monkeypatch.setattr(_attention_chunks, "_CHUNK_BYTES", 3 * 4 * BATCH * HEADS * MEMORY // 2)  # three queries, of four
    query, keys = (rng.normal(size=(BATCH, time, HEADS, WIDTH)).astype("float32") for time in (TIME, MEMORY))
    values = np.broadcast_to(np.eye(MEMORY, dtype="float32").reshape(1, MEMORY, 1, MEMORY), (BATCH, MEMORY, HEADS, MEMORY))
    backend = parallel.ring_attention(parallel.mesh("sequence=2", devices=jax.devices()[:2]))
    dropped = jax.jit(lambda rate, key: functional.attention(query, keys, values, rate=rate, key=key, backend=backend))
    whole = np.asarray(dropped(0.0, jax.random.clone(key)))
    plain = functional.attention(query, keys, values, backend="xla")
    np.testing.assert_allclose(whole, plain, rtol=1e-5, atol=1e-6)
    some = np.asarray(dropped(0.5, key))
    np.testing.assert_allclose(some[some > 0], 2 * whole[some > 0], rtol=1e-5)
    assert abs((some > 0).mean() - 0.5) < 6 * 0.5 / np.sqrt(some.size)
    blocks = (some > 0).reshape(BATCH, 2, TIME // 2, HEADS, 2, MEMORY // 2)
    assert len({blocks[:, i, :, :, j].tobytes() for i in range(2) for j in range(2)}) == 4


@pytest.mark.slow
def test_training_gives_the_losses_of_one_device():
    """A transformer, within 1e-6 for twenty steps, its batches and sequences split."""
    mesh = parallel.mesh("data=2,sequence=4")
    tokens = np.random.default_rng(1).integers(0, 16, (40, 17))
    data = tokens[:, :-1], tokens[:, 1:]

    def trained(backend, spread):
        block = L.transformer_block(L.attention(2, causal=True, rope=functional.rope, backend=backend), L.mlp([32, 8]))
        model = models.transformer_decoder(2, L.remat(block), embedding=L.embedding(16, 8))
        step = train.step(train.objective(model, lambda out, labels: losses.cross_entropy(out[0], labels)), optax.adam(1e-2))
        run = train.run(spread(step), batch_size=8)
        return jax.jit(run.advance, static_argnums=2)(run.init(jax.random.key(7), data), data, 20)[1]["loss"]

    expected = trained("auto", lambda step: step)
    found = trained(parallel.ring_attention(mesh), lambda step: parallel.over(step, mesh, parallel.fully_sharded("data")))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert expected[-1] < expected[0]


def test_what_a_ring_cannot_take_is_refused():
    x = jnp.zeros((1, 6, 1, 2))
    mesh = parallel.mesh("sequence=4", devices=jax.devices()[:4])
    spread = functools.partial(functional.attention, backend=parallel.ring_attention(mesh))
    with pytest.raises(ValueError, match="ring_attention: 6 queries and 6 keys can't be split equally over 4 devices"):
        spread(x, x, x)
    with pytest.raises(ValueError, match="attention: a backend over many devices gives no weights"):
        spread(x, x, x, return_weights=True)
    with pytest.raises(ValueError, match="ring_attention: the mesh has axes sequence, not 'time'"):
        parallel.ring_attention(mesh, axis="time")
    with pytest.raises(TypeError, match="ring_attention: mesh must be"):
        parallel.ring_attention("sequence=4")
