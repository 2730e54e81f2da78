"""Attention by cuDNN: what is asked of its kernel, which XLA computes here, and the kernel itself where there is one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import assert_close

from jdl import functional, models
from jdl import layers as L
from jdl.functional import _attention_cudnn
from jdl.functional._nvidia import compute_capability

BATCH, TIME, HEADS, KV_HEADS, WIDTH = 3, 8, 4, 2, 8
MASK = np.array([[True, False] * 4, [False] * 8, [True] * 5 + [False] * 3])  # the second sample sees nothing
CASES = {
    "plain": {},
    "scale": {"scale": 0.3},
    "causal": {"causal": True},
    "window": {"causal": True, "window": 3},
    "mask": {"mask": MASK},
}


def headed(rng, batch=BATCH, time=TIME, memory=TIME, dtype="float32"):
    """A query, keys and values in groups."""
    shapes = (batch, time, HEADS, WIDTH), (batch, memory, KV_HEADS, WIDTH), (batch, memory, KV_HEADS, WIDTH)
    return tuple(jnp.asarray(rng.normal(size=shape), dtype) for shape in shapes)


@pytest.fixture
def calls(monkeypatch):
    """Calls of the kernel on a GPU that isn't there, each computed by XLA instead."""
    calls = []

    def kernel(*args, implementation, **options):
        calls.append({"implementation": implementation, **options})
        return attention(*args, implementation="xla", **options)

    attention = jax.nn.dot_product_attention
    monkeypatch.setattr(jax.nn, "dot_product_attention", kernel)
    monkeypatch.setattr(_attention_cudnn, "compute_capability", lambda: (9, 0))
    return calls


def values_and_gradients(arrays, backend, **options):
    def loss(arrays):
        y = functional.attention(*arrays, backend=backend, **options)
        return jnp.sin(y.astype("float32")).sum(), y

    return jax.jit(jax.grad(loss, has_aux=True))(arrays)


@pytest.mark.parametrize("case", CASES)
def test_what_is_asked_of_the_kernel_is_what_attention_computes(rng, calls, case):
    memory = TIME if CASES[case].get("causal") or case == "mask" else TIME + 3
    arrays = headed(rng, memory=memory, dtype="bfloat16")
    found, wanted = (values_and_gradients(arrays, backend, **CASES[case]) for backend in ("cudnn", "xla"))
    assert [call["implementation"] for call in calls] == ["cudnn"]
    assert_close(found, wanted)


@pytest.mark.parametrize("case", CASES)
def test_its_numbers_are_those_of_attention(rng, calls, case):
    """In single precision, which the kernel doesn't take but its arguments allow."""
    arrays, options = headed(rng), {"mask": None, "causal": False, "window": None, "scale": WIDTH**-0.5} | CASES[case]
    both = jax.jit(lambda f: (f(*arrays), jax.vjp(f, *arrays)[1](jnp.sin(arrays[0]))), static_argnums=0)
    assert_close(
        both(functools.partial(_attention_cudnn.fused, **options)), both(functools.partial(functional.attention, **options))
    )


def all_or_nothing(function):
    """A function that refuses a `vmap` over some of its inputs, as the kernel did up to JAX 0.11."""
    strict = jax.custom_batching.custom_vmap(function)

    @strict.def_vmap
    def rule(size, mapped, *args):
        assert all(jax.tree.leaves(mapped))
        outputs = jax.vmap(function)(*args)
        return outputs, jax.tree.map(lambda _: True, outputs)

    return strict


def test_it_is_mapped_over_some_of_its_inputs(rng, monkeypatch):
    attention = functools.partial(jax.nn.dot_product_attention, implementation="xla")

    def kernel(query, keys, values, *, implementation, query_seq_lengths, key_value_seq_lengths, **options):
        def call(query, keys, values, mine, theirs):
            lengths = {"query_seq_lengths": mine, "key_value_seq_lengths": theirs}
            return attention(query, keys, values, **lengths, **options)

        strict = jax.custom_vjp(all_or_nothing(call))
        backward = lambda args, out: jax.vjp(lambda *floats: call(*floats, *args[3:]), *args[:3])[1](out)
        strict.defvjp(lambda *args: (strict(*args), args), lambda args, out: (*all_or_nothing(backward)(args, out), None, None))
        return strict(query, keys, values, query_seq_lengths, key_value_seq_lengths)

    def gradients(function, *args):
        return jax.grad(lambda *floats: function(*floats, mask=args[3], causal=False, window=None, scale=1.0).sum(), (0, 1, 2))(
            *args[:3]
        )

    query, keys, values = headed(rng)
    monkeypatch.setattr(jax.nn, "dot_product_attention", kernel)
    for axes, args in {
        (0, None, None, None): (jnp.stack([query, 2 * query]), keys, values, MASK),
        (None, None, None, 0): (query, keys, values, np.stack([MASK, ~MASK])),
    }.items():
        fused, plain = (
            jax.jit(jax.vmap(functools.partial(gradients, function), axes))(*args)
            for function in (_attention_cudnn.fused, functional.attention)
        )
        assert_close(fused, plain)


@pytest.mark.parametrize("name, changes", {
    "single precision": {"dtype": "float32"},
    "an older GPU": {"capability": (7, 5)},
    "no GPU": {"capability": (0, 0)},
    "a width that is no multiple of 8": {"width": 12},
    "a width too large": {"width": 264},
    "a width too large for this GPU": {"width": 136, "capability": (8, 0)},
    "values of another width": {"value_width": 16},
    "more queries than keys": {"time": 9, "causal": True},
    "a window ahead": {"window": 2},
    "a mask of logits": {"mask": np.ones((1, 1, 8, 8), bool)},
    "a mask and causal": {"mask": MASK, "causal": True},
    "a traced scale": {"scale": jnp.float32(1)},
    "positions that go on": {"positions": (np.arange(8)[None] + 1, np.arange(8)[None])},
    "positions of the device": {"positions": (jnp.arange(8)[None], jnp.arange(8)[None])},
    "a bias": {"bias": np.zeros((1, 1, 8, 8), "float32")},
    "a cap": {"soft_cap": 3.0},
    "sinks": {"sinks": np.zeros(2, "float32")},
    "dropout": {"key": jax.random.key, "rate": 0.5},
    "weights": {"return_weights": True},
}.items())  # fmt: skip
def test_what_the_kernel_can_not_do_goes_elsewhere(calls, monkeypatch, name, changes):
    def attend(dtype="bfloat16", width=8, value_width=None, time=8, capability=(9, 0), key=None, **options):
        monkeypatch.setattr(_attention_cudnn, "compute_capability", lambda: capability)
        keys = jax.ShapeDtypeStruct((3, 8, 2, width), dtype)
        query = jax.ShapeDtypeStruct((3, time, 2, width), dtype)
        values = jax.ShapeDtypeStruct((3, 8, 2, value_width or width), dtype)
        options |= {} if key is None else {"key": key(0)}
        jax.eval_shape(functools.partial(functional.attention, backend="cudnn", **options), query, keys, values)

    attend(**({"width": 136} if "this GPU" in name else {}))
    assert len(calls) == 1
    attend(**changes)
    assert len(calls) == 1


def test_transformers_use_it(calls):
    """Inside `repeat` and `remat` too, since the host sees the positions of a sequence without a cache."""
    block = L.transformer_block(L.attention(2, causal=True, backend="cudnn", rope=functional.rope), L.mlp((32, 16)))
    decoder = models.transformer_decoder(2, L.remat(block), embedding=L.precision(L.embedding(11, 16), "bfloat16"))
    tokens = jax.ShapeDtypeStruct((2, 8), "int32")
    params, state = jax.eval_shape(decoder.init, jax.random.key(0), tokens)
    calls.clear()
    jax.eval_shape(decoder.apply, params, state, tokens)
    assert len(calls) == 1 and calls[0]["is_causal"]


def test_without_such_a_gpu_it_is_auto(rng):
    arrays = headed(rng)
    assert_close(*(functional.attention(*arrays, causal=True, backend=backend) for backend in ("cudnn", "auto")))


@pytest.mark.parametrize("time", [128, 192])  # gradients of masked logits are known to be NaN for 64 more than a multiple of 128
@pytest.mark.parametrize("case", ["plain", "causal", "window", "mask"])
def test_the_kernel_itself(rng, case, time):
    if compute_capability() < (8, 0):
        pytest.skip("needs an NVIDIA GPU of compute capability 8.0 or more")
    arrays = tuple(jnp.tile(a, (1, 1, 1, 8)) for a in headed(rng, time=time, memory=time, dtype="bfloat16"))
    options = CASES[case] | ({"mask": np.tile(MASK, (1, time // TIME))} if case == "mask" else {})
    assert "cudnn" in jax.jit(functools.partial(functional.attention, backend="cudnn", **options)).lower(*arrays).as_text()
    assert_close(*(values_and_gradients(arrays, backend, **options) for backend in ("cudnn", "xla")))
