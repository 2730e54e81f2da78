"""Normalising flows: inverses, determinants, densities, and that they learn."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tolerances import assert_close

from jdl import functional
from jdl import layers as L


def coupling(**options):
    return L.affine_coupling(L.mlp([8], activation=jnp.tanh, activate_last=True), **options)


def deep():
    return L.flow(L.actnorm(), coupling(), L.permutation(), coupling(), mix=L.invertible_linear(), last=coupling(swap=True))


def moved(params, rng, size=0.3):
    """Params away from their initial values, where couplings are not the identity."""
    return jax.tree.map(lambda a: (a + size * rng.normal(size=a.shape)).astype(a.dtype), params)


STEPS = {
    "affine_coupling": (coupling, (3,)),
    "affine_coupling_of_images": (lambda: L.affine_coupling(L.chain(L.conv(4, 3), jnp.tanh), swap=True), (2, 2, 3)),
    "actnorm": (L.actnorm, (2, 3)),
    "invertible_linear": (L.invertible_linear, (2, 4)),
    "permutation": (lambda: L.permutation([3, 0, 1, 2]), (4,)),
    "reverse": (L.permutation, (2, 3)),
    "flow": (deep, (5,)),
}


@pytest.mark.parametrize("name", STEPS)
def test_inverses_and_determinants(name, rng, key):
    """The inverse gives back what went in, and determinants are those of the Jacobian, in both directions."""
    make, shape = STEPS[name]
    layer, x = make(), rng.normal(size=(2, *shape))
    with jax.enable_x64(True):
        params, state = layer.init(key, x)
        params = moved(params, rng)

        @jax.jit
        def both_ways(x):
            (y, log_det), _ = layer.apply(params, state, x)
            (back, undone), _ = layer.apply(params, state, y, inverse=True)
            one = lambda sample: layer.apply(params, state, jnp.expand_dims(sample, 0))[0][0].ravel()
            jacobians = jax.vmap(jax.jacfwd(one))(x).reshape(len(x), y[0].size, y[0].size)
            return y, back, log_det, undone, jacobians

        y, back, log_det, undone, jacobians = map(np.asarray, both_ways(x))
    assert_close(back, x)
    assert (y != x).any() and log_det.shape == (2,) and log_det.dtype == "float64"
    assert_close(log_det, np.linalg.slogdet(jacobians)[1])
    assert_close(undone, -log_det)


def test_what_flows_are_at_first(key, rng):
    """Couplings are the identity, and matrices orthogonal."""
    x = rng.normal(size=(3, 6)).astype("float32")
    (same, none), _ = coupling().apply(*coupling().init(key, x), x)
    assert_close((same, none), (x, np.zeros(3, "float32")))
    layer = L.invertible_linear()
    params, state = layer.init(jax.random.clone(key), x)
    (turn, log_det), _ = layer.apply(params, state, np.eye(6, dtype="float32"))
    assert_close(turn @ turn.T, np.eye(6, dtype="float32"))
    assert_close(log_det, np.zeros(6, "float32"))
    assert np.prod(state["sign"]) in (-1, 1) and sorted(state["permutation"].argmax(0)) == list(range(6))


def test_scales_of_couplings_are_bounded(rng, key):
    layer, x = coupling(), rng.normal(size=(4, 2)).astype("float32")
    params, state = layer.init(key, x)
    params["out"] = {"kernel": np.full((8, 2), 1e4, "float32"), "bias": np.ones(2, "float32"), "scale": np.full(1, 3, "float32")}
    (_, log_det), _ = layer.apply(params, state, x)
    np.testing.assert_allclose(abs(log_det), 3, rtol=1e-4)


def test_actnorm_begins_as_the_data_says(rng, key):
    """Every one of them, also those behind others, and in a flow within a flow; what doesn't vary keeps its scale."""
    x = (rng.normal(size=(50, 4, 3)) * [3, 0.1, 0] + [5, -7, 2]).astype("float32")
    model = L.flow(L.actnorm(), L.invertible_linear(), inner=L.flow(L.actnorm(), a=coupling()))
    params, state = model.init(key, x)
    made = jax.jit(functools.partial(L.actnorm_init, model))(params, state, x)
    assert jax.tree.map(jnp.shape, made) == jax.tree.map(jnp.shape, params)
    (first, _), _ = L.actnorm().apply(made["0"], {}, x)
    np.testing.assert_allclose(first.mean((0, 1)), np.zeros(3), atol=1e-4)
    np.testing.assert_allclose(first.std((0, 1)), [1, 1, 0], atol=1e-4)
    (y, _), _ = model.apply(made, state, x)
    np.testing.assert_allclose(y.mean((0, 1)), np.zeros(3), atol=1e-4)
    np.testing.assert_allclose(y.std((0, 1)), np.ones(3), atol=1e-3)  # a plane, turned
    repeated = L.repeat(L.compose(norm=L.actnorm())(lambda net, x: net.norm(x)[0]), 2)
    shapes = jax.eval_shape(repeated.init, jax.random.clone(key), x)
    with pytest.raises(ValueError, match=r'actnorm_init: layer "norm" has a bias of float32\[2, 3\] for all its repetitions'):
        jax.eval_shape(functools.partial(L.actnorm_init, repeated), *shapes, x)


def test_actnorms_are_made_in_the_order_of_calls(rng, key):
    """Which is not that of their names; a rematerialised one is one, too."""
    x = (4 * rng.normal(size=(60, 2)) + 3).astype("float32")
    steps = [coupling(swap=i % 4 == 1) if i % 2 else L.actnorm() for i in range(13)]
    steps[4] = L.remat(L.flow(steps[4]))
    model = L.flow(*steps, z=L.actnorm(), a=L.actnorm())
    params, state = jax.jit(model.init)(key, x)
    params = jax.jit(functools.partial(L.actnorm_init, model))(moved(params, rng), state, x)
    (y, _), _ = jax.jit(model.apply)(params, state, x)
    np.testing.assert_allclose(y.mean(0), np.zeros(2), atol=1e-3)
    np.testing.assert_allclose(y.std(0), np.ones(2), atol=1e-3)
    assert abs(params["a"]["log_scale"]).max() < 1e-3 < abs(params["12"]["log_scale"]).max()


def test_actnorm_of_constants(key):
    x = np.full((48, 3), np.float32([0.1, 1.1, 3.3]))
    params, state = L.actnorm().init(key, x)
    assert_close(L.actnorm_init(L.actnorm(), params, state, x), {"log_scale": np.zeros(3, "float32"), "bias": -x[0]})


@pytest.mark.parametrize("model, x, named, message", [
    (L.flow(L.actnorm()), np.ones((4, 2), "float32"), {"inverse": True}, "leave out inverse"),
    (L.flow(L.actnorm()), np.ones((0, 2), "float32"), {}, r"there must be data, got float32\[0, 2\]"),
])  # fmt: skip
def test_what_actnorm_can_not_begin_from(model, x, named, message, key):
    params, state = model.init(key, x)
    with pytest.raises(ValueError, match=message):
        L.actnorm_init(model, params, state, x, **named)


def test_a_density_is_one_in_all(rng, key):
    """The probability of the region that six deviations map to, by a sum over a grid."""
    model = deep()
    params, state = model.init(key, np.zeros((1, 2), "float32"))
    params = moved(params, rng, 0.2)
    line = np.linspace(-6, 6, 41, dtype="float32")
    edge = jax.jit(lambda z: model.apply(params, state, z, inverse=True)[0][0])(
        np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    )
    low, high = np.asarray(edge).min(0), np.asarray(edge).max(0)
    cells = 400
    centers = [low[i] + (high[i] - low[i]) * (np.arange(cells, dtype="float32") + 0.5) / cells for i in range(2)]

    @jax.jit
    def density(x):
        (y, log_det), _ = model.apply(params, state, x)
        return jnp.exp(functional.standard_normal_log_prob(y) + log_det)

    values = np.asarray(density(np.stack(np.meshgrid(*centers), -1).reshape(-1, 2)), "float64")
    assert abs(values.sum() * np.prod(high - low) / cells**2 - 1) < 1e-3


def test_a_flow_learns_what_a_gaussian_cannot(rng, key):
    """Points around a parabola, whose density a Gaussian misses by two nats."""
    first = 2 * rng.normal(size=512)
    data = np.stack([first, 0.5 * first**2 + 0.3 * rng.normal(size=512)], -1).astype("float32")
    model = L.flow(L.actnorm(), *(coupling(swap=swap) for swap in (False, True, False)))
    optimizer = optax.adam(0.02)

    def loss(params, state):
        (y, log_det), _ = model.apply(params, state, data)
        return -(functional.standard_normal_log_prob(y) + log_det).mean()

    @jax.jit
    def train(key):
        params, state = model.init(key, data)
        params = L.actnorm_init(model, params, state, data)

        def step(carry, _):
            params, memory = carry
            value, gradient = jax.value_and_grad(loss)(params, state)
            updates, memory = optimizer.update(gradient, memory)
            return (optax.apply_updates(params, updates), memory), value

        (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), length=500)
        return loss(params, state)

    gaussian = 1 + np.log(2 * np.pi) + 0.5 * np.linalg.slogdet(np.cov(data.T, bias=True))[1]
    assert train(key) < gaussian - 1


def test_log_prob_of_standard_normal_numbers(rng):
    x = rng.normal(size=(3, 2, 4)).astype("float32")
    expected = np.log(np.exp(-(x.astype("float64") ** 2) / 2) / np.sqrt(2 * np.pi)).sum((1, 2))
    assert_close(functional.standard_normal_log_prob(x), expected.astype("float32"))
    assert functional.standard_normal_log_prob(x.astype(jnp.bfloat16)).dtype == "float32"


X = np.ones((2, 3, 2), "float32")


@pytest.mark.parametrize("call, error, message", [
    (lambda: L.flow(), ValueError, "flow: there must be a step"),
    (lambda: L.flow(L.actnorm(), **{"0": L.actnorm()}), ValueError, "flow: two steps are named '0'"),
    (lambda: L.permutation([0, 2]), ValueError, r"order must hold each of 0, 1, \.\.\., features - 1 once, got \[0, 2\]"),
    (lambda: L.permutation([]), ValueError, "order must hold each"),
    (lambda: L.permutation(3), ValueError, "order must hold each"),  # type: ignore[arg-type]
    (lambda: L.permutation([True, False]), ValueError, "order must hold each"),
    (lambda: L.affine_coupling(3), TypeError, "must be a Layer or a function of arrays"),  # type: ignore[arg-type]
    (lambda: L.affine_coupling(L.flatten).init(jax.random.key(0), X), ValueError, r"must return \(2, 3, any\), got"),
    (lambda: functional.standard_normal_log_prob(jnp.ones(())), ValueError, r"x must be \(batch, \.\.\.\), got"),
])  # fmt: skip
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
