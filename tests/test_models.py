"""Transformers: caches against full attention, what architectures are made of, and errors."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jdl import functional, models
from jdl import layers as L

VOCABULARY, DEPTH, TIME = 11, 2, 9


def gpt(**options):
    block = L.transformer_block(L.attention(2, causal=True), L.mlp([12, 8], activation=jax.nn.gelu))
    options = {"embedding": L.embedding(VOCABULARY, 8), "positions": L.embedding(16, 8), **options}
    return models.transformer_decoder(DEPTH, block, **options)


def llama():
    attention = L.attention(4, kv_heads=2, causal=True, rope=functional.rope, bias=False)
    block = L.remat(L.transformer_block(attention, L.swiglu(12), norm=L.rms_norm()), policy="dots")
    head = L.dense(VOCABULARY, bias=False)
    return models.transformer_decoder(DEPTH, block, embedding=L.embedding(VOCABULARY, 16), norm=L.rms_norm(), head=head)


def t5():
    """One embedding for source, target and output."""
    attend = functools.partial(L.attention, 2, bias=False)
    bias = functools.partial(L.relative_position_bias, 2, buckets=8, longest=16)
    reading = L.transformer_block(attend(position_bias=bias()), L.geglu(12), norm=L.rms_norm())
    causal = attend(position_bias=bias(causal=True), causal=True)
    writing = L.transformer_block(causal, L.geglu(12), cross=attend(), norm=L.rms_norm())

    @L.compose(
        embedding=L.embedding(VOCABULARY, 8),
        encoder=models.transformer_encoder(DEPTH, reading, norm=L.rms_norm()),
        decoder=models.transformer_decoder(DEPTH, writing, norm=L.rms_norm(), head=None),
    )
    def forward(net, source, target, *, mask=None, cache=None):
        memory = net.encoder(net.embedding(source), mask=mask)
        x, cache = net.decoder(net.embedding(target), memory, memory_mask=mask, cache=cache)
        return functional.attend(x, net.params["embedding"]["embedding"]), cache

    return forward


def tokens(rng, *shape):
    return rng.integers(VOCABULARY, size=shape).astype("int32")


def drawn(rng, model, *inputs):
    """Params of NumPy's normal numbers, for which nothing is compiled."""
    params, _ = jax.eval_shape(model.init, jax.random.key(0), *inputs)
    return jax.tree.map(lambda a: rng.normal(size=a.shape, scale=a.shape[-1] ** -0.5).astype(a.dtype), params)


def test_cached_decoding_in_any_split_is_full_attention(rng):
    model, ids = llama(), tokens(rng, 2, TIME)
    params, apply = drawn(rng, model, ids), jax.jit(model.apply)
    (whole, none), _ = apply(params, {}, ids)
    assert none is None and whole.shape == (2, TIME, VOCABULARY)
    for split in ((4, 1, 4), (1, 4, 4), (1,) * TIME):
        cache, outputs, start = models.decoder_cache(DEPTH, 2, 12, heads=2, width=4), [], 0
        for length in split:
            (logits, cache), _ = apply(params, {}, ids[:, start : start + length], cache=cache)
            outputs.append(logits)
            start += length
        np.testing.assert_allclose(np.concatenate(outputs, 1), whole, rtol=1e-5, atol=1e-5, err_msg=f"{split}")
        assert (np.asarray(cache["length"]) == TIME).all()


def test_prompts_of_different_lengths_share_a_cache(rng):
    """Learnt positions, and the last logits, are those of each sample."""
    model, ids, lengths = gpt(), tokens(rng, 2, TIME), np.array([3, 6], np.int32)
    params = drawn(rng, model, ids)
    (whole, _), _ = jax.jit(model.apply)(params, {}, ids)
    apply = jax.jit(functools.partial(model.apply, last=True))
    (first, cache), _ = apply(params, {}, ids, cache=models.decoder_cache(DEPTH, 2, 12, 2, 4), lengths=lengths)
    (second, _), _ = apply(params, {}, np.take_along_axis(ids, lengths[:, None], 1), cache=cache)
    for i, n in enumerate(lengths):
        np.testing.assert_allclose(first[i, 0], whole[i, n - 1], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(second[i, 0], whole[i, n], rtol=1e-5, atol=1e-5)


def test_encoder_and_decoder_share_an_embedding_and_a_mask_hides_padding(rng):
    model, source, target = t5(), tokens(rng, 2, 5), tokens(rng, 2, 4)
    mask = np.arange(5).reshape(1, -1) < np.array([[5], [3]])
    params, apply = drawn(rng, model, source, target), jax.jit(model.apply)
    assert sorted(params) == ["decoder", "embedding", "encoder"] and sorted(params["decoder"]) == ["blocks", "norm"]
    (whole, _), _ = apply(params, {}, source, target, mask=mask)
    other = np.where(mask, source, (source + 1) % VOCABULARY)
    np.testing.assert_array_equal(apply(params, {}, other, target, mask=mask)[0][0], whole)
    (seen, _), _ = apply(params, {}, other, target, mask=mask | True)
    assert np.abs(seen[1] - whole[1]).max() > 1e-3
    (cached, _), _ = apply(params, {}, source, target, mask=mask, cache=models.decoder_cache(DEPTH, 2, 4, 2, 4))
    np.testing.assert_allclose(cached, whole, rtol=1e-5, atol=1e-5)


def test_a_stack_is_its_parts_in_order(rng):
    """Post-norm blocks, sinusoidal positions, a norm at the entry and a tied head, as a loop over blocks in plain calls."""
    block = L.transformer_block(L.attention(2), L.mlp([12, 8]), order="post")
    waves = functools.partial(functional.sinusoidal, features=8)
    parts = {"embedding": L.embedding(VOCABULARY, 8), "positions": waves, "entry": L.layer_norm(), "norm": lambda x: x}
    model, ids = models.transformer_encoder(DEPTH, block, **parts, head="tied"), tokens(rng, 2, 5)
    params = drawn(rng, model, ids)
    assert sorted(params) == ["blocks", "embedding", "entry"]

    @jax.jit
    def by_hand(params, ids):
        table = params["embedding"]["embedding"]
        x = table[ids] + waves(jnp.arange(5)).reshape(1, 5, 8)
        x = functional.layer_norm(x, **params["entry"])
        for i in range(DEPTH):
            (x, _), _ = block.apply(jax.tree.map(lambda a, i=i: a[i], params["blocks"]), {}, x)
        return x @ table.T

    np.testing.assert_allclose(jax.jit(model.apply)(params, {}, ids)[0], by_hand(params, ids), rtol=1e-5, atol=1e-5)


def test_bad_input(key):
    ids = np.zeros((2, 5), "int32")
    params, state = jax.eval_shape(gpt().init, key, ids)

    def apply(*inputs, **named):
        return jax.eval_shape(functools.partial(gpt().apply, **named), params, state, *inputs)

    cache = functools.partial(models.decoder_cache, batch=2, heads=2, width=4)
    for call, message in (
        (lambda: gpt(embedding=None), "a tied head needs an embedding"),
        (lambda: gpt(head="untied"), "head must be 'tied', a layer or None, got 'untied'"),
        (lambda: models.transformer_encoder(0, L.dense(3)), "transformer_encoder: depth must be a positive integer"),
        (lambda: gpt(embedding=L.chain(L.embedding(3, 8))).init(key, ids), "this embedding has none"),
        (lambda: apply(np.zeros((2, 17), "int32")), "embedding: ids must lie in 0..15, found 16"),
        (lambda: apply(ids[0]), r"transformer_decoder: x must be \(batch, time, features\)"),
        (lambda: apply(ids, cache=cache(3, capacity=8)), r"the cache of 2 blocks must have a first axis of that, got \(3,"),
        (lambda: apply(ids, cache=cache(2, capacity=4)), "the cache holds 4 positions"),
        (lambda: cache(0, capacity=4), "decoder_cache: depth must be a positive integer"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="ids must be integers, got float32"):
        gpt().init(key, np.zeros((2, 5), "float32"))


def test_what_experts_report_comes_out_and_padding_takes_no_capacity(rng):
    experts = L.mixture_of_experts(L.mlp([12, 8]), 4, k=1, capacity_factor=1.0)
    encoder = models.transformer_encoder(2, L.transformer_block(L.attention(2), experts))
    x, mask = rng.normal(size=(2, 6, 8)).astype("float32"), np.arange(6).reshape(1, -1) < np.array([[6], [3]])
    params, state = jax.jit(encoder.init)(jax.random.key(0), x)
    apply = jax.jit(lambda x: encoder.apply(params, state, x, mask=mask, mlp_mask=mask)[0])
    (y, info), (other, _) = apply(x), apply(np.where(mask[..., None], x, 7.0).astype("float32"))
    assert info["load_balance"].shape == (2,) and info["tokens_per_expert"].sum() == 2 * mask.sum()
    np.testing.assert_array_equal(np.asarray(y)[mask], np.asarray(other)[mask])

    block = L.transformer_block(L.attention(2, causal=True), L.mixture_of_experts(L.mlp([12, 8]), 4))
    decoder = models.transformer_decoder(2, block, embedding=L.embedding(VOCABULARY, 8))
    tokens, cache = np.ones((2, 3), int), models.decoder_cache(2, 2, 8, heads=2, width=4)
    params, state = jax.eval_shape(decoder.init, jax.random.key(0), tokens)
    logits, same, info = jax.eval_shape(decoder.apply, params, state, tokens, cache=cache)[0]
    assert logits.shape == (2, 3, VOCABULARY) and jax.tree.structure(same) == jax.tree.structure(cache) and "z" in info

    writing = L.transformer_block(L.attention(2), L.mlp([8]), cross=L.attention(2))
    again = L.remat(decoder)  # which takes keywords that are no arrays
    assert jax.eval_shape(lambda *x: again.apply(*x, last=True)[0], params, state, tokens)[0].shape == (2, 1, VOCABULARY)

    both = models.encoder_decoder(encoder, models.transformer_decoder(1, writing, head=None))
    params, state = jax.eval_shape(both.init, jax.random.key(0), x, x)
    _, (info,) = jax.eval_shape(both.apply, params, state, x, x)[0]
    assert info["z"].shape == (2,)
