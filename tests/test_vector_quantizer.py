"""Quantisation of vectors, against a few lines of NumPy: what is nearest, what moves codes, masks, devices, clusters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P
from tolerances import assert_close, assert_equal

from jdl import functional, losses
from jdl import layers as L


@pytest.fixture
def normal(rng):
    return lambda *shape: np.asarray(rng.normal(size=shape), np.float32)


def nearest(x, codebook):
    """The index of the code with the least distance, by every distance."""
    return np.square(x[..., None, :].astype(np.float64) - codebook).sum(-1).argmin(-1)


def stepped(state, x, decay, epsilon):
    """The state after one more batch, by a loop over its vectors."""
    counts, sums = (decay * np.asarray(state[name], np.float64) for name in ("counts", "sums"))
    for vector, index in zip(x, nearest(x, np.asarray(state["codebook"]))):
        counts[index] += 1 - decay
        sums[index] += (1 - decay) * vector
    smoothed = (counts + epsilon) / (counts.sum() + len(counts) * epsilon) * counts.sum()
    return {"codebook": sums / smoothed[:, None], "counts": counts, "sums": sums}


def train(layer, state, x, **named):
    return jax.jit(lambda state, x, named: layer.apply({}, state, x, train=True, **named))(state, x, named)


def as_single(tree):
    return jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), tree)


@pytest.mark.parametrize("shape", [(3,), (40, 3), (4, 2, 5, 3)])
def test_the_nearest_code(normal, shape):
    x, codebook = normal(*shape), normal(7, 3)
    y, indices = jax.jit(functional.vector_quantize)(x, codebook)
    assert_equal(np.asarray(indices), nearest(x, codebook).astype("int32"))
    np.testing.assert_array_equal(y, codebook[indices])


def test_codes_are_told_apart_far_from_the_origin(normal):
    x, codebook = normal(100, 3) + 3000, normal(7, 3) + 3000
    assert (functional.vector_quantize(x, codebook)[1] == nearest(x, codebook)).all()


def test_of_equal_codes_the_first():
    assert functional.vector_quantize(jnp.zeros((2, 1)), jnp.array([[1.0], [-1.0], [1.0]]))[1].tolist() == [0, 0]


def test_gradients_go_straight_through_and_to_chosen_codes(normal):
    x, codebook, slope = normal(9, 3), normal(4, 3), normal(9, 3)
    layer = L.vector_quantizer(4)

    def loss(x, params):
        (y, info), _ = layer.apply(params, {}, x)
        return (slope * y).sum(), (slope * info["codes"]).sum()

    through, codes = jax.jit(jax.jacrev(loss, (0, 1)))(x, {"codebook": codebook})
    np.testing.assert_array_equal(through[0], slope)
    np.testing.assert_array_equal(through[1]["codebook"], 0)
    np.testing.assert_array_equal(codes[0], 0)
    expected = np.zeros_like(codebook)
    np.add.at(expected, nearest(x, codebook), slope)
    np.testing.assert_allclose(codes[1]["codebook"], expected, rtol=1e-5, atol=1e-6)


def test_perplexity_is_the_number_of_codes_in_use():
    codebook = {"codebook": jnp.arange(5.0)[:, None]}
    x = jnp.array([[0.1], [0.9], [4.0], [4.2], [1.2], [-3.0]])
    info = L.vector_quantizer(5).apply(codebook, {}, x)[0][1]
    np.testing.assert_allclose(info["perplexity"], 3, rtol=1e-6)
    mask = jnp.array([True, False, False, False, False, True])
    assert L.vector_quantizer(5).apply(codebook, {}, x, mask=mask)[0][1]["perplexity"] == 1


@pytest.mark.parametrize("decay", [0.0, 0.7, 1.0])
def test_running_means(normal, key, decay):
    layer, steps = L.ema_vector_quantizer(5, decay=decay, epsilon=0.01), normal(4, 30, 3)
    _, state = layer.init(key, steps[0])
    for x in steps:
        expected = as_single(stepped(state, x, decay, 0.01))
        (y, info), state = train(layer, state, x)
        assert_close(state, expected)
        assert y.shape == x.shape and info["codes"].shape == x.shape


def test_codes_are_those_before_the_batch_and_stay_in_evaluation(normal, key):
    layer, x = L.ema_vector_quantizer(5), normal(30, 3)
    _, state = layer.init(key, x)
    (y, info), moved = train(layer, state, x)
    np.testing.assert_array_equal(y, state["codebook"][info["indices"]])
    assert (moved["codebook"] != state["codebook"]).any()
    evaluated, same = layer.apply({}, state, x)
    assert_equal(same, state)
    np.testing.assert_array_equal(evaluated[0], y)


def test_no_gradient_reaches_running_codes(normal, key):
    layer, x, later = L.ema_vector_quantizer(5), normal(30, 3), normal(6, 3)
    _, state = layer.init(key, x)

    def loss(x, codebook):
        (_, info), moved = layer.apply({}, state | {"codebook": codebook}, x, train=True)
        (_, again), _ = layer.apply({}, moved, later, train=True)
        return losses.vector_quantization(later, again["codes"]) + info["codes"].sum()

    assert all((gradient == 0).all() for gradient in jax.jit(jax.grad(loss, (0, 1)))(x, state["codebook"]))


def test_what_is_masked_moves_nothing(normal, rng, key):
    layer, x, mask = L.ema_vector_quantizer(5), normal(6, 7, 3), rng.random((6, 7)) < 0.6
    _, state = layer.init(key, x)
    _, some = train(layer, state, np.where(mask[..., None], x, np.nan).astype("float32"), mask=mask)
    assert_close(some, train(layer, state, x[mask])[1])
    assert_equal(train(layer, state, x, mask=np.zeros_like(mask))[1], state)


def test_members_of_an_axis_share_their_means(normal, key):
    parts = normal(4, 10, 3)
    whole, shared = L.ema_vector_quantizer(5), L.ema_vector_quantizer(5, axis_name="data")
    _, state = whole.init(key, parts[0])
    expected = train(whole, state, parts.reshape(40, 3))[1]
    step = lambda state, x: shared.apply({}, state, x, train=True)[1]
    mapped = jax.jit(jax.vmap(step, in_axes=(None, 0), axis_name="data"))(state, parts)
    for member in range(4):
        assert_close(jax.tree.map(lambda a: a[member], mapped), expected)  # noqa: B023
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:4])
    sharded = jax.jit(jax.shard_map(step, mesh=mesh, in_specs=(P(), P("data")), out_specs=P()))
    assert_close(sharded(state, parts.reshape(40, 3)), expected)


def test_its_first_state_can_be_donated(normal, key):
    layer, x = L.ema_vector_quantizer(5), normal(6, 3)
    for init in (layer.init, jax.jit(layer.init)):
        _, state = init(jax.random.clone(key), x)
        jax.jit(lambda state: layer.apply({}, state, x, train=True)[1], donate_argnums=0)(state)
        assert all(a.is_deleted() for a in jax.tree.leaves(state))


def clusters(rng):
    """Points around the corners of a square, and the corners."""
    corners = np.array([[3.0, 3.0], [3.0, -3.0], [-3.0, 3.0], [-3.0, -3.0]], np.float32)
    return np.asarray(np.tile(corners, (64, 1)) + 0.1 * rng.normal(size=(256, 2)), np.float32), corners


def assert_found(codebook, corners, limit):
    assert np.linalg.norm(np.asarray(codebook)[None] - corners[:, None], axis=-1).min(1).max() < limit


def test_running_means_find_clusters(rng, key):
    x, corners = clusters(rng)
    layer = L.ema_vector_quantizer(16, decay=0.9)
    _, state = layer.init(key, x)
    step = lambda state, _: (layer.apply({}, state, x, train=True)[1], None)
    state, _ = jax.jit(lambda state: jax.lax.scan(step, state, length=100))(state)
    assert_found(state["codebook"], corners, 0.1)


def test_gradients_find_clusters(rng, key):
    x, corners = clusters(rng)
    layer, optimizer = L.vector_quantizer(16), optax.adam(0.05)
    params, _ = layer.init(key, x)

    def step(carry, _):
        params, optimizer_state = carry
        loss = lambda params: losses.vector_quantization(jnp.asarray(x), layer.apply(params, {}, x)[0][1]["codes"])
        updates, optimizer_state = optimizer.update(jax.grad(loss)(params), optimizer_state, params)
        return (optax.apply_updates(params, updates), optimizer_state), None

    (params, _), _ = jax.jit(lambda carry: jax.lax.scan(step, carry, length=400))((params, optimizer.init(params)))
    assert_found(params["codebook"], corners, 0.15)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: L.vector_quantizer(0), ValueError, "vector_quantizer: codes must be a positive integer"),
        (lambda x: L.ema_vector_quantizer(2, decay=1.5), ValueError, r"ema_vector_quantizer: decay must be in \[0, 1\]"),
        (lambda x: L.ema_vector_quantizer(2, epsilon=0.0), ValueError, "ema_vector_quantizer: epsilon must be above 0, got 0.0"),
        (lambda x: functional.vector_quantize(x, jnp.ones((2, 3))), ValueError, r"with the features of x, got float32\[2, 3\]"),
        (lambda x: functional.vector_quantize(x, jnp.ones(4)), ValueError, r"must be \(codes, features\) .* got float32\[4\]"),
        (lambda x: functional.vector_quantize(x, jnp.ones((2, 4), int)), TypeError, "codebook must be a floating-point array"),
        (
            lambda x: L.vector_quantizer(2).apply({"codebook": jnp.ones((2, 4))}, {}, x, mask=jnp.ones(3, bool)),
            ValueError,
            "mask must have the shape of x without channels",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(jnp.ones((2, 3, 4)))
