"""Activations: values against searches in NumPy, gradients against formulas, straight-through rules, and random ones in mean."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from tolerances import assert_close, assert_equal

from jdl import functional as F
from jdl import layers as L

SPARSEMAX, ENTMAX15 = (jax.jit(fn, static_argnames="axis") for fn in (F.sparsemax, F.entmax15))
POWERS = {"sparsemax": (SPARSEMAX, 1, 1), "entmax15": (ENTMAX15, 2, 2)}  # y = max(x / temperature - tau, 0)^power
simplex = pytest.mark.parametrize("fn, temperature, power", POWERS.values(), ids=POWERS)


def bisected(x, temperature, power):
    """The map onto probabilities by search: tau is what makes the sum 1."""
    z = np.asarray(x, np.float64) / temperature
    p = lambda tau: np.maximum(z - tau, 0) ** power
    low, high = z.max(-1, keepdims=True) - 1, z.max(-1, keepdims=True)
    for _ in range(80):
        middle = (low + high) / 2
        low, high = np.where(p(middle).sum(-1, keepdims=True) > 1, (middle, high), (low, middle))
    return p(low)


@simplex
def test_simplex_maps_are_what_a_search_finds(fn, temperature, power, rng):
    x = rng.normal(size=(150, 9)) * np.repeat([1e-3, 1.0, 100.0], 50)[:, None]
    x[0], x[1, ::2] = 3.0, x[1, 1]  # ties
    with jax.enable_x64(True):
        np.testing.assert_allclose(fn(jnp.asarray(x)), bisected(x, temperature, power), atol=1e-10)
    narrow = x.astype(np.float32)
    np.testing.assert_allclose(fn(jnp.asarray(narrow)), bisected(narrow, temperature, power), atol=3e-6)


@simplex
def test_simplex_maps_of_many_scores_sum_to_1(fn, temperature, power, rng):
    x = (rng.normal(size=(2, 20000)) * [[1.0], [1e-6]]).astype(np.float32)
    np.testing.assert_allclose(fn(x).sum(-1), 1, atol=1e-4)
    np.testing.assert_allclose(fn(x), bisected(x, temperature, power), atol=1e-5)


def test_sparsemax_is_the_nearest_probability(rng):
    x = rng.normal(size=5) * 2
    y = np.asarray(F.sparsemax(jnp.asarray(x, jnp.float32)), np.float64)
    others = rng.dirichlet(np.full(5, 0.5), size=2000)
    assert (((others - x) ** 2).sum(-1) >= ((y - x) ** 2).sum() - 1e-5).all()


@simplex
def test_simplex_maps_have_the_jacobian_of_the_paper(fn, temperature, power, rng):
    with jax.enable_x64(True):
        x = jnp.asarray(rng.normal(size=7))
        s = np.asarray(fn(x)) ** (1 - 1 / power) * (np.asarray(fn(x)) > 0)
        expected = np.diag(s) - np.outer(s, s) / s.sum()
        np.testing.assert_allclose(jax.jit(jax.jacrev(fn))(x), expected, atol=1e-12)
        np.testing.assert_allclose(jax.jit(jax.jacfwd(fn))(x), expected, atol=1e-12)


@simplex
def test_simplex_maps_take_any_axis_and_mask(fn, temperature, power, rng):
    x = rng.normal(size=(3, 4, 5)).astype(np.float32)
    np.testing.assert_allclose(fn(x, axis=1), np.moveaxis(fn(np.moveaxis(x, 1, -1)), -1, 1), atol=1e-6)
    where = np.broadcast_to(np.arange(5) != 2, x.shape).copy()
    where[0, 0] = False
    both = jax.jit(jax.value_and_grad(lambda x, where: (jnp.sin(y := fn(x, where=where)).sum(), y), has_aux=True))
    (_, masked), gradient = both(x, where)
    np.testing.assert_allclose(np.delete(masked, 2, axis=-1)[1:], fn(np.delete(x, 2, axis=-1))[1:], atol=1e-6)
    assert not masked[..., 2].any() and not masked[0, 0].any()
    assert np.isfinite(gradient).all() and not gradient[..., 2].any() and not gradient[0, 0].any() and gradient.any()
    where[0, 0, 0] = True  # with one entry there is a maximum
    (_, masked), gradient = both(x, where)
    (_, infinite), same = both(np.where(where, x, -np.inf).astype(np.float32), np.ones_like(where))
    assert_equal(infinite, masked)
    assert_equal(same, gradient)


def test_extreme_scores_are_one_hot():
    for fn, *_ in POWERS.values():
        assert fn(jnp.array([0.0, 1e30, -1e30])).tolist() == [0, 1, 0]
        assert not jax.jit(jax.jacfwd(fn))(jnp.array([0.0, 1e4, 5.0])).any()


def test_k_winners_keeps_exactly_k(rng):
    x = jnp.asarray(rng.integers(-3, 3, size=(40, 8)), jnp.float32)  # many ties
    for k in (1, 3, 8):
        kept = np.zeros(x.shape, bool)
        np.put_along_axis(kept, np.argsort(-np.asarray(x), axis=-1, kind="stable")[:, :k], True, axis=-1)
        assert_equal(F.k_winners(x, k), jnp.where(kept, x, 0))
        assert_equal(jax.grad(lambda x, k=k: F.k_winners(x, k).sum())(x), jnp.asarray(kept, jnp.float32))


def test_snake_and_swish_at_special_frequencies():
    x = jnp.array([-2.0, 0.0, 0.5])
    assert_equal(F.snake(x, jnp.array(0.0)), x)
    assert_close(jax.vmap(jax.grad(F.snake, argnums=1), (0, None))(x, jnp.array(0.0)), jnp.square(x))  # the limit's slope
    assert_close(F.snake(x, jnp.array(3.0)), x + jnp.sin(3 * x) ** 2 / 3)
    assert_close(F.parametric_swish(x, jnp.array(1.0)), jax.nn.swish(x))
    assert_close(F.parametric_swish(x, jnp.array(100.0)), jax.nn.relu(x))


def test_crelu_and_squared_relu():
    x = jnp.array([[1.0, -2.0], [-3.0, 4.0]])
    assert F.crelu(x).tolist() == [[1, 0, 0, 2], [0, 4, 3, 0]]
    assert F.crelu(x, axis=0).tolist() == [[1, 0], [0, 4], [0, 2], [3, 0]]
    assert jax.grad(lambda x: F.squared_relu(x).sum())(x).tolist() == [[2, 0], [0, 8]]


def test_rrelu_draws_slopes_uniformly(key):
    x = jnp.full(20000, -1.0)
    slope = -F.rrelu(key, x, 0.2, 0.6)
    assert scipy.stats.kstest(np.asarray(slope), scipy.stats.uniform(0.2, 0.4).cdf).pvalue > 1e-9
    assert_equal(F.rrelu(jax.random.clone(key), -x, 0.2, 0.6), -x)
    layer = jax.jit(lambda lower, upper: L.rrelu(lower, upper).apply({}, {}, x)[0])
    assert_close(layer(0.2, 0.6), 0.4 * x)


def test_limits_may_be_traced_and_have_gradients():
    x = jnp.array([-2.0, 0.1, 3.0])
    assert jax.jit(jax.grad(lambda limit: F.soft_shrink(x, limit).sum()))(0.5) == 0  # +1 for -2, -1 for 3
    assert jax.grad(lambda value: F.threshold(x, 0.5, value).sum())(7.0) == 2
    half = x.astype("bfloat16")
    for fn in (F.soft_shrink, F.hard_shrink):
        assert jax.jit(fn)(half, jnp.float32(0.5)).dtype == "bfloat16"


def test_straight_through_has_value_and_gradient_of_different_arrays(rng):
    x = jnp.asarray(rng.normal(size=100), jnp.float32)
    fn = lambda x: F.straight_through(jnp.round(x * 10) / 10, jnp.tanh(x))
    assert_equal(fn(x), jnp.round(x * 10) / 10)
    assert_close(jax.jvp(fn, (x,), (jnp.ones(100),))[1], 1 - jnp.tanh(x) ** 2)
    assert_close(jax.grad(lambda x: fn(x).sum())(x), 1 - jnp.tanh(x) ** 2)
    with pytest.raises(ValueError, match=r"straight_through: shapes differ: hard is float32\[2\], soft is float32\[1\]"):
        F.straight_through(jnp.ones(2), jnp.ones(1))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_binarize_passes_gradients_within_1(dtype):
    x = jnp.array([-1.5, -1.0, -0.3, 0.0, 1.0, 1.1], dtype)
    value, gradient = jax.jit(lambda x: (F.binarize(x), jax.grad(lambda x: F.binarize(x).sum())(x)))(x)
    assert value.tolist() == [-1, -1, -1, 1, 1, 1] and gradient.tolist() == [0, 1, 1, 1, 1, 0]
    assert value.dtype == gradient.dtype == dtype


def test_gumbel_softmax_draws_from_softmax(key):
    logits, count = jnp.array([0.0, 1.0, 2.0]), 20000
    many = jnp.broadcast_to(logits, (count, 3))
    draw = jax.jit(F.gumbel_softmax, static_argnames="hard")
    hard, soft = (draw(jax.random.clone(key), many, temperature=0.3, hard=hard) for hard in (True, False))
    p = jax.nn.softmax(logits)
    np.testing.assert_array_less(np.abs(hard.mean(0) - p), 6 * np.sqrt(p * (1 - p) / count))
    assert set(np.unique(hard)) == {0, 1} and bool((hard.argmax(-1) == soft.argmax(-1)).all())
    np.testing.assert_allclose(soft.sum(-1), 1, rtol=1e-5)


def test_gumbel_softmax_has_the_gradient_of_the_relaxed_draw(key):
    logits, weights = jnp.array([[0.0, 1.0], [2.0, -1.0], [0.5, 0.0]]), jnp.array([[1.0], [-2.0], [0.5]])

    def loss(logits, hard):
        return (F.gumbel_softmax(jax.random.clone(key), logits, temperature=2.0, hard=hard, axis=0) * weights).sum()

    assert_equal(jax.grad(loss)(logits, True), jax.grad(loss)(logits, False))
    near = jax.random.gumbel(jax.random.clone(key), (3, 2))
    assert_close(F.gumbel_softmax(key, logits, temperature=2.0, axis=0), jax.nn.softmax((logits + near) / 2, axis=0))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: L.rrelu(0.5, 0.2), "rrelu: lower must be at most upper, got 0.5 and 0.2"),
        (lambda: L.k_winners(0), "k_winners: k must be a positive integer, got 0"),
        (lambda: F.soft_shrink(jnp.ones(2), -1.0), "soft_shrink: limit must be at least 0, got -1.0"),
        (lambda: F.hard_shrink(jnp.ones(2), -1.0), "hard_shrink: limit must be at least 0, got -1.0"),
        (lambda: F.gumbel_softmax(jax.random.key(0), jnp.ones(2), temperature=0.0), "gumbel_softmax: temperature must be above 0"),
        (lambda: F.prelu(jnp.ones((2, 3)), jnp.ones((2, 1))), r"prelu: slope is for 2 channels, x is float32\[2, 3\]"),
    ],
)
def test_wrong_settings_raise(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_learned_weights_are_as_asked():
    x = jnp.ones((2, 3))
    slope = L.prelu(per_channel=True, slope_init=jax.nn.initializers.constant(0.5)).init(jax.random.key(0), x)[0]["slope"]
    assert slope.tolist() == [0.5] * 3
    assert L.prelu().init(jax.random.key(0), x)[0]["slope"].shape == ()


def test_rezero_learns_from_its_first_step(key):
    x, layer = jnp.array([[1.0, 2.0]]), L.rezero(L.dense(2))
    params, state = layer.init(key, x)
    gradient = jax.grad(lambda params: layer.apply(params, state, x)[0].sum())(params)
    assert gradient["scale"]["alpha"] != 0 and not gradient["layer"]["kernel"].any()
    params["scale"]["alpha"] = jnp.array(2.0)
    assert_close(layer.apply(params, state, x)[0], x + 2 * L.dense(2).apply(params["layer"], {}, x)[0])
    with pytest.raises(ValueError, match=r"rezero: shapes differ: x is float32\[1, 2\], layer is float32\[1, 3\]"):
        L.rezero(L.dense(3)).init(jax.random.clone(key), x)
