"""Mixtures of experts, against a loop over tokens and experts, and hand-worked values."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import assert_close, assert_equal

from jdl import functional
from jdl import layers as L

BATCH, TIME, FEATURES, EXPERTS = 3, 8, 6, 4


@pytest.fixture
def x(rng):
    return rng.normal(size=(BATCH, TIME, FEATURES)).astype("float32")


@pytest.fixture
def mask(rng):
    return rng.random((BATCH, TIME)) < 0.7


def made(layer, rng, *inputs):
    """Params of normal numbers, as NumPy's arrays, which compile nothing."""
    params, _ = jax.eval_shape(layer.init, jax.random.key(0), *inputs)
    return jax.tree.map(lambda a: rng.normal(size=a.shape).astype(a.dtype), params)


def by_loops(params, x, mask, k, capacity, normalize):
    """The output and the statistics, in NumPy, a token at a time."""
    logits = x.astype("float64") @ params["router"]["kernel"]
    probabilities = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    order = np.argsort(-logits, axis=-1, kind="stable")[..., :k]
    y, dropped, used = np.zeros((BATCH, TIME, FEATURES)), 0, np.zeros(EXPERTS, int)
    for b in range(BATCH):
        taken = np.zeros(EXPERTS, int)
        for i, t in np.ndindex(k, TIME):  # first choices of all tokens before second ones
            if not mask[b, t]:
                continue
            e = order[b, t, i]
            used[e] += 1
            taken[e] += 1
            if taken[e] > capacity:
                dropped += 1
                continue
            gate = probabilities[b, t, e] / (probabilities[b, t, order[b, t]].sum() if normalize else 1)
            first, second = (params["experts"][name] for name in "01")
            hidden = np.maximum(x[b, t] @ first["kernel"][e] + first["bias"][e], 0)
            y[b, t] += gate * (hidden @ second["kernel"][e] + second["bias"][e])
    y += np.where(mask[..., None], x @ params["shared"]["kernel"], 0)
    balance = EXPERTS * (used / used.sum() * probabilities[mask].mean(0)).sum()
    z = (np.log(np.exp(logits).sum(-1)) ** 2)[mask].mean()
    return y, {"load_balance": balance, "z": z, "dropped": dropped / used.sum(), "tokens_per_expert": used}


@pytest.mark.parametrize(
    ("k", "capacity_factor", "capacity", "normalize"),
    [(2, None, TIME, None), (2, EXPERTS, TIME, False), (2, 0.7, 3, None), (1, 0.6, 2, None)],
)
def test_a_mixture_is_what_a_loop_over_tokens_says(k, capacity_factor, capacity, normalize, rng, x, mask):
    shared = L.dense(FEATURES, bias=False)
    layer = L.mixture_of_experts(
        L.mlp([5, FEATURES]), EXPERTS, k=k, capacity_factor=capacity_factor, normalize=normalize, shared=shared
    )
    params = made(layer, rng, x)
    expected, statistics = by_loops(params, x, mask, k, capacity, k > 1 if normalize is None else normalize)
    (y, info), _ = jax.jit(layer.apply)(params, {}, x, mask=mask)
    assert_close(y, expected.astype("float32"))
    assert info["tokens_per_expert"].tolist() == statistics["tokens_per_expert"].tolist()
    for name in ("load_balance", "z", "dropped"):
        np.testing.assert_allclose(info[name], statistics[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_capacity_is_not_rounded_up_for_what_floats_add(rng):
    """All 50 tokens choose the first two of ten experts, which take 1.1 * 2 * 50 / 10 = 11 each."""
    layer, x = L.mixture_of_experts(jnp.tanh, 10, capacity_factor=1.1), np.ones((1, 50, 3), "float32")
    params = {"router": {"kernel": -np.broadcast_to(np.arange(10, dtype="float32"), (3, 10))}, "experts": {}}
    (_, info), _ = jax.jit(layer.apply)(params, {}, x)
    np.testing.assert_allclose(info["dropped"], 1 - 22 / 100, rtol=1e-6)


@pytest.mark.parametrize("capacity_factor", [None, 2.0])
def test_no_tokens_give_nothing(capacity_factor, rng):
    layer = L.mixture_of_experts(L.dense(5), EXPERTS, capacity_factor=capacity_factor)
    params = made(layer, rng, np.zeros((1, 1, FEATURES), "float32"))
    for shape in ((2, 0, FEATURES), (0, 3, FEATURES)):
        y, info = jax.jit(layer.apply)(params, {}, np.zeros(shape, "float32"))[0]
        assert y.shape == (*shape[:2], 5) and info["dropped"] == 0 and info["load_balance"] == 0


def test_later_tokens_and_second_choices_are_dropped():
    chosen = jnp.array([[0, 1], [0, 1], [1, 0], [0, 1], [2, 2]])  # the last is sent nowhere
    slots = jax.jit(functional.expert_slots, static_argnums=(1, 2))(chosen, 2, 2)
    assert slots.tolist() == [
        [0, 3],
        [1, 4],
        [2, 4],
        [4, 4],
        [4, 4],
    ]


@pytest.mark.parametrize("tokens", [1, 3, 40])
def test_blocks_hold_all_tokens_however_they_choose(tokens, rng):
    blocks_of = jax.jit(functools.partial(functional.expert_blocks, experts=EXPERTS))
    even = np.argsort(rng.random((tokens, EXPERTS)))[:, :2]
    alike = np.broadcast_to([2, 1], (tokens, 2))
    some_nowhere = np.where(rng.random((tokens, 1)) < 0.5, even, EXPERTS)
    for chosen in (even, alike, some_nowhere):
        slots, of = map(np.asarray, blocks_of(jnp.asarray(chosen, jnp.int32)))
        size = -(-tokens * 2 // (2 * EXPERTS))
        there = chosen < EXPERTS
        assert (of[slots[there] // size] == chosen[there]).all()
        assert len(set(slots[there])) == there.sum() and (slots[~there] == len(of) * size).all()
        assert len(of) * size <= 1.5 * tokens * 2 + size * EXPERTS and len(of) <= tokens * 2


def test_one_expert_is_a_plain_mlp(rng, x):
    expert = L.mlp([5, FEATURES])
    layer = L.mixture_of_experts(expert, 1, k=1)
    params = made(layer, rng, x)

    @jax.jit
    def both(params, x):
        alone = expert.apply(jax.tree.map(lambda a: a[0], params["experts"]), {}, x)[0]
        return layer.apply(params, {}, x)[0], alone

    (y, info), expected = both(params, x)
    assert_close(y, expected)
    assert info["dropped"] == 0 and info["load_balance"] == 1


def test_experts_differ_at_first(key, x):
    params, _ = jax.jit(L.mixture_of_experts(L.dense(2), 3).init)(key, x)
    kernels = np.asarray(params["experts"]["kernel"])
    assert kernels.shape == (3, FEATURES, 2) and (kernels[0] != kernels[1]).all() and (kernels[1] != kernels[2]).all()


def test_balance_is_1_where_experts_are_used_alike_and_grows():
    """To the number of experts where all tokens choose one, with its probability 1."""
    choices = jnp.array([[0, 1], [1, 2], [2, 3], [3, 0]])
    balance = jax.jit(jax.value_and_grad(functional.load_balance))
    assert balance(jnp.zeros((4, 4)), choices)[0] == 1
    sure = jnp.array([[100.0, 0, 0, 0]] * 4)
    np.testing.assert_allclose(balance(sure, jnp.zeros((4, 2), int))[0], 4, rtol=1e-6)
    value, gradient = balance(jnp.full((4, 4), jnp.nan), jnp.full((4, 2), 4))
    assert value == 0 and (gradient == 0).all()


@pytest.mark.parametrize("capacity_factor", [None, 0.7])
def test_what_is_masked_has_no_influence(capacity_factor, rng, x, mask):
    layer = L.mixture_of_experts(L.mlp([5, FEATURES]), EXPERTS, capacity_factor=capacity_factor, shared=L.dense(FEATURES))
    params = made(layer, rng, x)

    @jax.jit
    @functools.partial(jax.value_and_grad, argnums=(0, 1), has_aux=True)
    def loss(params, x, mask):
        (y, info), _ = layer.apply(params, {}, x, mask=mask)
        return jnp.sin(y).sum() + info["load_balance"] + info["z"], (y, info)

    here = mask[..., None]
    (_, (y, _)), (_, gradient) = result = loss(params, x, mask)
    assert (np.asarray(y) == 0)[~mask].all() and (np.asarray(gradient) == 0)[~mask].all()
    assert (np.asarray(gradient) != 0)[mask].any()
    for other in (np.nan, 7.0):
        assert_equal(loss(params, np.where(here, x, np.float32(other)), mask), result)
    (value, (_, info)), gradients = loss(params, x, np.zeros_like(mask))
    assert value == 0 and info["dropped"] == 0 and all((g == 0).all() for g in jax.tree.leaves(gradients))


def test_gates_of_a_router():
    logits = jnp.array([2.0, 0.0, 2.0, 1.0])
    weights = np.exp(logits) / np.exp(logits).sum()
    gates, chosen = functional.top_k_router(logits, 3)
    assert chosen.tolist() == [0, 2, 3]  # of equal ones the first
    np.testing.assert_allclose(gates, weights[chosen] / weights[chosen].sum(), rtol=1e-6)
    np.testing.assert_allclose(functional.top_k_router(logits, 3, normalize=False)[0], weights[chosen], rtol=1e-6)
    np.testing.assert_allclose(functional.top_k_router(logits, 1)[0], weights[:1], rtol=1e-6)


def test_the_mask_of_a_router_may_be_a_list():
    gates, chosen = functional.top_k_router(jnp.array([[1.0, 0.0], [1.0, 0.0]]), 1, normalize=True, mask=[True, False])
    assert gates.tolist() == [[1.0], [0.0]] and chosen.tolist() == [[0], [2]]


def test_noise_spreads_tokens_in_training(key, rng):
    """With a router of zeros all go to the first expert, but noise sends as many to each."""
    x, (tokens, experts) = rng.normal(size=(1, 2000, 3)).astype("float32"), (2000, EXPERTS)
    layer = L.mixture_of_experts(jnp.negative, experts, k=1, noise=True)
    params = {name: {"kernel": np.zeros((3, experts), "float32")} for name in ("router", "noise")}
    used = jax.jit(lambda **named: layer.apply(params, {}, x, **named)[0][1]["tokens_per_expert"], static_argnames="train")
    assert used().tolist() == [tokens] + [0] * (experts - 1)
    spread = math.sqrt(tokens / experts * (1 - 1 / experts))
    assert (abs(used(key=key, train=True) - tokens / experts) < 6 * spread).all()


def test_jitter_is_evenly_distributed(key):
    factors = functional.router_jitter(key, jnp.ones(10_000), 0.5)
    assert 0.5 <= factors.min() < 0.51 and 1.49 < factors.max() <= 1.5
    assert abs(factors.mean() - 1) < 6 * 0.5 / math.sqrt(3 * 10_000)


def test_experts_in_repeated_blocks(rng, x, mask):
    """The block hands statistics on beside its cache, and the mask to its experts."""
    block = L.transformer_block(L.attention(2), L.mixture_of_experts(L.dense(FEATURES), EXPERTS))
    deep = L.repeat(block, 2, scanned=("cache",))
    params = made(deep, rng, x)
    (y, (cache, info)), _ = jax.jit(deep.apply)(params, {}, x, mask=mask, mlp_mask=mask)
    assert y.shape == x.shape and cache is None and info["z"].shape == (2,)
    assert info["tokens_per_expert"].sum(1).tolist() == [2 * mask.sum()] * 2


def test_experts_in_a_parallel_block(rng, x):
    block = L.transformer_block(L.attention(2), L.mixture_of_experts(jnp.tanh, 2), order="parallel")
    (y, (cache, info)), _ = jax.eval_shape(block.apply, made(block, rng, x), {}, x)
    assert y.shape == x.shape and cache is None and info["z"].shape == ()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: L.mixture_of_experts(jnp.tanh, 2, k=3), ValueError, "k must be at most the number of experts, got 3 of 2"),
        (lambda x: L.mixture_of_experts(jnp.tanh, 0), ValueError, "experts must be a positive integer"),
        (lambda x: L.mixture_of_experts(jnp.tanh, 2, capacity_factor=0.0), ValueError, "capacity_factor must be above 0"),
        (lambda x: L.mixture_of_experts(jnp.tanh, 2, jitter=-0.1), ValueError, r"jitter must be in \[0, 1\]"),
        (lambda x: L.mixture_of_experts(L.batch_norm(), 2).init(jax.random.key(0), x), ValueError, "experts can't have state"),
        (lambda x: L.mixture_of_experts(3, 2), TypeError, "expert must be a Layer"),
        (
            lambda x: L.mixture_of_experts(jnp.tanh, 2).init(jax.random.key(0), x, mask=jnp.ones((2, 2), bool)),
            ValueError,
            "mask must have the shape of x without channels",
        ),
        (lambda x: functional.top_k_router(x, 5), ValueError, "k must be at most the number of experts, got 5 of 4"),
        (lambda x: functional.top_k_router(x, 0), ValueError, "k must be a positive integer"),
        (lambda x: functional.top_k_router(x, 1, mask=jnp.ones(3, bool)), ValueError, r"mask must be \[2, 3\], got bool\[3\]"),
        (lambda x: functional.top_k_router(x, 1, mask=jnp.ones((2, 3))), TypeError, "mask must be bools"),
        (lambda x: functional.router_jitter(jax.random.key(0), x, 1.5), ValueError, r"jitter must be in \[0, 1\]"),
        (lambda x: functional.load_balance(x, jnp.zeros((3, 1), int)), ValueError, r"logits must be \(..., experts\)"),
        (lambda x: functional.expert_slots(jnp.zeros((3, 1), int), 2, 0), ValueError, "capacity must be a positive integer"),
        (lambda x: functional.expert_blocks(x, 2), ValueError, r"chosen must be \(tokens, k\) integers, got float32"),
        (lambda x: functional.dispatch(x, jnp.zeros((3, 1), int), 2), ValueError, r"x must be \(tokens, features\)"),
        (lambda x: functional.combine(x, jnp.zeros((3, 1), int), jnp.zeros((3, 2))), ValueError, r"y must be \(size, features\)"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(jnp.ones((2, 3, 4)))
