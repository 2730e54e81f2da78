"""Attention of decoders, linear attention and learnt positions, against loops in NumPy."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import assert_close, assert_equal

from jdl import functional, models
from jdl import layers as L
from jdl.functional import _linear_attention

BATCH, TIME, MEMORY, HEADS, WIDTH = 2, 7, 5, 2, 3


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(_linear_attention, "_CHUNK", 3)  # of seven positions


def draw(rng, *shape):
    return rng.normal(size=shape).astype("float32")


def made(layer, rng, *inputs):
    """Params of normal numbers, as NumPy's arrays, which compile nothing."""
    params, _ = jax.eval_shape(layer.init, jax.random.key(0), *inputs)
    return jax.tree.map(lambda a: draw(rng, *a.shape), params)


SCORES = {
    "additive": lambda params, q, m: np.tanh(q @ params["query"] + m @ params["key"]) @ params["score"][:, 0],
    "concat": lambda params, q, m: np.tanh(np.r_[q, m] @ np.r_[params["query"], params["key"]]) @ params["score"][:, 0],
    "general": lambda params, q, m: q @ params["query"] @ m,
    "dot": lambda params, q, m: q @ m,
}


@pytest.mark.parametrize("name", SCORES)
def test_attention_of_decoders_is_what_loops_over_queries_say(name, rng):
    make = functools.partial(L.additive_attention, 6) if name == "additive" else functools.partial(L.luong_attention, name)
    layer = make(return_weights=True)
    x, memory = draw(rng, BATCH, TIME, 4), draw(rng, BATCH, MEMORY, 4 if name == "dot" else 3)
    mask = rng.random((BATCH, MEMORY)) < 0.6
    params = made(layer, rng, x, memory)
    kernels = {name: own["kernel"] for name, own in params.items()}
    weights = np.zeros((BATCH, TIME, MEMORY))
    for b, t, s in np.ndindex(weights.shape):
        weights[b, t, s] = np.exp(SCORES[name](kernels, x[b, t], memory[b, s])) * mask[b, s]
    weights /= np.maximum(weights.sum(-1, keepdims=True), 1e-30)
    apply = jax.jit(lambda *inputs, mask: layer.apply(params, {}, *inputs, mask=mask)[0])
    y, found = apply(x, memory, mask=mask)
    assert_close((y, found), ((weights @ memory).astype("float32"), weights.astype("float32")))
    assert_close(apply(x[:, 2], memory, mask=mask), (y[:, 2], found[:, 2]))


def features(x):
    return np.where(x > 0, x + 1, np.exp(np.minimum(x, 0)))


def by_loops(query, keys, values, seen):
    query, keys = (features(np.asarray(x, np.float64)) for x in (query, keys))
    output = np.zeros((*query.shape[:3], values.shape[-1]))
    for b, t, h in np.ndindex(query.shape[:3]):
        weights = keys[b, :, h] @ query[b, t, h] * seen[b, t]
        output[b, t, h] = weights @ values[b, :, h] / (weights.sum() or 1)
    return output


@pytest.mark.parametrize("causal", [False, True])
def test_linear_attention_is_what_loops_over_queries_say(causal, rng, small_chunks):
    memory = TIME if causal else MEMORY
    query, keys, values = (draw(rng, BATCH, n, HEADS, width) for n, width in ((TIME, WIDTH), (memory, WIDTH), (memory, 4)))
    mask = rng.random((BATCH, memory)) < 0.7
    mask[1, :2] = False  # the first queries of causal attention see nothing
    seen = np.broadcast_to(mask[:, None], (BATCH, TIME, memory))
    seen = np.tril(seen) if causal else seen

    @jax.jit
    def run(query, keys, values, mask):
        return functional.linear_attention(query, keys, values, mask=mask, causal=causal)[0]

    expected = by_loops(query, keys, values, seen)
    assert_close(run(query, keys, values, mask), expected.astype("float32"))
    holes = np.where(mask[:, :, None, None], values, np.float32(np.nan))
    np.testing.assert_array_equal(run(query, keys, holes, mask), run(query, keys, values, mask))


def test_what_is_masked_has_no_influence(rng):
    query, keys, values = (draw(rng, BATCH, MEMORY, 1, WIDTH) for _ in range(3))
    mask = np.arange(MEMORY)[None] < np.array([[3], [0]])  # the second sample sees nothing
    kernel = draw(rng, WIDTH, 1)

    @jax.jit
    @functools.partial(jax.grad, argnums=(0, 1, 2), has_aux=True)
    def loss(query, keys, values, mask):
        one = query[:, :, 0], keys[:, :, 0], values[:, :, 0]
        outputs = [
            functional.linear_attention(query, keys, values, mask=mask)[0][:, :, 0],
            functional.additive_attention(*one, kernel, mask=mask),
            functional.dot_attention(*one, mask=mask),
        ]
        return sum(jnp.sin(y).sum() for y in outputs), outputs

    gradients, outputs = jax.tree.map(np.asarray, loss(query, keys, values, mask))
    assert all((y[1] == 0).all() and (y[0] != 0).all() for y in outputs)
    assert all(np.isfinite(g).all() for g in gradients)
    for gradient in gradients[1:]:
        assert (gradient[~mask] == 0).all() and (gradient[mask] != 0).all()


def test_linear_attention_takes_memory_linear_in_length():
    """Causal, over 4,096 positions, forward and backward: less than the products of all positions would take."""
    x = jax.ShapeDtypeStruct((1, 4096, 4, 32), "float32")
    loss = lambda x: functional.linear_attention(x, x, x, causal=True)[0].sum()
    size = jax.jit(jax.grad(loss)).lower(x).compile().memory_analysis().temp_size_in_bytes
    assert 4 * size < 4 * 4096**2 * 4


def test_decoding_in_any_split_is_attention_to_all(rng):
    block = L.transformer_block(L.linear_attention(HEADS, causal=True), L.dense(8))
    deep = models.transformer_decoder(2, block, head=None)  # which looks up the length of the cache, and hands on positions
    x = draw(rng, BATCH, TIME, 8)
    params = made(deep, rng, x)
    apply = jax.jit(lambda x, lengths, cache: deep.apply(params, {}, x, lengths=lengths, cache=cache)[0])
    empty = jax.tree.map(lambda a: np.stack([a] * 2), functional.linear_attention_cache(BATCH, HEADS, 4, 4))
    everything, one = np.full(BATCH, TIME), np.ones(BATCH, int)
    whole, last = apply(x, everything, empty)
    outputs, cache = [], empty
    for t in range(TIME):
        output, cache = apply(x[:, t : t + 1], one, cache)
        outputs.append(output)
    assert_close((np.concatenate(outputs, 1), cache), (whole, last))
    _, cache = apply(x, np.array([3, 4]), empty)  # samples of different lengths
    following = np.stack([x[0, 3:4], x[1, 4:5]])
    output, cache = apply(following, one, cache)
    assert cache["length"].tolist() == [[4, 5]] * 2
    assert_close(output[:, 0], np.stack([whole[0, 3], whole[1, 4]]))


def test_random_features_approximate_softmax(key, rng):
    """Their products are on average those of softmax, within 6 standard errors."""
    count, projections = 8, 4000
    query, keys = 0.4 * draw(rng, 2, 3, 4)  # three of each

    @jax.jit
    @jax.vmap
    def products(key):
        projection = functional.favor_projection(key, 4, count)
        parts = projection.T.reshape(2, 4, 4)  # two groups of four
        lengths = jnp.linalg.norm(projection, axis=0)
        angles = jnp.einsum("gif,gjf->gij", parts, parts) - jnp.square(lengths).reshape(2, 4, 1) * jnp.eye(4).reshape(1, 4, 4)
        mapped = (functional.favor_features(jnp.asarray(x), projection) for x in (query, keys))
        first, second = (multiples * jnp.exp(logarithms) for multiples, logarithms in mapped)
        return first @ second.T, jnp.abs(angles).max(), jnp.square(lengths).mean()

    found, angles, squares = map(np.asarray, products(jax.random.split(key, projections)))
    errors = found.std(0) / math.sqrt(projections)
    assert (abs(found.mean(0) - np.exp(query @ keys.T / 2)) < 6 * errors).all()
    assert angles.max() < 1e-4
    assert abs(squares.mean() - 4) < 6 * math.sqrt(2 * 4 / count / projections)  # of a chi-squared distribution


def test_many_random_features_give_softmax_attention(key, rng):
    @jax.jit
    def both(x):
        projection = functional.favor_projection(key, 4, 20_000)
        feature_map = functools.partial(functional.favor_features, projection=projection)
        return functional.linear_attention(x, x, x, feature_map=feature_map)[0], functional.attention(x, x, x)

    np.testing.assert_allclose(*both(0.3 * draw(rng, 1, 4, 1, 4)), atol=0.03)


def test_random_features_of_any_size_are_what_loops_say(rng, small_chunks):
    """In float64, where nothing underflows. Later keys weigh exp(60) times as much, of which earlier queries know nothing."""
    query, keys, values = 4 * draw(rng, 3, 1, TIME, 1, 64)
    keys *= np.linspace(1.2, 0.1, TIME, dtype="float32").reshape(1, -1, 1, 1)
    projection = draw(rng, 64, 5)
    feature_map = functools.partial(functional.favor_features, projection=projection)

    def exact(x):
        x = x[0, :, 0].astype("float64") / 64**0.25
        exponents = x @ projection - np.square(x).sum(-1, keepdims=True) / 2
        return np.exp(exponents) + 1e-6 * np.exp(exponents.max(-1, keepdims=True))

    weights = np.tril(exact(query) @ exact(keys).T)
    expected = (weights / weights.sum(-1, keepdims=True) @ values[0, :, 0]).astype("float32").reshape(values.shape)
    run = jax.jit(functools.partial(functional.linear_attention, causal=True, feature_map=feature_map))
    whole, cache = run(query, keys, values)
    assert_close(np.asarray(whole), expected, scale=10)
    first, half = run(query[:, :4], keys[:, :4], values[:, :4])
    second, after = run(query[:, 4:], keys[:, 4:], values[:, 4:], cache=half)
    assert_close((np.concatenate([first, second], 1), after), (np.asarray(whole), cache), scale=10)
    last, _ = jax.jit(functools.partial(functional.linear_attention, feature_map=feature_map))(query, keys, values)
    assert_close(last[:, -1], expected[:, -1], scale=10)


def test_lengths_are_those_of_x_and_checked(rng):
    layer, x = L.linear_attention(HEADS), draw(rng, BATCH, 4, 8)
    params = made(layer, rng, x)
    apply = lambda *inputs, **named: layer.apply(params, {}, *inputs, **named)[0][0]

    @jax.jit
    def outputs(x):
        return apply(x, lengths=[2, 4])[:1], apply(x[:1], x[:1, :2]), apply(x, 2 * x, lengths=[2, 2]), apply(x, 2 * x)

    cut, alone, of_memory, plain = outputs(x)
    assert_close(cut, alone)
    assert_equal(of_memory, plain)
    with pytest.raises(ValueError, match=r"lengths must lie in 0..4, found 9 at index \[0\]"):
        apply(x, lengths=[9, -2])
    with pytest.raises(TypeError, match="lengths must be integers"):
        apply(x, lengths=[1.5, 2.0])


@pytest.mark.parametrize("shape", [(2, 0, 2, 3), (0, 3, 2, 3)])
def test_nothing_gives_nothing(shape):
    x = np.zeros(shape, "float32")
    both = jax.jit(lambda x: [functional.linear_attention(x, x, x, causal=causal) for causal in (False, True)])
    for output, cache in both(x):
        assert output.shape == shape and (np.asarray(cache["sums"]) == 0).all()


def test_masks_may_be_lists():
    one, mask = QKV[:, :, 0], [[True] * 3] * 2
    assert jax.eval_shape(lambda x: functional.dot_attention(x, x, x, mask=mask), one).shape == one.shape
    assert jax.eval_shape(lambda x: functional.linear_attention(x, x, x, mask=mask)[0], QKV).shape == QKV.shape


def test_positions_are_added(rng):
    layer, x = L.position_embedding(6), draw(rng, BATCH, 4, 3)
    params = made(layer, rng, x)
    table = params["embedding"]
    np.testing.assert_array_equal(layer.apply(params, {}, x)[0], x + table[:4])
    places = np.array([[0, 5, 1, 2], [3, 3, 4, 0]])
    np.testing.assert_array_equal(layer.apply(params, {}, x, positions=places)[0], x + table[places])
    with pytest.raises(ValueError, match=r"must lie in 0..5, found 6 at index \[1, 0\]"):
        layer.apply(params, {}, x, positions=places + np.array([[0], [3]]))


QKV = np.ones((2, 3, 4, 2), "float32")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: functional.additive_attention(x, x, x, jnp.ones((3, 1))), ValueError, r"kernel must be \[4, 1\], got float32"),
        (
            lambda x: functional.additive_attention(x, x[0], x, jnp.ones((4, 1))),
            ValueError,
            r"keys must be \(batch, memory, width\)",
        ),
        (lambda x: functional.dot_attention(x, x[..., :2], x), ValueError, "batch, width and memory must be equal"),
        (lambda x: functional.dot_attention(x, x, x, mask=jnp.ones((2, 3))), TypeError, "mask must be bools"),
        (lambda x: functional.dot_attention(x, x, x, mask=jnp.ones((2, 4), bool)), ValueError, r"mask must be \[2, 3\], got bool"),
        (lambda x: L.additive_attention(0), ValueError, "features must be a positive integer"),
        (lambda x: L.luong_attention("product"), ValueError, "score must be dot, general or concat"),
        (lambda x: L.luong_attention().init(jax.random.key(0), x, x.astype(int)), TypeError, "memory must be a floating-point"),
        (lambda x: functional.linear_attention(x, x, x), ValueError, r"query must be \(batch, time, heads, width\)"),
        (lambda x: functional.linear_attention(QKV, QKV[:, :2], QKV[:, :2], causal=True), ValueError, "a key for every query"),
        (lambda x: functional.linear_attention(QKV, QKV, QKV[:, :2]), ValueError, "batch, heads and width must be equal"),
        (
            lambda x: functional.linear_attention(QKV, QKV, QKV, cache=functional.linear_attention_cache(2, 4, 3, 2)),
            ValueError,
            r"sums of the cache must be \[2, 4, 2, 3\], got float32\[2, 4, 3, 3\]",
        ),
        (lambda x: functional.favor_features(x, jnp.ones((3, 8))), ValueError, r"projection must be \(width, count\)"),
        (lambda x: L.linear_attention(0), ValueError, "heads must be a positive integer"),
        (
            lambda x: L.linear_attention(2).init(jax.random.key(0), x, bias=x),
            ValueError,
            "no logits to add",
        ),
        (lambda x: L.linear_attention(2).init(jax.random.key(0), x, x, cache=x), ValueError, "can't be given with a memory"),
        (lambda x: L.position_embedding(0), ValueError, "longest must be a positive integer"),
        (
            lambda x: L.position_embedding(9).init(jax.random.key(0), x, jnp.zeros(3, int)),
            ValueError,
            r"positions must be \[2, 3\]",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(np.ones((2, 3, 4), "float32"))
