"""Attention, its caches and positions, and transformers, against loops over queries and hand-worked values."""

import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import assert_close

from jdl import functional, models
from jdl import layers as L
from jdl.functional import _attention_chunks

BATCH, TIME, MEMORY, HEADS, KV_HEADS, WIDTH = 2, 7, 9, 4, 2, 3


@pytest.fixture
def headed(rng):
    """A query, keys and values in groups."""
    shapes = (BATCH, TIME, HEADS, WIDTH), (BATCH, MEMORY, KV_HEADS, WIDTH), (BATCH, MEMORY, KV_HEADS, WIDTH)
    return tuple(rng.normal(size=shape).astype("float32") for shape in shapes)


def made(layer, rng, *inputs):
    """Params of normal numbers, as NumPy's arrays, which compile nothing."""
    params, _ = jax.eval_shape(layer.init, jax.random.key(0), *inputs)
    return jax.tree.map(lambda a: (rng.normal(size=a.shape) / a.shape[-1] ** 0.5).astype(a.dtype), params)


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(_attention_chunks, "_CHUNK_BYTES", 3 * 4 * BATCH * HEADS * MEMORY)  # three queries, of seven
    monkeypatch.setattr(_attention_chunks, "_CHUNK_QUERIES", 1)


def by_loops(query, keys, values, seen, bias=0.0, soft_cap=None, sinks=None):
    """Attention in NumPy, a query at a time."""
    query, keys, values = (np.asarray(x, np.float64) for x in (query, keys, values))
    bias = np.broadcast_to(bias, (BATCH, HEADS, TIME, MEMORY))
    output, weights = np.zeros((BATCH, TIME, HEADS, WIDTH)), np.zeros((BATCH, HEADS, TIME, MEMORY))
    for b, t, h in np.ndindex(BATCH, TIME, HEADS):
        group = h // (HEADS // KV_HEADS)
        logits = keys[b, :, group] @ query[b, t, h] / math.sqrt(WIDTH)
        logits = soft_cap * np.tanh(logits / soft_cap) if soft_cap else logits
        parts = np.exp(logits + bias[b, h, t]) * seen[b, h, t]
        total = parts.sum() + (np.exp(sinks[h]) if sinks is not None else 0)
        weights[b, h, t] = parts / total if total else 0
        output[b, t, h] = weights[b, h, t] @ values[b, :, group]
    return output, weights


def test_every_option_is_what_loops_over_queries_say(headed, rng, small_chunks):
    mask = rng.random((BATCH, MEMORY)) < 0.6
    bias, sinks = rng.normal(size=(1, HEADS, TIME, MEMORY)).astype("float32"), rng.normal(size=HEADS).astype("float32")
    at, of = np.arange(TIME).reshape(-1, 1), np.arange(MEMORY).reshape(1, -1)
    everything = np.ones((BATCH, HEADS, TIME, MEMORY), bool)
    others = everything & (of != at)
    rest = {"bias": bias, "soft_cap": 0.5, "sinks": sinks}
    cases = [
        ({}, everything, {}),
        ({"mask": mask}, everything & mask[:, None, None], {}),
        ({"causal": True}, everything & (of <= at), {}),
        ({"causal": True, "window": 3}, everything & (of <= at) & (at - of < 3), {}),
        ({"window": 2}, everything & (abs(at - of) < 2), {}),
        ({"mask": others, **rest}, others, rest),
    ]

    @jax.jit
    def results(*headed):
        call = functools.partial(functional.attention, *headed, return_weights=True)
        return [{backend: call(**options, backend=backend) for backend in ("xla", "chunked")} for options, _, _ in cases]

    for (options, seen, named), result in zip(cases, results(*headed), strict=True):
        expected = by_loops(*headed, seen, **named)
        for backend, found in result.items():
            for actual, wanted in zip(found, expected, strict=True):
                np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-6, err_msg=f"{options.keys()} {backend}")


def test_chunks_give_the_same_gradient(headed, rng, small_chunks):
    bias = rng.normal(size=(BATCH, 1, TIME, MEMORY)).astype("float32")

    def loss(arrays, bias, backend):
        return jnp.sin(functional.attention(*arrays, bias=bias, causal=True, backend=backend)).sum()

    @jax.jit
    def gradients(*args):
        return [jax.grad(loss, (0, 1))(*args, backend) for backend in ("chunked", "xla")]

    assert_close(*gradients(headed, bias))


def test_chunks_take_memory_linear_in_length():
    """Of causal attention over 4,096 positions, forward and backward: an eighth of what the logits take, and less."""
    x = jax.ShapeDtypeStruct((1, 4096, 4, 32), "float32")

    def bytes_of(backend):
        loss = lambda x: functional.attention(x, x, x, causal=True, backend=backend).sum()
        return jax.jit(jax.grad(loss)).lower(x).compile().memory_analysis().temp_size_in_bytes

    assert 8 * bytes_of("chunked") < bytes_of("xla")


def test_what_is_masked_has_no_influence(headed):
    mask = np.arange(MEMORY).reshape(1, -1) < np.array([[4], [0]])  # the second sample sees nothing

    def loss(query, keys, values):
        output = functional.attention(query, keys, values, mask=mask)
        return jnp.sin(output).sum(), output

    @jax.jit
    def outcomes(query, keys, values):
        cut = functional.attention(query[:1], keys[:1, :4], values[:1, :4])
        return jax.grad(loss, (0, 1, 2), has_aux=True)(query, keys, values), cut

    (gradients, output), cut = jax.tree.map(np.asarray, outcomes(*headed))
    assert (output[1] == 0).all() and all(np.isfinite(g).all() for g in gradients)
    for gradient in gradients[1:]:
        assert (gradient[0, 4:] == 0).all() and (gradient[1] == 0).all() and (gradient[0, :4] != 0).all()
    np.testing.assert_allclose(output[:1], cut, rtol=1e-5, atol=1e-6)


def test_padding_changes_nothing(rng):
    """A sequence that is padded for a batch gives what it gives alone, and the same gradients, which are zero at the padding."""
    layer = L.transformer_block(L.attention(2), L.mlp([12, 8]))
    x = rng.normal(size=(2, 5, 8))

    @jax.jit
    @functools.partial(jax.value_and_grad, argnums=(0, 1), has_aux=True)
    def both(params, x, mask):
        y = layer.apply(params, {}, x, mask=mask)[0][0][-1, :2]
        return jnp.sin(y).sum(), y

    with jax.enable_x64(True):
        params = made(layer, rng, x)
        together = both(params, x, np.arange(5).reshape(1, -1) < np.array([[5], [2]]))
        alone = both(params, x[1:, :2], np.ones((1, 2), bool))
    (value, (gradient, dx)), alone = jax.tree.map(np.asarray, (together, alone))
    assert dx.dtype == "float64"
    chex.assert_trees_all_close((value, (gradient, dx[1:, :2])), alone, rtol=1e-12, atol=1e-12)
    assert (dx[0] == 0).all() and (dx[1, 2:] == 0).all() and (dx[1, :2] != 0).all()


def test_a_parallel_block_is_its_formula(rng):
    """`x + attention(norm(x)) + mlp(norm(x))`, in NumPy."""
    block = L.transformer_block(L.attention(2), L.mlp([12, 8]), order="parallel")
    x = rng.normal(size=(2, 5, 8)).astype("float32")
    params = made(block, rng, x)
    dense = lambda x, own: x @ own["kernel"] + own["bias"]
    norm, projections, (up, down) = params["attention_norm"], params["attention"], (params["mlp"][name] for name in "01")
    normed = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * norm["scale"] + norm["bias"]
    query, keys, values = (dense(normed, projections[name]).reshape(2, 5, 2, 4) for name in ("query", "key", "value"))
    parts = np.exp(np.einsum("bthd,bshd->bhts", query, keys) / 2)
    mixed = np.einsum("bhts,bshd->bthd", parts / parts.sum(-1, keepdims=True), values).reshape(x.shape)
    (y, _), _ = jax.jit(block.apply)(params, {}, x)
    assert_close(y, x + dense(mixed, projections["out"]) + dense(np.maximum(dense(normed, up), 0), down))


def test_dropped_weights(headed, key):
    @jax.jit
    def outcomes(key, *headed):
        attention = functools.partial(functional.attention, *headed, return_weights=True)
        return attention(), attention(rate=0.5, key=key), attention(rate=0.0, key=jax.random.clone(key))

    (plain, (_, weights), kept) = jax.tree.map(np.asarray, outcomes(key, *headed))
    assert ((weights == 0) | (abs(weights - 2 * plain[1]) < 1e-6)).all()
    assert 0 < (weights == 0).mean() < 1
    assert_close(kept, plain)


DECODERS = {
    "all": (L.attention(4, kv_heads=2, causal=True, rope=functional.rope, position_bias=L.relative_position_bias(4)), 10),
    "window": (L.attention(4, kv_heads=2, causal=True, rope=functional.rope, window=3), 3),
    "window_with_room": (L.attention(4, kv_heads=2, causal=True, window=3), 5),
}


@pytest.mark.parametrize("name", DECODERS)
def test_decoding_in_any_split_is_attention_to_all(name, rng):
    layer, capacity = DECODERS[name]
    x, apply = rng.normal(size=(2, 10, 16)).astype("float32"), jax.jit(layer.apply)
    params = made(layer, rng, x)
    (whole, _), _ = apply(params, {}, x)
    for split in ((10,), (1,) * 10, (4, 1, 1, 4), (1, 4, 4, 1)):
        cache, outputs, start = functional.attention_cache(2, capacity, 2, 4), [], 0
        for length in split:
            (output, cache), _ = apply(params, {}, x[:, start : start + length], cache=cache)
            outputs.append(output)
            start += length
        np.testing.assert_allclose(np.concatenate(outputs, 1), whole, rtol=1e-5, atol=1e-5, err_msg=f"{split}")


def test_samples_of_different_lengths_share_a_cache(rng):
    layer, _ = DECODERS["all"]
    x, lengths = rng.normal(size=(2, 10, 16)).astype("float32"), np.array([4, 7])
    params, following = made(layer, rng, x), np.stack([x[0, 4:7], x[1, 7:10]])

    @jax.jit
    def decode(params, x, following):
        apply = lambda *args, **named: layer.apply(params, {}, *args, **named)[0]
        _, cache = apply(x[:, :7], cache=functional.attention_cache(2, 12, 2, 4), lengths=lengths)
        return cache["length"], apply(following, cache=cache)[0], apply(x)[0]

    filled, output, whole = map(np.asarray, decode(params, x, following))
    assert filled.tolist() == [4, 7]
    for i, n in enumerate(lengths):
        np.testing.assert_allclose(output[i], whole[i, n : n + 3], rtol=1e-5, atol=1e-5)


def test_a_full_cache_is_an_error_or_nan():
    new = np.ones((2, 3, 1, 2), "float32")

    @jax.jit
    def extended(cache, lengths):
        (keys, values, positions), cache = functional.extend_cache(cache, new, new, lengths=lengths)
        return keys, functional.attention(new, keys, values, positions=(positions[:, :3], positions)), cache

    _, _, cache = extended(functional.attention_cache(2, 4, 1, 2), np.array([3, 3]))
    with pytest.raises(ValueError, match=r"extend_cache: the cache holds 4 positions, found 6 at index \[0\]"):
        functional.extend_cache(cache, new, new)
    keys, output, _ = jax.tree.map(np.asarray, extended(cache, np.array([1, 2])))
    assert np.isfinite(keys[0]).all() and np.isnan(output[1]).all()


def test_rope_knows_distances_alone(rng):
    """Of a query and keys, as two heads, at places and a hundred later."""
    x = np.broadcast_to(rng.normal(size=(1, 5, 2, 8)).astype("float32"), (2, 5, 2, 8))
    places = np.arange(5) + np.array([[0], [100]])
    cases = ({}, {"interleaved": True}, {"share": 0.5}, {"interpolate": 4.0}, {"interpolate": 4.0, "original_length": 16})
    shuffled = np.concatenate([x[..., ::2], x[..., 1::2]], -1)

    @jax.jit
    def turn(x, shuffled):
        by_case = [functional.rope(x, places, **options) for options in cases]
        return by_case, functional.rope(shuffled, places), functional.rope(x, 4 * places, interpolate=4.0)

    by_case, turned, interpolated = jax.tree.map(np.asarray, turn(x, shuffled))
    for options, found in zip(cases, by_case):
        products = np.einsum("btd,bsd->bts", found[:, :, 0], found[:, :, 1])
        np.testing.assert_allclose(*products, atol=2e-4, err_msg=f"{options}")
        np.testing.assert_allclose(np.linalg.norm(found, axis=-1), np.linalg.norm(x, axis=-1), rtol=1e-5, err_msg=f"{options}")
    np.testing.assert_allclose(by_case[1], np.stack(np.split(turned, 2, -1), -1).reshape(x.shape), atol=1e-6)
    assert_close(interpolated, by_case[0])


def test_rope_turns_by_the_formula():
    place, pair, pairs = np.array([[3]]), np.array([1.0, 0.0], "float32"), np.array([0.0, 1.0, 0.0, 0.0], "float32")
    turn = jax.jit(lambda *xs: [functional.rope(x.reshape(1, 1, 1, -1), place).ravel() for x in xs])
    turned, second = turn(pair, pairs)
    np.testing.assert_allclose(turned, [math.cos(3), math.sin(3)], rtol=1e-6)
    np.testing.assert_allclose(second, [0, math.cos(0.03), 0, math.sin(0.03)], rtol=1e-6)


def test_frequencies_of_rope_are_those_of_the_papers():
    """For sequences four times as long as in training: all divided by that, of a larger base, and by parts."""
    pairs, base, longer, trained = 32, 10_000.0, 4.0, 512

    def by_parts(rate):  # in the paper's words
        wavelength = 2 * math.pi / rate
        turns = trained / wavelength
        gamma = 0 if turns < 1 else 1 if turns > 32 else (turns - 1) / (32 - 1)
        return gamma, (1 - gamma) * rate / longer + gamma * rate

    rates = [base ** (-2 * pair / (2 * pairs)) for pair in range(pairs)]
    gammas, ramp = zip(*map(by_parts, rates))
    assert gammas[0] == 1 and gammas[-1] == 0 and sum(0 < gamma < 1 for gamma in gammas) > 5
    larger = base * longer ** (2 * pairs / (2 * pairs - 2))
    cases = [
        ({}, rates),
        ({"interpolate": longer}, [rate / longer for rate in rates]),
        ({"base": larger}, [rate * longer ** (-pair / (pairs - 1)) for pair, rate in enumerate(rates)]),
        ({"interpolate": longer, "original_length": trained}, ramp),
    ]
    x, place = np.repeat(np.array([1, 0], "float32"), pairs).reshape(1, 1, 1, -1), np.array([[1]])
    turned = jax.jit(lambda x, place: [functional.rope(x, place, **options).ravel() for options, _ in cases])(x, place)
    for (options, expected), found in zip(cases, turned, strict=True):
        cos, sin = np.split(np.asarray(found), 2)
        np.testing.assert_allclose(np.arctan2(sin, cos), expected, rtol=1e-5, err_msg=f"{options}")


def test_slopes_of_alibi_are_those_of_the_paper():
    places = np.arange(2).reshape(1, -1)
    biases = jax.jit(lambda places: [functional.alibi(places, places, heads) for heads in (8, 3)])(places)
    eight, three = (-np.asarray(bias)[0, :, 1, 0] for bias in biases)
    assert eight.tolist() == [2.0**-i for i in range(1, 9)]
    assert three.tolist() == [2.0**-4, 2.0**-8, 2.0**-2]


def test_buckets_by_a_loop_over_distances():
    def bucket(distance, buckets, longest, causal):  # of a query `distance` after the key
        offset = 0
        if not causal:
            buckets //= 2
            offset = buckets if distance < 0 else 0
        distance = max(distance, 0) if causal else abs(distance)
        exact = buckets // 2
        if distance < exact:
            return offset + distance
        step = math.log(distance / exact) / math.log(longest / exact) * (buckets - exact)
        return offset + min(exact + int(step + 1e-9), buckets - 1)

    places = np.arange(40).reshape(1, -1)
    buckets = functools.partial(functional.relative_buckets, buckets=16, longest=37)
    found = jax.jit(lambda places: [buckets(places, places, causal=causal)[0] for causal in (False, True)])(places)
    for causal in (False, True):
        expected = [[bucket(query - key, 16, 37, causal) for key in range(40)] for query in range(40)]
        assert found[causal].tolist() == expected


def test_sinusoidal_positions():
    @jax.jit
    def positions(places):
        return functional.sinusoidal(places, 6), functional.sinusoidal(places, 4), functional.sinusoidal_grid((3, 4), 8)

    waves, narrow, grid = map(np.asarray, positions(np.arange(5)))
    for position, pair in np.ndindex(5, 3):
        angle = position / 10_000 ** (pair / 3)
        np.testing.assert_allclose(waves[position, [pair, pair + 3]], [math.sin(angle), math.cos(angle)], atol=1e-6)
    np.testing.assert_allclose(grid[2, 1], np.concatenate([narrow[2], narrow[1]]), atol=1e-6)


def test_repeated_blocks_with_caches_are_a_loop(rng):
    block = L.transformer_block(L.attention(2, causal=True), L.mlp([12, 8]), cross=L.attention(2))
    x, memory = (rng.normal(size=(2, n, 8)).astype("float32") for n in (4, 3))
    deep = L.repeat(L.remat(block), 3, scanned=("cache",))
    params = made(deep, rng, x, memory)
    apply, apply_block = jax.jit(deep.apply), jax.jit(block.apply)
    (whole, _), _ = apply(params, {}, x, memory)
    y = x
    for i in range(3):
        (y, _), _ = apply_block(jax.tree.map(lambda a, i=i: a[i], params), {}, y, memory)
    np.testing.assert_allclose(whole, y, rtol=1e-5, atol=1e-5)
    empty = functional.attention_cache(2, 4, 2, 4)
    caches = jax.tree.map(lambda a: np.stack([a] * 3), empty)
    outputs = []
    for start in (0, 2):
        (output, caches), _ = apply(params, {}, x[:, start : start + 2], memory, cache=caches)
        outputs.append(output)
    np.testing.assert_allclose(np.concatenate(outputs, 1), whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: functional.attention(x[0], x, x), ValueError, r"query must be \(batch, time, heads, width\), got float32"),
        (lambda x: functional.attention(x, x[:, :, :3], x[:, :, :3]), ValueError, "heads a multiple of those of keys"),
        (lambda x: functional.attention(x, x, x, mask=jnp.ones((3, 3), bool)), ValueError, r"\[2, 3\] or \[2, 4, 3, 3\]"),
        (lambda x: functional.attention(x, x, x, mask=jnp.ones((2, 3))), TypeError, "mask must be bools"),
        (lambda x: functional.attention(x, x, x, bias=jnp.ones((4, 3, 3))), ValueError, r"bias must be \[2, 4, 3, 3\]"),
        (lambda x: functional.attention(x, x, x, sinks=jnp.ones(3)), ValueError, "one for each of 4 heads"),
        (lambda x: functional.attention(x, x, x, window=0), ValueError, "window must be a positive integer"),
        (lambda x: functional.attention(x, x, x, rate=1.5), ValueError, "rate must be in"),
        (lambda x: functional.attention(x, x, x, backend="flash"), ValueError, "backend must be auto, xla, chunked or cudnn"),
        (lambda x: functional.rope(x, jnp.arange(3)), ValueError, r"positions must be \[2, 3\], got int32\[3\]"),
        (lambda x: functional.rope(x, jnp.ones((2, 3), int), share=0.5), ValueError, "pairs are rotated"),
        (lambda x: functional.extend_cache(functional.attention_cache(2, 2, 4, 2), x, x), ValueError, "holds 2 positions"),
        (lambda x: functional.extend_cache(functional.attention_cache(2, 3, 2, 2), x, x), ValueError, r"keys must be \[2, time"),
        (lambda x: functional.extend_cache(functional.attention_cache(2, 3, 4, 2), x, x, window=4), ValueError, "a window of 4"),
        (lambda x: L.attention(4, kv_heads=3), ValueError, "heads must be a multiple of kv_heads, got 4 and 3"),
        (lambda x: L.attention(0), ValueError, "heads must be a positive integer"),
        (lambda x: L.attention(4, rate=-0.1), ValueError, "rate must be in"),
        (
            lambda x: L.transformer_block(L.attention(2), L.mlp([8])).init(jax.random.key(0), x[..., 0]),
            ValueError,
            r"transformer_block: mlp must give as many features as float32\[2, 3, 4\] has, got float32\[2, 3, 8\]",
        ),
        (lambda x: L.transformer_block(L.attention(4), L.mlp([8]), order="mid"), ValueError, "order must be pre, post or parallel"),
        (
            lambda x: L.transformer_block(L.attention(4), L.mlp([8]), order="parallel", cross=L.attention(4)),
            ValueError,
            "a parallel block has no attention to a memory",
        ),
        (lambda x: L.relative_position_bias(4, buckets=2), ValueError, "leave no bucket"),
        (lambda x: L.remat(jnp.tanh, policy="all"), ValueError, "policy must be nothing, dots or dots_without_batch"),
        (lambda x: functional.sinusoidal(jnp.arange(3), 5), ValueError, "features must be even"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(np.ones((2, 3, 4, 2), "float32"))


def test_a_cache_is_of_x_itself(rng):
    layer, x = L.attention(2), np.ones((2, 3, 8), "float32")
    with pytest.raises(ValueError, match="can't be given with a memory"):
        layer.apply(made(layer, rng, x), {}, x, x, cache=functional.attention_cache(2, 4, 2, 4))


def test_a_memory_is_attended_to_or_refused(key):
    x, cross = np.ones((2, 3, 8), "float32"), L.transformer_block(L.attention(2, causal=True), L.mlp([8]), cross=L.attention(2))
    with pytest.raises(ValueError, match="a block with attention to a memory needs a memory; give it one, or leave cross out"):
        cross.init(key, x)
    plain = L.transformer_block(L.attention(2, causal=True), L.mlp([8]))
    with pytest.raises(ValueError, match=r"a block without attention to a memory takes no memory; build it with cross=attention\("):
        models.transformer_decoder(2, plain, head=None).init(key, x, x)
