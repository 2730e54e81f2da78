"""LSTMs by cuDNN: what is asked of its kernel, which a reference of it computes here, and the kernel itself where there is one."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import rnn
from tolerances import assert_close

from jdl import functional
from jdl import layers as L
from jdl.functional import _lstm_cudnn
from jdl.functional._nvidia import compute_capability

BATCH, TIME, IN, FEATURES = 3, 5, 4, 2
CASES = {
    "plain": {},
    "reverse": {"reverse": True},
    "lengths": {"lengths": np.array([5, 0, 3])},
    "reverse with lengths": {"reverse": True, "lengths": np.array([2, 5, 0])},
    "carry": {"carry": True, "lengths": np.array([0, 5, 4])},
    "no bias": {"bias": False},
}


@pytest.fixture
def calls(monkeypatch):
    """Calls of the kernel on a GPU that isn't there."""
    calls = []

    def lstm(x, h, c, weights, lengths, width, features, layers, dropout, bidirectional):
        calls.append((x.shape, dropout))
        sizes = width, features, layers, bidirectional
        parts = rnn.unpack_lstm_weights(weights, *sizes)
        return rnn.lstm_ref(x, h, c, *parts, lengths, width, features, layers, dropout, bidirectional)

    monkeypatch.setattr(rnn, "lstm", lstm)
    monkeypatch.setattr(_lstm_cudnn, "compute_capability", lambda: (9, 0))
    return calls


def normal(rng, *shape):
    return jnp.asarray(rng.normal(size=shape), "float32")


def values_and_gradients(rng, backend, bias=True, carry=False, **options):
    params = {"kernel": normal(rng, IN, 4 * FEATURES), "recurrent_kernel": normal(rng, FEATURES, 4 * FEATURES)}
    params |= {"bias": normal(rng, 4 * FEATURES)} if bias else {}
    start = (normal(rng, BATCH, FEATURES), normal(rng, BATCH, FEATURES)) if carry else None

    def loss(params, x, start):
        y, last = functional.lstm(x, **params, carry=start, backend=backend, **options)
        return sum(jnp.sin(a).sum() for a in (y, *last)), (y, last)

    return jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))(params, normal(rng, BATCH, TIME, IN), start)


@pytest.mark.parametrize("case", CASES)
def test_what_is_asked_of_the_kernel_is_what_the_loop_computes(calls, case):
    assert_close(*(values_and_gradients(np.random.default_rng(0), backend, **CASES[case]) for backend in ("cudnn", "xla")))
    assert calls == [((BATCH, TIME, IN), 0.0)]


@pytest.mark.parametrize("layer", {
    "an older cell": lambda: L.recurrent(L.gru_cell(2), backend="cudnn"),
    "peepholes": lambda: L.recurrent(L.lstm_cell(2, peephole=True), backend="cudnn"),
    "projected": lambda: L.recurrent(L.lstm_cell(2, projection=1), backend="cudnn"),
    "coupled": lambda: L.recurrent(L.lstm_cell(2, coupled=True), backend="cudnn"),
    "normalised": lambda: L.recurrent(L.lstm_cell(2, layer_norm=True), backend="cudnn"),
    "linear": lambda: L.recurrent(L.min_gru_cell(2), backend="cudnn"),
    "dropout": lambda: L.recurrent(L.lstm_cell(2), rate=0.5, backend="cudnn"),
    "zoneout": lambda: L.recurrent(L.lstm_cell(2), zoneout=0.5, backend="cudnn"),
    "rematerialised": lambda: L.recurrent(L.lstm_cell(2), remat=2, backend="cudnn"),
    "not asked for": lambda: L.recurrent(L.lstm_cell(2)),
}.values())  # fmt: skip
def test_what_the_kernel_can_not_do_goes_elsewhere(calls, layer):
    layer, x = layer(), jax.ShapeDtypeStruct((2, 3, 4), "float32")
    params, state = jax.eval_shape(layer.init, jax.random.key(0), x)
    jax.eval_shape(lambda *args: layer.apply(*args, key=jax.random.key(0), train=True), params, state, x)
    assert not calls


@pytest.mark.parametrize("x, options", [
    (jax.ShapeDtypeStruct((2, 3, 4), "bfloat16"), {}),
    (jax.ShapeDtypeStruct((2, 0, 4), "float32"), {}),
    (jax.ShapeDtypeStruct((2, 3, 4), "float32"), {"mask": np.array([[True, False, True]] * 2)}),
])  # fmt: skip
def test_nor_such_inputs(calls, x, options):
    layer = L.recurrent(L.lstm_cell(2), backend="cudnn")
    params, state = jax.eval_shape(layer.init, jax.random.key(0), x)
    jax.eval_shape(lambda params, x: layer.apply(params, state, x, **options), params, x)
    assert not calls


def test_nor_where_programs_run_elsewhere_or_products_are_too_coarse(calls, monkeypatch):
    with jax.default_matmul_precision("bfloat16"):
        values_and_gradients(np.random.default_rng(0), "cudnn")
    monkeypatch.setattr(_lstm_cudnn, "compute_capability", compute_capability)
    monkeypatch.setattr(jax, "devices", lambda *_: [types.SimpleNamespace(compute_capability="9.0")])
    assert compute_capability() == (9, 0)
    with jax.default_device(jax.local_devices(backend="cpu")[0]):
        assert compute_capability() == (0, 0)
        values_and_gradients(np.random.default_rng(0), "cudnn")
    assert not calls


def test_nor_inside_shard_map(calls):
    """Where JAX's kernel doesn't say that its results vary, so that gradients would not be summed."""
    layer, x = L.recurrent(L.lstm_cell(2), backend="cudnn"), jnp.ones((2, 3, 4))
    params, state = layer.init(jax.random.key(0), x)
    mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    specs = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec("data")
    apply = jax.shard_map(lambda params, x: layer.apply(params, state, x)[0][0], mesh=mesh, in_specs=specs, out_specs=specs[1])
    jax.eval_shape(apply, params, x)
    assert not calls


def test_a_layer_uses_it(calls):
    layer, x = L.recurrent(L.lstm_cell(2), backend="cudnn"), jnp.ones((2, 3, 4))
    params, state = layer.init(jax.random.key(0), x)
    layer.apply(params, state, x, lengths=jnp.array([3, 1]))
    assert len(calls) == 1
    with pytest.raises(ValueError, match=r"lstm: bias must be \[8\], got float32\[1\]"):
        layer.apply(params | {"bias": jnp.ones(1)}, state, x)


def test_without_such_a_gpu_it_is_the_loop():
    assert_close(*(values_and_gradients(np.random.default_rng(0), backend) for backend in ("cudnn", "xla")))


@pytest.mark.parametrize("case", CASES)
def test_the_kernel_itself(case):
    if compute_capability() == (0, 0):
        pytest.skip("needs an NVIDIA GPU")
    with jax.default_matmul_precision("highest"):
        assert_close(*(values_and_gradients(np.random.default_rng(0), backend, **CASES[case]) for backend in ("cudnn", "xla")))
