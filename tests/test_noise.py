"""Layers that draw noise: exact where a rate is 0 or 1, right in distribution elsewhere."""

import functools
import itertools
import math
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import one_program_each
from tolerances import assert_close, assert_equal

import jdl.functional
import jdl.layers

F, L = one_program_each(jdl.functional), one_program_each(jdl.layers)
IMAGES = (3, 5, 4, 6)
RATED = {  # functions of a key, an array and a rate, with a shape
    "dropout_shared": (functools.partial(F.dropout, shared=(0, -1)), IMAGES),
    "spatial_dropout": (F.spatial_dropout, IMAGES),
    "locked_dropout": (F.locked_dropout, (3, 4, 6)),
    "alpha_dropout": (F.alpha_dropout, (50,)),
    "feature_alpha_dropout": (F.feature_alpha_dropout, IMAGES),
    "drop_path": (F.drop_path, (8, 3)),
    "drop_block": (functools.partial(F.drop_block, block_size=(5, 4)), IMAGES),  # so large that a rate of 1 drops everything
    "gaussian_dropout": (F.gaussian_dropout, (50,)),
}


@pytest.mark.parametrize("name", RATED)
def test_rates_from_0_to_1_under_jit_and_vmap(name, rng, key):
    draw, shape = RATED[name]
    x = np.asarray(rng.normal(size=shape), np.float32)

    def value_and_gradients(rate):
        y, back = jax.vjp(lambda x, rate: draw(jax.random.clone(key), x, rate), x, rate)
        return y, *back(jnp.ones_like(y))

    rates = np.array([0, 0.4, 0.9] if name == "gaussian_dropout" else [0, 0.4, 1], np.float32)
    numbers = lambda: jnp.stack([draw(jax.random.clone(key), x, float(rate)) for rate in rates])
    *found, one_by_one = map(np.asarray, jax.jit(lambda rates: (*jax.vmap(value_and_gradients)(rates), numbers()))(rates))
    assert all(np.isfinite(leaf).all() for leaf in found)
    y, of_x, _ = found
    assert_close(y, one_by_one)
    for one in y[0], one_by_one[0]:
        assert_equal(one, x)
    assert_equal(of_x[0], np.ones_like(x))
    if rates[-1] == 1:
        for zeros in y[-1], one_by_one[-1], of_x[-1]:
            assert_equal(zeros, np.zeros_like(x))


def assert_share(dropped, rate):
    """As many of independent booleans are true as their probability says."""
    n = np.size(dropped)
    assert abs(np.mean(dropped) - rate) < 6 * math.sqrt(rate * (1 - rate) / n)


# Dropout


@pytest.mark.parametrize("draw, shape, shared", [
    (F.spatial_dropout, (40, 5, 30), (1,)),
    (F.spatial_dropout, (40, 3, 2, 30), (1, 2)),
    (F.spatial_dropout, (40, 3, 2, 2, 30), (1, 2, 3)),
    (F.locked_dropout, (40, 5, 30), (1,)),
    (F.drop_path, (1200, 3, 2), (1, 2)),
    (functools.partial(F.dropout, shared=0), (3, 40, 30), (0,)),
    (functools.partial(F.dropout, shared=(-1, 1)), (1200, 3, 2), (1, 2)),
])  # fmt: skip
def test_masks_are_shared_along_axes_and_independent_along_others(draw, shape, shared, key):
    rate = 0.3
    y = np.asarray(draw(key, np.ones(shape, np.float32), rate))
    assert np.unique(y).tolist() == pytest.approx([0, 1 / (1 - rate)], rel=1e-6)
    assert (y.max(shared) == y.min(shared)).all()
    dropped = y.max(shared) == 0
    assert_share(dropped, rate)
    flat = dropped.ravel().astype(float)
    assert abs(np.corrcoef(flat[1:], flat[:-1])[0, 1]) < 6 / math.sqrt(flat.size)


def test_dropout_in_float64(key):
    with jax.enable_x64(True):
        y = np.asarray(F.dropout(key, np.ones((200, 100)), 0.3))
    assert y.dtype == np.float64
    assert np.unique(y).tolist() == pytest.approx([0, 1 / 0.7], rel=1e-15)
    for half in y[:, :50], y[:, 50:]:  # each is of other bits of the words that were drawn
        assert_share(half == 0, 0.3)


def test_dropout_of_half_precision_moves_no_mean(rng, key):
    x = np.asarray(rng.uniform(1, 2, size=20_000), jnp.bfloat16)
    y = np.asarray(F.dropout(key, x, 0.1), np.float64)
    ratio = (y / np.asarray(x, np.float64))[y > 0]
    assert abs(ratio.mean() * 0.9 - 1) < 2e-4  # 1 / 0.9 in bfloat16 is 16e-4 less


def test_drop_path_skips_residual_blocks(rng, key):
    x = np.asarray(rng.normal(size=(50, 4)), np.float32)
    block = L.residual(L.chain(L.function(jnp.sin), L.drop_path(0.5)))
    y = np.asarray(block.apply({}, {}, x, key=key, train=True)[0])
    skipped = (y == x).all(1)
    assert 0 < skipped.sum() < 50
    np.testing.assert_allclose(y[~skipped], (x + 2 * np.sin(x))[~skipped], rtol=1e-5)


# Alpha dropout


@pytest.mark.parametrize("rate", [0.1, 0.6, 0.99])
def test_alpha_dropout_keeps_mean_and_variance(rate, rng, key):
    n = 100_000
    x = np.asarray(rng.normal(size=n), np.float32)
    y = np.asarray(F.alpha_dropout(key, x, rate), np.float64)
    assert abs(y.mean()) < 6 / math.sqrt(n)
    assert abs((y**2).mean() - 1) < 6 * (y**2).std() / math.sqrt(n)
    values, counts = np.unique(y, return_counts=True)
    assert_share(y == values[counts.argmax()], rate)


def test_feature_alpha_dropout_drops_channels(rng, key):
    x = np.asarray(rng.normal(size=(40, 3, 2, 30)), np.float32)
    y = np.asarray(F.feature_alpha_dropout(key, x, 0.3))
    dropped = y.max((1, 2)) == y.min((1, 2))
    assert_share(dropped, 0.3)
    assert np.unique(y[np.broadcast_to(dropped[:, None, None], y.shape)]).size == 1
    a = 1 / math.sqrt(0.7 * (1 + 0.3 * 1.7580993408473766**2))
    shift = (y - a * np.asarray(x))[~np.broadcast_to(dropped[:, None, None], y.shape)]
    np.testing.assert_allclose(shift, a * 0.3 * 1.7580993408473766, atol=1e-5)


# Gaussian noise


@pytest.mark.parametrize("draw, mean, variance", [
    (functools.partial(F.gaussian_dropout, rate=0.2), 1, 0.25),
    (functools.partial(F.gaussian_noise, stddev=3.0), 1, 9),
], ids=["gaussian_dropout", "gaussian_noise"])  # fmt: skip
def test_gaussian_moments(draw, mean, variance, key):
    n = 100_000
    y = np.asarray(draw(key, np.ones(n, np.float32)), np.float64)
    assert abs(y.mean() - mean) < 6 * math.sqrt(variance / n)
    assert abs(y.var() - variance) < 6 * variance * math.sqrt(2 / n)
    assert abs((((y - y.mean()) / y.std()) ** 4).mean() - 3) < 6 * math.sqrt(24 / n)


def test_gaussian_noise_at_traced_deviations(rng, key):
    x = np.asarray(rng.normal(size=50), np.float32)
    both = jax.vmap(jax.jvp, in_axes=(None, 0, 0))
    noisy = lambda stddev: F.gaussian_noise(jax.random.clone(key), x, stddev)
    values, noise = jax.jit(lambda s: both(noisy, (s,), (jnp.ones_like(s),)))(np.array([0, 2], np.float32))
    values, noise = np.asarray(values), np.asarray(noise)
    assert_equal(values[0], x)
    assert_close(values[1], x + 2 * noise[1])
    assert_equal(noise[0], noise[1])


# DropBlock


@pytest.mark.parametrize("spatial, block", [((7,), (3,)), ((5, 6), (2, 3)), ((4, 3, 5), (2, 2, 3))], ids=str)
def test_drop_block_drops_blocks(spatial, block, key):
    samples, rate = 1000, 0.3
    y = np.asarray(F.drop_block(key, np.ones((samples, *spatial, 2), np.float32), rate, block), np.float64)
    dropped = y == 0
    axes = tuple(range(1, y.ndim - 1))
    views = np.lib.stride_tricks.sliding_window_view(dropped, block, axes)
    windows = np.asarray(views.all(tuple(range(-len(block), 0))))
    gamma = rate / np.prod(block) * np.prod([n / (n - b + 1) for n, b in zip(spatial, block)])
    covered, expected = np.zeros_like(dropped), np.ones(spatial)
    for start in itertools.product(*(range(n - b + 1) for n, b in zip(spatial, block))):
        place = tuple(slice(s, s + b) for s, b in zip(start, block))
        covered[(slice(None), *place)] |= windows[(slice(None), *start)].reshape(samples, *(1 for _ in block), 2)
        expected[place] *= 1 - gamma
    assert (covered == dropped).all()  # whatever is dropped is in a block that is
    expected = np.expand_dims(1 - expected, -1)  # independent starts reach a place
    assert (np.abs(dropped.mean(0) - expected) < 6 * np.sqrt(expected * (1 - expected) / samples)).all()
    left = ~dropped.all((*axes, -1))
    np.testing.assert_allclose(y.mean((*axes, -1))[left], 1, rtol=1e-5)


def test_drop_block_of_size_1_is_dropout(key):
    y = F.drop_block(key, np.ones((1, 20_000, 1), np.float32), 0.25, 1)
    assert_share(np.asarray(y) == 0, 0.25)


# Dropping tokens


@pytest.mark.parametrize("keep, prefix", [(2, 0), (3, 2), (4, 1), (5, 0)])
def test_token_drop_keeps_random_tokens_in_order(keep, prefix, rng, key):
    samples, tokens = 3000, 5
    x = np.asarray(rng.normal(size=(samples, tokens, 2)), np.float32)
    kept, indices = map(np.asarray, F.token_drop(key, x, keep, prefix=prefix))
    assert kept.shape == (samples, prefix + keep, 2) and indices.shape == (samples, prefix + keep)
    assert_equal(kept, x[np.arange(samples)[:, None], indices])
    assert (np.diff(indices) > 0).all() and (indices[:, :prefix] == np.arange(prefix)).all()
    subsets = list(itertools.combinations(range(prefix, tokens), keep))  # all are equally probable
    found = [(indices[:, prefix:] == subset).all(1) for subset in subsets]
    assert np.sum(found) == samples
    if len(subsets) > 1:
        for hits in found:
            assert_share(hits, 1 / len(subsets))


def test_token_drop_has_a_gradient_where_tokens_are_kept(key):
    def kept(x):
        kept, indices = F.token_drop(key, x, 2)
        return kept.sum(), indices

    gradient, indices = jax.jit(jax.grad(kept, has_aux=True))(np.ones((2, 6, 3), np.float32))
    expected = np.zeros((2, 6, 3), np.float32)
    expected[np.arange(2)[:, None], indices] = 1
    assert_equal(gradient, expected)


def test_token_drop_as_a_layer(rng, key):
    x, layer = jnp.asarray(rng.normal(size=(2, 6, 3)), jnp.float32), jdl.layers.token_drop(2, prefix=1)
    assert layer.apply({}, {}, x)[0] is x
    y, _ = layer.apply({}, {}, x, key=jax.random.clone(key), train=True)
    assert_equal(y, F.token_drop(key, x, 2, prefix=1)[0])


# Monte-Carlo dropout


def _network(drop):
    return L.chain(L.batch_norm(), drop)


def test_monte_carlo_draws_dropout_but_no_batch_statistics(rng, key):
    samples, x = 2500, np.asarray(rng.normal(size=(2, 3)), np.float32)
    trained, model = _network(L.dropout(0.2)), _network(L.always(L.dropout(0.2)))
    params, state = trained.init(jax.random.clone(key), x)
    _, state = trained.apply(params, state, 5 + x, key=jax.random.clone(key), train=True)
    predict = jax.jit(functools.partial(L.monte_carlo, model, samples=samples))
    mean, deviation = map(np.asarray, predict(params, state, x, key=jax.random.clone(key)))
    sure, unchanged = model.apply(params, state, x)  # no key: plain evaluation
    assert_close(sure, trained.apply(params, state, x)[0])
    assert_equal(unchanged, state)
    spread = 0.5 * np.abs(sure)  # sqrt(rate / (1 - rate)) times the value
    assert (np.abs(mean - sure) < 6 * spread / math.sqrt(samples)).all()
    fourth = 3.25  # kurtosis of a coin that falls 2 to 8
    assert (np.abs(deviation / spread - 1) < 6 * math.sqrt((fourth - 1) / 4 / samples)).all()


def test_monte_carlo_of_a_model_that_never_draws(rng, key):
    x, model = np.asarray(rng.normal(size=(2, 3)), jnp.bfloat16), _network(L.dropout(0.5))
    params, state = model.init(jax.random.clone(key), x)

    @jax.jit
    def predict(x, key):
        (mean, deviation), back = jax.vjp(lambda x: L.monte_carlo(model, params, state, x, key=key, samples=4), x)
        return mean, deviation, *back((jnp.zeros_like(mean), jnp.ones_like(deviation)))

    mean, deviation, of_x = predict(x, key)
    assert_close(mean, model.apply(params, state, x)[0])
    assert_equal(deviation, np.zeros_like(x))
    assert_equal(of_x, np.zeros_like(x))


def test_monte_carlo_of_trees_and_named_inputs(key):
    @L.compose(drop=L.always(L.dropout(0.5)))
    def model(net, x, scale):
        return {"y": net.drop(x) * scale, "scale": scale}

    predict = jax.jit(functools.partial(L.monte_carlo, model, samples=50))
    mean, deviation = predict({}, {}, np.ones(3, np.float32), scale=np.float32(2), key=key)
    assert np.isclose(mean["scale"], 2)
    assert deviation["scale"] == 0
    assert mean["y"].shape == (3,) and (deviation["y"] > 0).all()


def test_always_is_the_layer_itself_in_training(key):
    x, drop = np.ones(20, np.float32), L.dropout(0.5)
    draws = [
        layer.apply({}, {}, x, key=jax.random.clone(key), train=train)[0]
        for layer, train in ((drop, True), (L.always(drop), True), (L.always(drop), False))
    ]
    assert_equal(draws[1], draws[0])
    assert_equal(draws[2], draws[0])
    with pytest.raises(ValueError, match="dropout: needs a key in training"):
        L.always(drop).apply({}, {}, x, train=True)


# What is refused


@pytest.mark.parametrize("make, message", [
    *((lambda make=make: make(1.1), rf"{make.__name__}: rate must be in \[0, 1\], got 1.1") for make in (
        L.dropout, L.spatial_dropout, L.locked_dropout, L.alpha_dropout, L.feature_alpha_dropout, L.gaussian_dropout, L.drop_path,
    )),
    (lambda: L.drop_block(-0.1, 2), r"drop_block: rate must be in \[0, 1\]"),
    (lambda: L.drop_block(0.1, 0), "drop_block: block_size must be a positive integer, got 0"),
    (lambda: L.gaussian_dropout(1), "gaussian_dropout: rate must be below 1"),
    (lambda: L.gaussian_noise(-1.0), "gaussian_noise: stddev must be at least 0"),
    (lambda: L.token_drop(0), "token_drop: keep must be a positive integer, got 0"),
    (lambda: L.token_drop(1, prefix=-1), "token_drop: prefix must be an integer of at least 0, got -1"),
    (lambda: F.spatial_dropout(jax.random.key(0), jnp.ones((2, 3, 4)), 1.1), r"spatial_dropout: rate must be in \[0, 1\]"),
    (lambda: F.gaussian_dropout(jax.random.key(0), jnp.ones(3), 1.0), "gaussian_dropout: rate must be below 1"),
    (lambda: F.drop_block(jax.random.key(0), jnp.ones((2, 3, 1)), 0.1, (1, 1)), "drop_block: block_size .* 1 spatial axes"),
    (lambda: L.monte_carlo(L.dropout(0.5), {}, {}, jnp.ones(3), key=jax.random.key(0), samples=0), "monte_carlo: samples"),
])  # fmt: skip
def test_values_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_monte_carlo_refuses_raw_keys_and_integers(key):
    with pytest.raises(TypeError, match="key must be a typed key"):
        L.monte_carlo(L.dropout(0.5), {}, {}, jnp.ones(3), key=jnp.zeros(2, "uint32"), samples=2)
    with pytest.raises(TypeError, match=r"monte_carlo: .* int32"):
        L.monte_carlo(L.function(lambda x: x.astype(int)), {}, {}, jnp.ones(3), key=key, samples=2)
    with pytest.raises(TypeError, match="always: layer must be a Layer"):
        L.always(cast(Any, 3))
