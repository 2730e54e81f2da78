"""Blocks on one device after the other give what they give on one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jdl import functional, losses, models, parallel, train
from jdl import layers as L

P = jax.P
BLOCK = L.residual(L.chain(L.dense(4), jnp.tanh))


def devices(text):
    """A mesh on as many of the eight devices as it needs."""
    size = np.prod([int(part.split("=")[1]) for part in text.split(",")])
    return parallel.mesh(text, devices=jax.devices()[:size])


def test_values_and_gradients_are_those_of_repeat(rng, key):
    """In double precision, with data parallel at the same time, and a batch that micro-batches don't divide."""
    x, y = rng.normal(size=(2, 16, 4))
    mesh = devices("data=2,stage=4")
    plain, piped = L.repeat(BLOCK, 8), parallel.pipeline(BLOCK, 8, mesh=mesh, microbatches=3)
    loss = lambda layer: lambda params, x: ((layer.apply(params, state, x)[0] - y) ** 2).sum()
    with jax.enable_x64(True):
        params, state = plain.init(key, x)
        made, _ = piped.init(jax.random.clone(key), x)
        jax.tree.map(np.testing.assert_array_equal, made, params)
        expected = jax.jit(jax.value_and_grad(loss(plain), (0, 1)))(params, x)
        placed = parallel.place(params, mesh, P("stage")), parallel.place(x, mesh, P("data"))
        found = jax.jit(jax.value_and_grad(loss(piped), (0, 1)))(*placed)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-11, atol=1e-11), found, expected)


def network(rate, repeat=L.repeat):
    """And its loss and data."""
    rng = np.random.default_rng(1)
    model = L.chain(L.dense(4), blocks=repeat(L.chain(BLOCK, L.dropout(rate)) if rate else BLOCK, 4), head=L.dense(1))
    data = rng.normal(size=(40, 3)).astype("float32"), rng.normal(size=(40, 1)).astype("float32")
    return train.objective(model, losses.mean_squared_error), data


def decoder(rate, repeat=L.repeat):
    block = L.transformer_block(L.attention(2, causal=True), L.mlp([16, 8], activation=jax.nn.gelu), rate=rate)
    model = models.transformer_decoder(4, block, embedding=L.embedding(16, 8), positions=L.embedding(6, 8), repeat=repeat)
    tokens = np.random.default_rng(1).integers(0, 16, (40, 7))
    objective = train.objective(model, lambda out, labels: losses.cross_entropy(out[0], labels))
    return objective, (tokens[:, :-1], tokens[:, 1:])


def trained(objective, data, axes=None):
    """The train state after twenty steps of Adam, and their losses."""
    step = train.step(objective, optax.adam(2e-3))
    if axes:
        step = parallel.over(step, devices(axes), parallel.fully_sharded("data", beneath={"blocks/**": P("stage")}))
    run = train.run(step, batch_size=16)
    train_state, measured = jax.jit(run.advance, static_argnums=2)(run.init(jax.random.key(7), data), data, 20)
    return train_state, np.asarray(measured["loss"])


def piped(axes):
    return functools.partial(parallel.pipeline, mesh=devices(axes), microbatches=4)


SLOW = [pytest.param(model, rate, marks=pytest.mark.slow) for model, rate in ((network, 0.2), (decoder, 0), (decoder, 0.2))]


@pytest.mark.parametrize("model, rate", [(network, 0), *SLOW])
def test_training_gives_the_losses_of_one_device(model, rate):
    """Within 1e-6, with dropout against a pipeline of one device; each device keeps its part."""
    expected = trained(*model(rate, piped("stage=1")) if rate else model(rate))[1]
    train_state, found = trained(*model(rate, piped("data=2,stage=4")), "data=2,stage=4")
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert expected[10:].mean() < expected[:10].mean()
    blocks = jax.tree.leaves([tree["blocks"] for tree in (train_state.params, *train_state.optimizer_state[0][1:])])
    for device in jax.devices():
        own = [shard.data.nbytes for a in blocks for shard in a.addressable_shards if shard.device == device]
        assert sum(own) == sum(a.nbytes for a in blocks) / 8  # a quarter by stage, half of it by data


def test_masks_are_the_same_for_any_number_of_stages(key):
    """And others for each block and micro-batch."""

    def draw(key, x, stages):
        layer = parallel.pipeline(L.dropout(0.5), 2, mesh=devices(f"data=2,stage={stages}"), microbatches=2)
        return layer.apply({}, {}, x, key=key, train=True)[0]

    draw, x = jax.jit(draw, static_argnums=2), np.ones((4, 64), "float32")
    one, two = (np.asarray(draw(jax.random.clone(key), x, stages)) for stages in (1, 2))
    np.testing.assert_array_equal(one, two)
    assert len({row.tobytes() for row in one}) == 4 and set(np.unique(one)) == {0, 4}
    assert abs((one > 0).mean() - 0.25) < 6 * np.sqrt(0.25 * 0.75 / one.size)


def test_inputs_beside_x_are_split_with_it_or_go_whole(rng):
    """In half precision, whose gradients are summed in single."""
    block = lambda x, own, bias, *, factor: x * own[:, None].astype(x.dtype) + factor * bias.astype(x.dtype)
    x, own, bias = (rng.normal(size=shape).astype("float32") for shape in ((6, 3), (6,), (1, 3)))
    given = x.astype(jnp.bfloat16), own, np.broadcast_to(bias, (6, 3))
    mesh = devices("stage=2")
    plain, piped = L.repeat(L.function(block), 4), parallel.pipeline(block, 4, mesh=mesh, microbatches=3)

    def results(layer):
        loss = lambda x, own, bias: layer.apply({}, {}, x, own, bias, factor=0.5)[0].astype(jnp.float32).sum()
        return jax.jit(jax.value_and_grad(loss, (0, 1, 2)))(*given)

    for found, expected in zip(jax.tree.leaves(results(piped)), jax.tree.leaves(results(plain))):
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(*(np.asarray(a, "float32") for a in (found, expected)), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("given, message", [
    ({"times": 6}, "6 blocks can't be shared out equally over 4 stages of 'stage'"),
    ({"axis": "model"}, "the mesh has axes stage, not 'model'"),
    ({"microbatches": 0}, "microbatches must be a positive integer, got 0"),
])  # fmt: skip
def test_pipelines_that_are_refused(given, message):
    with pytest.raises(ValueError, match=f"pipeline: {message}"):
        parallel.pipeline(BLOCK, **{"times": 4, "mesh": devices("stage=4"), "microbatches": 2} | given)


def test_a_mesh_must_be_one():
    with pytest.raises(TypeError, match=r"pipeline: mesh must be a jax\.sharding\.Mesh"):
        parallel.pipeline(BLOCK, 4, mesh="stage=4", microbatches=2)


def test_blocks_that_cannot_be_in_a_pipeline_are_refused():
    mesh, x, key = devices("stage=2"), np.ones((4, 3, 4), "float32"), jax.random.key(0)
    make = functools.partial(parallel.pipeline, times=2, mesh=mesh, microbatches=2)
    with pytest.raises(ValueError, match=r"pipeline: blocks that keep state .* use repeat, with the same params"):
        make(L.batch_norm()).init(key, x)
    block = make(L.transformer_block(L.attention(2), L.mlp([4])), scanned=("cache",))
    params, state = jax.eval_shape(block.init, key, x)
    cache = functional.attention_cache(4, 3, 2, 2)
    with pytest.raises(ValueError, match="pipeline: blocks that take a cache can't"):
        jax.eval_shape(functools.partial(block.apply, cache=cache), params, state, x)
    mixture = make(L.transformer_block(L.attention(2), L.mixture_of_experts(L.swiglu(4), 2)), scanned=("cache",))
    with pytest.raises(ValueError, match="pipeline: blocks that return something beside x can't"):
        jax.eval_shape(mixture.apply, *jax.eval_shape(mixture.init, key, x), x)
    ring = parallel.ring_attention(parallel.mesh("sequence=2,stage=4"))
    with pytest.raises(ValueError, match=r"ring_attention: here a shard_map is at work, over stage \(such as a pipeline's\)"):
        jax.eval_shape(lambda x: make(lambda x: functional.attention(x, x, x, backend=ring)).apply({}, {}, x), x[..., None])
    with pytest.raises(ValueError, match="repeat: a repeated layer must keep shape and dtype"):
        jax.eval_shape(lambda x: make(lambda x: x[:, :1]).apply({}, {}, x), x)
