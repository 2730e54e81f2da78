"""Attention, its caches and positions, and transformers, against loops over queries and hand-worked values."""

import functools
import math

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import assert_close

from jdl import functional
from jdl import layers as L
from jdl.functional import _attention_chunks

BATCH, TIME, MEMORY, HEADS, KV_HEADS, WIDTH = 2, 7, 9, 4, 2, 3


@pytest.fixture
def headed(rng):
    """A query, keys and values in groups."""
    shapes = (BATCH, TIME, HEADS, WIDTH), (BATCH, MEMORY, KV_HEADS, WIDTH), (BATCH, MEMORY, KV_HEADS, WIDTH)
    return tuple(jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes)


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
    for options, seen, named in cases:
        expected = by_loops(*headed, seen, **named)
        for backend in ("xla", "chunked"):
            result = functional.attention(*headed, **options, return_weights=True, backend=backend)
            for actual, wanted in zip(result, expected, strict=True):
                np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-6, err_msg=f"{options.keys()} {backend}")


def test_chunks_give_the_same_gradient(headed, rng, small_chunks):
    bias = jnp.asarray(rng.normal(size=(BATCH, 1, TIME, MEMORY)), jnp.float32)

    def loss(backend, arrays, bias):
        return jnp.sin(functional.attention(*arrays, bias=bias, causal=True, backend=backend)).sum()

    plain, chunked = (jax.jit(jax.grad(functools.partial(loss, backend), (0, 1)))(headed, bias) for backend in ("xla", "chunked"))
    assert_close(chunked, plain)


def test_chunks_take_memory_linear_in_length():
    """Of causal attention over 4,096 positions, forward and backward: an eighth of what the logits take, and less."""
    x = jax.ShapeDtypeStruct((1, 4096, 4, 32), "float32")

    def bytes_of(backend):
        loss = lambda x: functional.attention(x, x, x, causal=True, backend=backend).sum()
        return jax.jit(jax.grad(loss)).lower(x).compile().memory_analysis().temp_size_in_bytes

    assert 8 * bytes_of("chunked") < bytes_of("xla")


def test_what_is_masked_has_no_influence(headed):
    mask = jnp.arange(MEMORY).reshape(1, -1) < jnp.array([[4], [0]])  # the second sample sees nothing

    def loss(query, keys, values):
        return jnp.sin(functional.attention(query, keys, values, mask=mask)).sum()

    output = functional.attention(*headed, mask=mask)
    gradients = jax.grad(loss, (0, 1, 2))(*headed)
    assert (output[1] == 0).all() and all(jnp.isfinite(g).all() for g in gradients)
    for gradient in gradients[1:]:
        assert (gradient[0, 4:] == 0).all() and (gradient[1] == 0).all() and (gradient[0, :4] != 0).all()
    query, keys, values = headed
    cut = functional.attention(query[:1], keys[:1, :4], values[:1, :4])
    np.testing.assert_allclose(output[:1], cut, rtol=1e-5, atol=1e-6)


def test_padding_changes_nothing(key, rng):
    """A padded batch of sequences gives what each gives alone, and the same gradient of params."""
    layer = L.transformer_block(L.attention(2), L.mlp([12, 8]))
    x, lengths = rng.normal(size=(2, 5, 8)).astype("float32"), (5, 2)
    params, state = jax.jit(layer.init)(key, x)
    mask = np.arange(5).reshape(1, -1) < np.array(lengths).reshape(-1, 1)

    @jax.jit
    @jax.grad
    def gradient(params, x, mask):
        y = layer.apply(params, state, x, mask=mask)[0][0]
        return (jnp.sin(y) * jnp.expand_dims(mask, -1)).sum()

    together = gradient(params, x, mask)
    alone = [gradient(params, x[i : i + 1, :n], np.ones((1, n), bool)) for i, n in enumerate(lengths)]
    chex.assert_trees_all_close(together, jax.tree.map(lambda *g: sum(g), *alone), rtol=1e-4, atol=1e-5)


def test_dropped_weights(headed, key):
    plain = functional.attention(*headed, return_weights=True)[1]
    weights = functional.attention(*headed, return_weights=True, rate=0.5, key=key)[1]
    assert ((weights == 0) | (abs(weights - 2 * plain) < 1e-6)).all()
    assert 0 < (weights == 0).mean() < 1
    assert_close(functional.attention(*headed, rate=0.0, key=jax.random.clone(key)), functional.attention(*headed))


DECODERS = {
    "all": (L.attention(4, kv_heads=2, causal=True, rope=functional.rope, position_bias=L.relative_position_bias(4)), 10),
    "window": (L.attention(4, kv_heads=2, causal=True, rope=functional.rope, window=3), 3),
    "window_with_room": (L.attention(4, kv_heads=2, causal=True, window=3), 5),
}


@pytest.mark.parametrize("name", DECODERS)
def test_decoding_in_any_split_is_attention_to_all(name, key, rng):
    layer, capacity = DECODERS[name]
    x, apply = rng.normal(size=(2, 10, 16)).astype("float32"), jax.jit(layer.apply)
    params, state = jax.jit(layer.init)(key, x)
    (whole, _), _ = apply(params, state, x)
    for split in ((10,), (1,) * 10, (3, 4, 3), (4, 1, 1, 3, 1)):
        cache, outputs, start = functional.attention_cache(2, capacity, 2, 4), [], 0
        for length in split:
            (output, cache), _ = apply(params, state, x[:, start : start + length], cache=cache)
            outputs.append(output)
            start += length
        np.testing.assert_allclose(np.concatenate(outputs, 1), whole, rtol=1e-5, atol=1e-5, err_msg=f"{split}")


def test_samples_of_different_lengths_share_a_cache(key, rng):
    layer, _ = DECODERS["all"]
    x, lengths, apply = rng.normal(size=(2, 10, 16)).astype("float32"), (4, 7), jax.jit(layer.apply)
    params, state = jax.jit(layer.init)(key, x)
    cache = functional.attention_cache(2, 12, 2, 4)
    (_, cache), _ = apply(params, state, x[:, :7], cache=cache, lengths=np.array(lengths))
    assert cache["length"].tolist() == [4, 7]
    following = np.stack([x[i, n : n + 3] for i, n in enumerate(lengths)])
    (output, cache), _ = apply(params, state, following, cache=cache)
    (whole, _), _ = apply(params, state, x)
    for i, n in enumerate(lengths):
        np.testing.assert_allclose(output[i], whole[i, n : n + 3], rtol=1e-5, atol=1e-5)


def test_a_full_cache_is_an_error_or_nan():
    new = jnp.ones((2, 3, 1, 2))
    _, cache = functional.extend_cache(functional.attention_cache(2, 4, 1, 2), new, new)
    with pytest.raises(ValueError, match=r"extend_cache: the cache holds 4 positions, found 6 at index \[0\]"):
        functional.extend_cache(cache, new, new)
    (keys, _, positions), _ = jax.jit(functional.extend_cache)(cache, new, new, lengths=jnp.array([1, 2]))
    assert (
        jnp.isfinite(keys[0]).all()
        and jnp.isnan(functional.attention(new, keys, keys, positions=(positions[:, :3], positions))[1]).all()
    )


def test_rope_knows_distances_alone(rng):
    query, keys = jnp.asarray(rng.normal(size=(2, 1, 5, 1, 8)), jnp.float32)
    places = jnp.arange(5).reshape(1, -1)
    for options in ({}, {"interleaved": True}, {"share": 0.5}, {"interpolate": 4.0}, {"interpolate": 4.0, "original_length": 16}):
        turn = functools.partial(functional.rope, **options)
        products = [jnp.einsum("bthd,bshd->ts", turn(query, places + n), turn(keys, places + n)) for n in (0, 100)]
        np.testing.assert_allclose(*products, atol=2e-4)
        np.testing.assert_allclose(jnp.linalg.norm(turn(query, places), axis=-1), jnp.linalg.norm(query, axis=-1), rtol=1e-5)
    shuffled = jnp.concatenate([query[..., ::2], query[..., 1::2]], -1)
    turned = functional.rope(shuffled, places)
    expected = jnp.stack(jnp.split(turned, 2, -1), -1).reshape(query.shape)
    np.testing.assert_allclose(functional.rope(query, places, interleaved=True), expected, atol=1e-6)
    assert_close(functional.rope(query, 4 * places, interpolate=4.0), functional.rope(query, places))


def test_rope_turns_by_the_formula():
    x = jnp.array([1.0, 0.0]).reshape(1, 1, 1, 2)
    turned = functional.rope(x, jnp.array([[3]])).ravel()
    np.testing.assert_allclose(turned, [math.cos(3), math.sin(3)], rtol=1e-6)
    second = functional.rope(jnp.array([0.0, 1.0, 0.0, 0.0]).reshape(1, 1, 1, 4), jnp.array([[3]])).ravel()
    np.testing.assert_allclose(second, [0, math.cos(0.03), 0, math.sin(0.03)], rtol=1e-6)


def test_slopes_of_alibi_are_those_of_the_paper():
    places = jnp.arange(2).reshape(1, -1)
    slopes = lambda heads: (-functional.alibi(places, places, heads)[0, :, 1, 0]).tolist()
    assert slopes(8) == [2.0**-i for i in range(1, 9)]
    assert slopes(3) == [2.0**-4, 2.0**-8, 2.0**-2]


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

    places = jnp.arange(40).reshape(1, -1)
    for causal in (True, False):
        found = functional.relative_buckets(places, places, buckets=16, longest=37, causal=causal)[0]
        expected = [[bucket(query - key, 16, 37, causal) for key in range(40)] for query in range(40)]
        assert found.tolist() == expected


def test_sinusoidal_positions():
    waves = functional.sinusoidal(jnp.arange(5), 6)
    for position, pair in np.ndindex(5, 3):
        angle = position / 10_000 ** (pair / 3)
        np.testing.assert_allclose(waves[position, [pair, pair + 3]], [math.sin(angle), math.cos(angle)], atol=1e-6)
    grid = functional.sinusoidal_grid((3, 4), 8)
    np.testing.assert_allclose(grid[2, 1], jnp.concatenate([functional.sinusoidal(jnp.array(i), 4) for i in (2, 1)]), atol=1e-6)


def test_repeated_blocks_with_caches_are_a_loop(key, rng):
    block = L.transformer_block(L.attention(2, causal=True), L.mlp([12, 8]), cross=L.attention(2))
    x, memory = (rng.normal(size=(2, n, 8)).astype("float32") for n in (4, 3))
    deep = L.repeat(L.remat(block), 3, scanned=("cache",))
    params, state = deep.init(key, x, memory)
    apply, apply_block = jax.jit(deep.apply), jax.jit(block.apply)
    (whole, _), _ = apply(params, state, x, memory)
    y = x
    for i in range(3):
        (y, _), _ = apply_block(jax.tree.map(lambda a, i=i: np.asarray(a)[i], params), {}, y, memory)
    np.testing.assert_allclose(whole, y, rtol=1e-5, atol=1e-5)
    empty = functional.attention_cache(2, 4, 2, 4)
    caches = jax.tree.map(lambda a: jnp.broadcast_to(a, (3, *a.shape)), empty)
    outputs = []
    for start, stop in ((0, 3), (3, 4)):
        (output, caches), _ = apply(params, state, x[:, start:stop], memory, cache=caches)
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
        (lambda x: functional.attention(x, x, x, backend="flash"), ValueError, "backend must be auto, xla or chunked"),
        (lambda x: functional.rope(x, jnp.arange(3)), ValueError, r"positions must be \[2, 3\], got int32\[3\]"),
        (lambda x: functional.rope(x, jnp.ones((2, 3), int), share=0.5), ValueError, "pairs are rotated"),
        (lambda x: functional.extend_cache(functional.attention_cache(2, 2, 4, 2), x, x), ValueError, "holds 2 positions"),
        (lambda x: functional.extend_cache(functional.attention_cache(2, 3, 2, 2), x, x), ValueError, r"keys must be \[2, time"),
        (lambda x: functional.extend_cache(functional.attention_cache(2, 3, 4, 2), x, x, window=4), ValueError, "a window of 4"),
        (lambda x: L.attention(4, kv_heads=3), ValueError, "heads must be a multiple of kv_heads, got 4 and 3"),
        (lambda x: L.attention(0), ValueError, "heads must be a positive integer"),
        (lambda x: L.attention(4, rate=-0.1), ValueError, "rate must be in"),
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
        call(jnp.ones((2, 3, 4, 2)))


def test_a_cache_is_of_x_itself(key):
    layer, x = L.attention(2), jnp.ones((2, 3, 8))
    params, state = layer.init(key, x)
    with pytest.raises(ValueError, match="can't be given with a memory"):
        layer.apply(params, state, x, x, cache=functional.attention_cache(2, 4, 2, 4))
