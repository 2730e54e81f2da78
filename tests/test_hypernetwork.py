"""Layers whose params are generated."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import assert_close

from jdl import layers as L

MIXED = L.chain(L.dense(6), jnp.tanh, L.layer_norm(), L.dense(2))


def standardised(rng, *shape):
    """Features of mean square 1."""
    features = rng.normal(size=shape).astype("float32")
    return features / np.sqrt(np.square(features).mean(-1, keepdims=True))


def generated(params, features):
    """The params of the layer, by the definition."""
    kernel, bias = params["generated"]["kernel"], params["generated"]["bias"]
    return jax.tree.map(lambda k, b: np.asarray(b) + np.tensordot(features, np.asarray(k), 1), kernel, bias)


def test_one_condition_gives_all_samples_the_same_params(rng, key):
    layer, x, condition = L.hypernetwork(MIXED, L.dense(5)), rng.normal(size=(4, 3)), rng.normal(size=7).astype("float32")
    x = x.astype("float32")
    params, state = layer.init(key, x, condition)
    features = condition @ params["generator"]["kernel"] + params["generator"]["bias"]
    assert_close(layer.apply(params, state, x, condition)[0], MIXED.apply(generated(params, features), {}, x)[0])


def test_a_condition_for_each_sample_gives_each_its_params(rng, key):
    layer, x, conditions = L.hypernetwork(MIXED), rng.normal(size=(4, 3)).astype("float32"), standardised(rng, 4, 5)
    params, state = layer.init(key, x, conditions)
    alone = [MIXED.apply(generated(params, c), {}, x[i : i + 1])[0][0] for i, c in enumerate(conditions)]
    assert_close(jax.jit(layer.apply)(params, state, x, conditions)[0], jnp.stack(alone))


@pytest.mark.parametrize("features", [1, 2, 16])
def test_generated_params_begin_as_the_layers_own_do(rng, key, features):
    layer = L.chain(L.dense(400, bias_init=jax.nn.initializers.normal(0.3)), L.batch_norm(), L.conv(3, 1))
    x, condition = np.zeros((1, 2, 300), "float32"), standardised(rng, features)
    hyper = L.hypernetwork(layer)
    params = generated(jax.jit(hyper.init)(key, x, condition)[0], condition)
    own = layer.init(jax.random.clone(key), x)[0]
    assert jax.tree.map(np.shape, params) == jax.tree.map(np.shape, own)
    kernel = params["0"]["kernel"]
    assert kernel.std() == pytest.approx(300**-0.5, rel=0.02) and abs(kernel.mean()) < 300**-0.5 / 50
    assert params["0"]["bias"].std() == pytest.approx(0.3, rel=0.2)
    assert_close(params["1"], own["1"])  # a scale of 1 and a shift of 0, whatever the condition


def test_layers_that_share_a_generator_learn_conditions_of_their_own(rng, key):
    @L.compose(embed=L.embedding(3, 4), conv=L.hypernetwork(L.chain(L.conv(2, 3), L.batch_norm()), L.dense(5)))
    def three(net, x):
        for i in jnp.arange(3):
            x = jnp.sin(net.conv(x, net.embed(i)))
        return x

    x = rng.normal(size=(2, 5, 5, 2)).astype("float32")
    params, state = jax.jit(three.init)(key, x)
    assert set(params["conv"]) == {"generator", "generated"}
    loss = lambda params: jnp.square(three.apply(params, state, x, train=True)[0] - x).sum()
    gradient = jax.jit(jax.grad(loss))(params)
    assert (jnp.abs(gradient["embed"]["embedding"]).max(-1) > 1e-6).all()
    moved = three.apply(params, state, x, train=True)[1]
    assert not np.allclose(moved["conv"]["generated"]["1"]["mean"], state["conv"]["generated"]["1"]["mean"])


def test_every_sample_draws_its_own(rng, key):
    layer, x = L.hypernetwork(L.dropout(0.5)), np.ones((2, 64), "float32")
    y, _ = layer.apply({}, {}, x, standardised(rng, 2, 3), key=key, train=True)
    assert not (y[0] == y[1]).all()


def test_further_inputs_and_options_go_to_the_layer(rng, key):
    memory, x, conditions = (rng.normal(size=(3, 4, 6)).astype("float32") for _ in range(3))
    layer, conditions = L.hypernetwork(L.attention(2)), conditions[:, 0]
    params, state = layer.init(key, x, conditions, memory)
    whole = layer.apply(params, state, x, conditions, memory)[0][0]
    assert_close(whole[1:2], layer.apply(params, state, x[1:2], conditions[1], memory[1:2])[0][0])
    masked = layer.apply(params, state, x, conditions, memory, mask=np.tri(4, dtype=bool)[None, None])[0][0]
    assert_close(masked[:, -1], whole[:, -1])
    assert not np.allclose(masked[:, 0], whole[:, 0])


def test_it_says_what_does_not_fit(key):
    layer, x = L.hypernetwork(L.dense(2)), jnp.ones((4, 3))
    wants = r"hypernetwork: the generator must give \(features,\), for all samples, or \(batch, features\), .* got float32\[3, 5\]"
    with pytest.raises(ValueError, match=wants):
        layer.init(key, x, jnp.ones((3, 5)))
    with pytest.raises(TypeError, match="hypernetwork: what the generator gives must be a floating-point array, got int32"):
        layer.init(key, x, jnp.arange(4))
    params, state = layer.init(key, x, jnp.ones(5))
    with pytest.raises(ValueError, match=r"hypernetwork: kernel is of 5 features, the generator gives float32\[6\]"):
        layer.apply(params, state, x, jnp.ones(6))
    normed = L.hypernetwork(L.batch_norm())
    params, state = normed.init(jax.random.clone(key), x, jnp.ones(5))
    for refuse in (
        lambda: normed.init(jax.random.clone(key), x, jnp.ones((4, 5))),
        lambda: normed.apply(params, state, x, jnp.ones((4, 5))),
    ):
        with pytest.raises(ValueError, match="a layer with a state needs one condition for all samples"):
            refuse()
    with pytest.raises(TypeError, match="hypernetwork: generator must be a Layer or a function of arrays, got 3"):
        L.hypernetwork(L.dense(2), 3)  # type: ignore[arg-type]
