"""Recurrent networks against loops in NumPy, and what padding, carries, dropout and rematerialisation do."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import assert_close, assert_equal

from jdl import functional, initializers
from jdl import layers as L

BATCH, TIME, IN, FEATURES = 2, 4, 3, 2


def normals(rng, **shapes):
    return {name: rng.normal(size=shape).astype("float32") for name, shape in shapes.items()}


def made(layer, rng, x):
    """Params for an input like `x`; nothing is compiled."""
    shapes, _ = jax.eval_shape(layer.init, jax.random.key(0), x)
    return jax.tree.map(lambda a: 0.5 * rng.normal(size=a.shape).astype("float32"), shapes)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def normed(x, scale, bias=0.0):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * scale + bias


def lstm_step(x, h, c, p, coupled=False, product=np.matmul):
    """One step by the formulas of the papers; every option is on if its parameters are there."""
    zx, zh = product(x, p["kernel"]), product(h, p["recurrent_kernel"])
    if "kernel_scale" in p:
        zx, zh = normed(zx, p["kernel_scale"]), normed(zh, p["recurrent_scale"])
    z = zx + zh + p["bias"]
    zi, *zf, zg, zo = np.split(z, z.shape[-1] // c.shape[-1], -1)
    pi, *pf, po = np.split(p["peephole"], 2 if coupled else 3, -1) if "peephole" in p else (0, 0, 0)
    i = sigmoid(zi + pi * c)
    f = 1 - i if coupled else sigmoid(zf[0] + pf[0] * c)
    c = f * c + i * np.tanh(zg)
    shown = normed(c, p["memory_scale"], p["memory_bias"]) if "memory_scale" in p else c
    h = sigmoid(zo + po * c) * np.tanh(shown)
    return h @ p["projection"] if "projection" in p else h, c


def rnn_step(x, h, p):
    return np.maximum(x @ p["kernel"] + h @ p["recurrent_kernel"] + p["bias"], 0)


def gru_step(x, h, p, reset_after):
    (xr, xz, xn), (ur, uz, un) = (np.split(a, 3, -1) for a in (x @ p["kernel"] + p["bias"], p["recurrent_kernel"]))
    r, z = sigmoid(xr + h @ ur), sigmoid(xz + h @ uz)
    n = np.tanh(xn + (r * (h @ un + p["recurrent_bias"]) if reset_after else (r * h) @ un))
    return z * h + (1 - z) * n


def mgu_step(x, h, p):
    (xf, xn), (uf, un) = (np.split(a, 2, -1) for a in (x @ p["kernel"] + p["bias"], p["recurrent_kernel"]))
    f = sigmoid(xf + h @ uf)
    return (1 - f) * h + f * np.tanh(xn + (f * h) @ un)


def min_gru_step(x, h, p):
    z, n = np.split(x @ p["kernel"] + p["bias"], 2, -1)
    return (1 - sigmoid(z)) * h + sigmoid(z) * n


def lru_step(x, h, p):
    (real, imaginary), (out_real, out_imaginary) = np.split(p["kernel"], 2, -1), np.split(p["out_kernel"], 2, 0)
    eigenvalues = np.exp(-np.exp(p["log_decay"]) + 1j * np.exp(p["log_phase"]))
    h = eigenvalues * h + np.exp(p["log_scale"]) * (x @ (real + 1j * imaginary))
    return h, (h @ (out_real + 1j * out_imaginary)).real + p["skip"] * x


def selective_ssm_step(x, h, p):
    step = np.log1p(np.exp(x @ p["step_kernel"] @ p["step_out_kernel"] + p["step_bias"]))
    h, let_in = h.copy(), x @ p["kernel"]
    for b, d, n in np.ndindex(*h.shape):
        h[b, d, n] = np.exp(-step[b, d] * np.exp(p["log_decay"][d, n])) * h[b, d, n] + step[b, d] * let_in[b, n] * x[b, d]
    return h, np.einsum("bdn,bn->bd", h, x @ p["out_kernel"]) + p["skip"] * x


def log_forget(f, forget):
    return f if forget == "exp" else -np.log1p(np.exp(-f))


def slstm_step(x, carry, p, forget="sigmoid"):
    """The paper's memory and normaliser as they are."""
    h, mean, log_weight = carry
    z = x @ p["kernel"] + p["bias"]
    for head, kernel in enumerate(p["recurrent_kernel"]):
        place = slice(head * len(kernel), (head + 1) * len(kernel))
        for gate, block in enumerate(np.split(kernel, 4, -1)):
            z[:, gate * h.shape[-1] :][:, place] += h[:, place] @ block
    i, f, z, o = np.split(z, 4, -1)
    c, n = mean * np.exp(log_weight), np.exp(log_weight)
    c, n = (np.exp(log_forget(f, forget)) * old + np.exp(i) * new for old, new in ((c, np.tanh(z)), (n, 1)))
    h = sigmoid(o) * c / n
    return (h, c / n, np.log(n)), h


def mlstm_step(x, carry, p, forget="sigmoid"):
    """The paper's memory and normaliser as they are, which only the carry holds as multiples of exp(m)."""
    _, c, n, m = carry
    h, c, n = [], c * np.exp(m)[..., None, None], n * np.exp(m)[..., None]
    width = n.shape[-1]
    (wq, wk, wv, wo), (bq, bk, bv, bo) = (np.split(p[name], 4, -1) for name in ("kernel", "bias"))
    i, f = np.split(x @ p["gate_kernel"] + p["gate_bias"], 2, -1)
    f = log_forget(f, forget)
    for b, head in np.ndindex(*m.shape):
        place = slice(head * width, (head + 1) * width)
        q, k, v = ((x[b] @ w + bias)[place] for w, bias in ((wq, bq), (wk / np.sqrt(width), bk), (wv, bv)))
        c[b, head] = np.exp(f[b, head]) * c[b, head] + np.exp(i[b, head]) * np.outer(v, k)
        n[b, head] = np.exp(f[b, head]) * n[b, head] + np.exp(i[b, head]) * k
        h.append(c[b, head] @ q / max(abs(n[b, head] @ q), 1))
    h = sigmoid(x @ wo + bo) * np.reshape(h, (len(x), -1))
    m = np.maximum(f + m, i)
    return (h, c / np.exp(m)[..., None, None], n / np.exp(m)[..., None], m), h


def convolved(x, kernel):
    """A convolution with windows of 3 along all spatial axes, of the same size."""
    spatial = x.shape[1:-1]
    x = np.pad(x, ((0, 0), *[(1, 1)] * len(spatial), (0, 0)))
    at = lambda place: (slice(None), *(slice(k, k + size) for k, size in zip(place, spatial)))
    return sum(x[at(place)] @ kernel[place] for place in np.ndindex(*[3] * len(spatial)))


def kernels(gates, outputs=FEATURES):
    return {"kernel": (IN, gates * FEATURES), "recurrent_kernel": (outputs, gates * FEATURES), "bias": (gates * FEATURES,)}


NORM = {"kernel_scale": (8,), "recurrent_scale": (8,), "memory_scale": (2,), "memory_bias": (2,)}
LRU = {"kernel": (IN, 4), "out_kernel": (4, IN), "skip": (IN,)} | {f"log_{name}": (2,) for name in ("decay", "phase", "scale")}
SSM = dict.fromkeys(("kernel", "out_kernel", "log_decay"), (IN, 2)) | dict.fromkeys(("step_bias", "skip"), (IN,))
SSM |= {"step_kernel": (IN, 1), "step_out_kernel": (1, IN)}
SLSTM = {"kernel": (IN, 16), "recurrent_kernel": (2, 2, 8), "bias": (16,)}
MLSTM = {"kernel": (IN, 16), "gate_kernel": (IN, 4), "bias": (16,), "gate_bias": (4,)}
MATRICES = [(BATCH, 4), (BATCH, 2, 2, 2), (BATCH, 2, 2), (BATCH, 2)]
CONV = {"kernel": (3, IN, 8), "recurrent_kernel": (3, FEATURES, 8), "bias": (8,), "peephole": (5, 6)}
CONV_3D = {"kernel": (3, 3, 3, IN, 8), "recurrent_kernel": (3, 3, 3, FEATURES, 8), "bias": (8,), "peephole": (2, 4, 3, 6)}
SPATIAL = {"conv_lstm": (5,), "conv_lstm_3d": (2, 4, 3)}
TWO = lambda step, **options: lambda x, carry, p: (lambda new: (new, new[0]))(step(x, *carry, p, **options))
ONE = lambda step, **options: lambda x, carry, p: (step(x, carry, p, **options),) * 2
H, HC = [(BATCH, 2)], [(BATCH, 2), (BATCH, 2)]
LOOPS = {
    "rnn": (functools.partial(functional.rnn, activation=jax.nn.relu), kernels(1), H, ONE(rnn_step)),
    "lstm": (
        lambda x, carry, memory_bias, memory_scale, recurrent_scale, kernel_scale, **p: functional.lstm(
            x,
            carry=carry,
            norm={
                "kernel_scale": kernel_scale,
                "recurrent_scale": recurrent_scale,
                "memory_scale": memory_scale,
                "memory_bias": memory_bias,
            },
            **p,
        ),
        kernels(4, 3) | NORM | {"peephole": (6,), "projection": (2, 3)},
        [(BATCH, 3), (BATCH, 2)],
        TWO(lstm_step),
    ),
    "lstm_coupled": (
        functools.partial(functional.lstm, coupled=True),
        kernels(3) | {"peephole": (4,)},
        HC,
        TWO(lstm_step, coupled=True),
    ),
    "gru": (functional.gru, kernels(3) | {"recurrent_bias": (2,)}, H, ONE(gru_step, reset_after=True)),
    "gru_reset_before": (
        functools.partial(functional.gru, reset_after=False),
        kernels(3),
        H,
        ONE(gru_step, reset_after=False),
    ),
    "mgu": (functional.mgu, kernels(2), H, ONE(mgu_step)),
    "min_gru": (functional.min_gru, {"kernel": (IN, 4), "bias": (4,)}, H, ONE(min_gru_step)),
    "lru": (functional.lru, LRU, H, lru_step),
    "selective_ssm": (functional.selective_ssm, SSM, [(BATCH, IN, 2)], selective_ssm_step),
    "slstm": (functional.slstm, SLSTM, [(BATCH, 4)] * 3, slstm_step),
    "mlstm": (functional.mlstm, MLSTM, MATRICES, mlstm_step),
    "conv_lstm": (functional.conv_lstm, CONV, [(BATCH, 5, 2)] * 2, TWO(lstm_step, product=convolved)),
    "conv_lstm_3d": (functional.conv_lstm, CONV_3D, [(BATCH, 2, 4, 3, 2)] * 2, TWO(lstm_step, product=convolved)),
}


@pytest.mark.parametrize("name", LOOPS)
def test_every_cell_is_a_loop_by_the_formula(name, rng):
    function, shapes, carry_shapes, step = LOOPS[name]
    params = normals(rng, **shapes)
    x = normals(rng, x=(BATCH, TIME, *SPATIAL.get(name, ()), IN))["x"]
    carry = tuple(normals(rng, carry=shape)["carry"] for shape in carry_shapes)
    carry = carry if len(carry) > 1 else carry[0].astype("complex64" if name == "lru" else "float32")
    y, end = jax.jit(function)(x, carry=carry, **params)
    wide = {key: a.astype("float64") for key, a in params.items()}
    outputs = []
    for t in range(TIME):
        carry, output = step(x[:, t].astype("float64"), carry, wide)
        outputs.append(output)
    np.testing.assert_allclose(y, np.stack(outputs, 1), rtol=1e-4, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), end, carry)


@pytest.mark.parametrize("name", ["conv_lstm", "mlstm"])
def test_inputs_may_be_projected_before_the_loop(name, rng, monkeypatch):
    """As they are on other platforms than a CPU."""
    function, shapes, *_ = LOOPS[name]
    x, params = normals(rng, x=(BATCH, TIME, *((5,) if name == "conv_lstm" else ()), IN))["x"], normals(rng, **shapes)
    inside = jax.jit(function)(x, **params)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert_close(jax.jit(lambda x, **params: function(x, **params))(x, **params), inside)


def test_padding_changes_nothing(rng):
    """A padded batch gives what each sequence gives alone, in both directions, and the same gradients; NaNs there are no harm."""
    layer = L.bidirectional(L.recurrent(L.lstm_cell(2)), L.recurrent(L.min_gru_cell(2), reverse=True))
    x = rng.normal(size=(1, 5, 3)).astype("float32")
    params = made(layer, rng, x)

    @jax.jit
    def both(params, x, lengths):
        def loss(params, x):
            y, carry = layer.apply(params, {}, x, lengths=lengths)[0]
            return sum(jnp.sin(2 * a).sum() for a in jax.tree.leaves((y, carry))), (y, carry)

        return jax.value_and_grad(loss, (0, 1), has_aux=True)(params, x)

    padded = x.copy()
    padded[0, 3:] = np.nan
    (_, (y, carry)), (gradient, dx) = both(params, padded, np.array([3]))
    assert_equal(both(params, x, np.array([3]))[1], (gradient, dx))
    assert (np.asarray(y)[0, 3:] == 0).all() and (np.asarray(dx)[0, 3:] == 0).all()
    (_, (y_alone, carry_alone)), (alone, dx_alone) = both(params, x[:, :3], np.array([3]))
    assert_close((y[:, :3], carry, gradient, dx[:, :3]), (y_alone, carry_alone, alone, dx_alone))


def test_lengths_out_of_range_give_nan_under_jit(rng):
    x, params = rng.normal(size=(3, TIME, IN)).astype("float32"), normals(rng, **kernels(1))
    y, carry = jax.jit(lambda lengths: functional.rnn(x, lengths=lengths, **params))(np.array([TIME + 1, -1, TIME]))
    assert np.isnan(y[:2]).all() and np.isnan(carry[:2]).all()
    assert np.isfinite(y[2]).all() and np.isfinite(carry[2]).all()


@pytest.mark.parametrize("name", LOOPS)
def test_carries_are_wide_and_outputs_like_the_input(name):
    function, shapes, carry_shapes, _ = LOOPS[name]
    params = {key: np.ones(shape, "float32") for key, shape in shapes.items()}
    x = np.ones((BATCH, TIME, *SPATIAL.get(name, ()), IN), jnp.bfloat16)
    carry = tuple(np.ones(shape, jnp.bfloat16) for shape in carry_shapes)
    y, carry = jax.eval_shape(function, x, carry=carry if len(carry) > 1 else carry[0], **params)
    assert y.dtype == jnp.bfloat16
    assert {a.dtype.name for a in jax.tree.leaves(carry)} == {"complex64" if name == "lru" else "float32"}


def test_long_sequences_in_half_precision():
    """Small steps of the memory add up, and so do those of gradients, which in bfloat16 would stop at 2 and at 256."""
    x, kernel, steps = np.zeros((1, 2000, 1), jnp.bfloat16), np.zeros((1, 4), "float32"), np.ones(1, "float32")
    always = 20.0  # as the input of a gate

    @jax.jit
    @functools.partial(jax.value_and_grad, has_aux=True)
    def run(step):
        bias = jnp.concatenate([step * np.float32(np.log(0.005 / 0.995)), np.array([always, always, -always], "float32")])
        y, (_, c) = functional.lstm(x, kernel, kernel, bias)
        return c.sum(), (y, c)

    (_, (y, c)), gradient = run(steps)
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(c, [[10.0]], rtol=0.02)
    np.testing.assert_allclose(gradient, [10 * 0.995 * np.log(0.005 / 0.995)], rtol=0.02)


def xlstm_of_gates(name, rng):
    """A layer whose input is what the blocks and gates get, its step in NumPy, and inputs with gates of up to 100."""
    shape = (1, 3, 4 if name == "slstm" else 2)
    gates = np.concatenate([rng.choice(sizes, shape) for sizes in ([-100, -3, 100], [-100, 0, 100])], -1)
    x, gates = rng.uniform(0.5, 1.5, (1, 3, 16)).astype("float32"), (gates + rng.normal(0, 0.3, gates.shape)).astype("float32")
    eye = np.eye(16 if name == "slstm" else 20)
    if name == "slstm":
        x[..., :8] = gates
        return (
            slstm_step,
            {"kernel": eye, "recurrent_kernel": rng.normal(size=(2, 2, 8)), "bias": np.zeros(16)},
            x.astype("float64"),
        )
    params = {"kernel": eye[:, :16], "gate_kernel": eye[:, 16:], "bias": np.zeros(16), "gate_bias": np.zeros(4)}
    return mlstm_step, params, np.concatenate([x, gates], -1, dtype="float64")


@pytest.mark.parametrize("forget", ["sigmoid", "exp"])
@pytest.mark.parametrize("name", ["slstm", "mlstm"])
def test_gates_of_xlstm_may_be_large(name, forget, rng):
    """What would overflow gives what the formulas without stabiliser give in double precision, and so do derivatives."""
    step, params, x = xlstm_of_gates(name, rng)
    shapes = [(1, 4)] * 3 if name == "slstm" else [(1, 4), (1, 2, 2, 2), (1, 2, 2), (1, 2)]
    empty = [np.full(shape, -np.inf if (name, i) == ("slstm", 2) else 0.0) for i, shape in enumerate(shapes)]

    def formula(x):
        carry, outputs = empty, []
        for t in range(3):
            carry, output = step(x[:, t], carry, params, forget)
            outputs.append(output)
        return np.stack(outputs, 1)

    @jax.jit
    def run(x, change):
        y, pull = jax.vjp(lambda x: getattr(functional, name)(x, **single, forget=forget)[0], x)
        return y, pull(change)[0]

    single = jax.tree.map(lambda a: a.astype("float32"), params)
    change = rng.normal(size=(1, 3, 4)).astype("float32")
    small = 1e-6 * np.eye(x.size).reshape(-1, *x.shape)
    slopes = np.array([((formula(x + e) - formula(x - e)) * change).sum() for e in small]).reshape(x.shape) / 2e-6
    for actual, expected in zip(run(x.astype("float32"), change), (formula(x), slopes)):
        limit = 3e-4 * max(1.0, abs(expected).max())  # the last bit of an exponent of 300 is 3e-5 of its exponential
        np.testing.assert_allclose(actual, expected, rtol=3e-4, atol=limit)


PIECES = [
    (L.gru_cell(2), False),
    (L.gru_cell(2), True),
    (L.min_gru_cell(2), True),
    (L.slstm_cell(2), False),
    (L.mlstm_cell(2, heads=2), True),
]


@pytest.mark.parametrize(("cell", "reverse"), PIECES)
def test_steps_left_out_and_pieces(cell, reverse, rng):
    """What a mask leaves out might as well not be there, and pieces with a carry are the whole."""
    layer, x = L.recurrent(cell, reverse=reverse), rng.normal(size=(1, 6, 3)).astype("float32")
    params = made(layer, rng, x)
    start = jax.tree.map(lambda a: rng.normal(size=a.shape).astype("float32"), jax.eval_shape(layer.apply, params, {}, x)[0][1])
    apply = jax.jit(lambda x, carry, mask=None: layer.apply(params, {}, x, carry=carry, mask=mask)[0])
    pieces = [slice(0, 3), slice(3, 6)]
    carry, outputs = start, []
    for piece in reversed(pieces) if reverse else pieces:
        output, carry = apply(x[:, piece], carry)
        outputs.append(np.asarray(output))
    whole = apply(x, start)
    assert_close((np.concatenate(outputs[::-1] if reverse else outputs, 1), carry), (np.asarray(whole[0]), whole[1]))
    spread = np.concatenate([x[:, :2], x[:, 1:]], 1)  # with a third step that does not count
    y, carry = apply(spread, start, np.array([[True, True, False, True, True, True, True]]))
    assert (y[:, 2] == 0).all()
    assert_close((np.delete(y, 2, 1), carry), (np.asarray(whole[0]), whole[1]))


@pytest.mark.parametrize(("reverse", "sizes"), [(False, (2, 9)), (True, (2,))])
def test_remat_gives_the_same_gradient(reverse, sizes, rng):
    x = rng.normal(size=(2, 5, 3)).astype("float32")
    params = made(L.recurrent(L.rnn_cell(2)), rng, x)

    def gradient(remat):
        layer = L.recurrent(L.rnn_cell(2), reverse=reverse, remat=remat)
        return jax.jit(jax.value_and_grad(lambda params, x: jnp.sin(layer.apply(params, {}, x)[0][0]).sum(), (0, 1)))(params, x)

    expected = gradient(None)
    for remat in sizes:
        assert_close(gradient(remat), expected)


def test_remat_takes_less_memory():
    def bytes_of(remat):
        layer = L.recurrent(L.lstm_cell(32), remat=remat)
        x = jax.ShapeDtypeStruct((8, 256, 4), "float32")
        params = jax.eval_shape(lambda key, x: layer.init(key, x)[0], jax.random.key(0), x)
        loss = lambda params, x: layer.apply(params, {}, x)[0][0].sum()
        return jax.jit(jax.grad(loss)).lower(params, x).compile().memory_analysis().temp_size_in_bytes

    assert 3 * bytes_of(16) < bytes_of(None)


def test_dropout_has_one_mask_for_all_times(key):
    layer = L.recurrent(L.rnn_cell(50, activation=lambda x: x), rate=0.2)
    x, start = np.zeros((40, 3, 1), "float32"), np.ones((40, 50), "float32")
    params = {"kernel": np.ones((1, 50), "float32"), "recurrent_kernel": np.eye(50, dtype="float32")}
    y = np.asarray(jax.jit(lambda key: layer.apply(params, {}, x, carry=start, key=key, train=True)[0][0])(key))
    kept = y[:, 0] > 0
    assert abs(kept.mean() - 0.8) < 6 * np.sqrt(0.16 / kept.size)
    np.testing.assert_allclose(y, np.where(kept, 1.25, 0)[:, None] ** np.arange(1, 4).reshape(1, -1, 1), rtol=1e-5)


def test_zoneout(key, rng):
    x, start = rng.normal(size=(40, 2, 1)).astype("float32"), np.full((40, 50), 5, "float32")  # which tanh never is
    params = made(L.recurrent(L.rnn_cell(50)), rng, x)

    @jax.jit
    def run(rate, key):
        apply = functools.partial(L.recurrent(L.rnn_cell(50), zoneout=rate).apply, params, {}, x, carry=start)
        return apply(key=key, train=True)[0][0], apply()[0][0]

    keys = [jax.random.fold_in(key, i) for i in range(3)]
    some, mixed = (np.asarray(y) for y in run(0.25, keys[0]))
    none, plain = (np.asarray(y) for y in run(0.0, keys[1]))
    first, second = some[:, 0] == 5, some[:, 1] == 5
    assert abs(first.mean() - 0.25) < 6 * np.sqrt(0.25 * 0.75 / first.size)
    assert abs(second.mean() - 0.0625) < 6 * np.sqrt(0.0625 / first.size)
    assert_close(some[:, 0][~first], plain[:, 0][~first])
    np.testing.assert_allclose(mixed[:, 0], 0.25 * 5 + 0.75 * plain[:, 0], rtol=1e-5)
    assert_equal(none, plain)
    np.testing.assert_allclose(
        plain[:, 0], np.tanh(x[:, 0] @ params["kernel"] + start @ params["recurrent_kernel"] + params["bias"]), atol=1e-5
    )
    for result in run(1.0, keys[2]):
        assert (result == 5).all()


def test_a_learnt_carry_is_where_it_begins(key):
    layer, x = L.recurrent(L.lstm_cell(2), carry_init=initializers.constant(0.5)), np.ones((3, 2, 1), "float32")
    params, _ = jax.jit(layer.init)(key, x)
    assert {name: a.tolist() for name, a in params["carry"].items()} == {"0": [0.5, 0.5], "1": [0.5, 0.5]}
    half = np.full((3, 2), 0.5, "float32")
    assert_equal(layer.apply(params, {}, x), layer.apply(params, {}, x, carry=(half, half)))


def test_stacks_are_layers_one_above_the_other(rng):
    x, lengths = rng.normal(size=(2, 4, 3)).astype("float32"), np.array([4, 2])
    layer = L.recurrent(L.rnn_cell(3))
    stack, deep = L.recurrent_stack(layer, layer, residual=True), L.repeat(layer, 2, scanned=("carry",))
    params = made(stack, rng, x)
    both = jax.tree.map(lambda *a: np.stack(a), params["0"], params["1"])
    apply = jax.jit(lambda params, x: layer.apply(params, {}, x, lengths=lengths)[0])
    below, _ = apply(params["0"], x)
    above, end = apply(params["1"], x + below)
    y, carries = jax.jit(lambda x: stack.apply(params, {}, x, lengths=lengths)[0])(x)
    assert_close((y, carries[1]), (x + below + above, end))
    above, end = apply(params["1"], below)
    y, ends = jax.jit(lambda x: deep.apply(both, {}, x, lengths=lengths)[0])(x)
    assert_close((y, ends[1]), (above, end))


def test_params_at_first(key):
    x = np.ones((1, 2, 64), "float32")
    params, _ = jax.jit(L.recurrent(L.lstm_cell(32, bias_init=initializers.forget_bias(2.0))).init)(key, x)
    params = jax.tree.map(np.asarray, params)
    for block in np.split(params["recurrent_kernel"], 4, -1):
        np.testing.assert_allclose(block.T @ block, np.eye(32), atol=1e-5)
    assert abs(params["kernel"].var() * 64 - 1) < 6 * np.sqrt(2 / params["kernel"].size)
    assert params["bias"].reshape(4, 32)[:, 0].tolist() == [0, 2, 0, 0]
    params, _ = jax.jit(L.recurrent(L.lru_cell(500, radius=(0.5, 0.9), phase=1.0)).init)(jax.random.clone(key), x)
    params = jax.tree.map(np.asarray, params)
    size = np.exp(-np.exp(params["log_decay"]))
    assert 0.5 <= size.min() < 0.55 and 0.88 < size.max() <= 0.9001
    assert 0 < np.exp(params["log_phase"]).max() <= 1
    np.testing.assert_allclose(np.exp(2 * params["log_scale"]), 1 - size**2, rtol=1e-4)
    for name, variance in (("kernel", 1 / (2 * 64)), ("out_kernel", 1 / 500)):  # of real and imaginary parts
        assert abs(params[name].var() / variance - 1) < 6 * np.sqrt(2 / params[name].size)
    inits = {"kernel_init": initializers.ones, "out_kernel_init": initializers.zeros}
    params, _ = jax.jit(L.recurrent(L.lru_cell(5, **inits)).init)(jax.random.clone(key), x)
    assert (params["kernel"] == 1).all() and (params["out_kernel"] == 0).all() and (params["skip"] != 0).all()
    params, _ = jax.jit(L.recurrent(L.selective_ssm_cell(4)).init)(jax.random.clone(key), np.ones((1, 2, 500), "float32"))
    params = jax.tree.map(np.asarray, params)
    steps, spread = np.log1p(np.exp(params["step_bias"])), params["step_out_kernel"]
    assert 0.001 <= steps.min() < 0.0015 and 0.07 < steps.max() <= 0.1001
    assert spread.shape == (32, 500) and 0.95 < abs(spread).max() * np.sqrt(32) <= 1
    np.testing.assert_allclose(np.exp(params["log_decay"]), np.tile(np.arange(1, 5), (500, 1)), rtol=1e-6)
    params, _ = jax.jit(L.recurrent(L.slstm_cell(32, heads=4)).init)(jax.random.clone(key), x)
    for block in params["recurrent_kernel"].reshape(4, 8, 4, 8).transpose(0, 2, 1, 3).reshape(16, 8, 8):
        np.testing.assert_allclose(block.T @ block, np.eye(8), atol=1e-5)
    assert abs(params["kernel"].var() * 64 - 1) < 6 * np.sqrt(2 / params["kernel"].size)
    shapes, _ = jax.eval_shape(L.recurrent(L.conv_lstm_cell(4, (3, 2, 1))).init, key, jnp.ones((1, 2, 5, 5, 5, 3)))
    assert shapes["recurrent_kernel"].shape == (3, 2, 1, 4, 16)


def test_the_bias_of_a_coupled_gate(key):
    """It lets in as little as a gate of its own would let go."""
    zeros = initializers.constant(0.0)
    cell = L.lstm_cell(4, coupled=True, kernel_init=zeros, recurrent_init=zeros, bias_init=initializers.forget_bias(2.0))
    params, _ = jax.jit(L.recurrent(cell).init)(key, np.ones((1, 2, 3), "float32"))
    assert params["bias"].tolist() == [-2.0] * 4 + [0.0] * 8


@pytest.mark.parametrize("radius", [(1.0, 1.0), (0.0, 1e-7)])
def test_the_thinnest_rings_of_eigenvalues_are_finite(radius, key):
    params, _ = jax.jit(L.recurrent(L.lru_cell(4, radius=radius)).init)(key, np.ones((1, 2, 3), "float32"))
    assert all(np.isfinite(a).all() for a in params.values())
    np.testing.assert_allclose(np.exp(-np.exp(params["log_decay"])), radius[1], atol=1e-5)


def test_a_linear_recurrence_is_in_the_dtype_of_all():
    half, new, carry = np.full((1, 3), 0.5, "float32"), np.ones((1, 3), jnp.bfloat16), np.array([4j], "complex64")
    h = jax.jit(functional.linear_recurrence)(half, new, carry)
    assert h.dtype == "complex64"
    np.testing.assert_allclose(h, [[1 + 2j, 1.5 + 1j, 1.75 + 0.5j]])
    assert jax.eval_shape(functional.linear_recurrence, half, new).dtype == "float32"


X, KERNEL, RECURRENT = (np.ones(shape, "float32") for shape in ((2, 3, 4), (4, 8), (2, 8)))
lstm = functools.partial(functional.lstm, X, KERNEL, RECURRENT)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: lstm(lengths=np.array([3, 4])), ValueError, r"lstm: lengths must lie in 0\.\.3, found 4 at index \[1\]"),
        (lambda: lstm(lengths=np.array([3, 1, 1])), ValueError, r"lengths must be \[2\], got int64\[3\]"),
        (lambda: lstm(lengths=np.ones(2)), TypeError, "lengths must be integers"),
        (lambda: lstm(mask=np.ones((2, 4), bool)), ValueError, r"mask must be bools \[2, 3\], .* got bool\[2, 4\]"),
        (lambda: lstm(mask=np.ones((2, 3))), TypeError, "mask must be bools"),
        (lambda: lstm(carry=(X[:, 0, :2], X[:, 0])), ValueError, r"carry must be \(float32\[2, 2\], float32\[2, 2\]\), got"),
        (lambda: lstm(carry=X[:, 0, :2]), ValueError, r"carry must be \(float32\[2, 2\], float32\[2, 2\]\), got float32"),
        (lambda: lstm(projection=KERNEL), ValueError, r"recurrent_kernel must be \[8, 8\], got float32\[2, 8\]"),
        (lambda: lstm(coupled=True), ValueError, r"kernels must be \(\.\.\., in, 3 \* features\)"),
        (lambda: functional.gru(X, KERNEL[:, :6], RECURRENT), ValueError, r"gru: recurrent_kernel must be \[2, 6\]"),
        (
            lambda: functional.gru(X, KERNEL, RECURRENT, recurrent_bias=np.ones(2), reset_after=False),
            ValueError,
            "recurrent bias is for reset_after",
        ),
        (lambda: functional.rnn(X[0], KERNEL, RECURRENT), ValueError, r"\(batch, time, features\), got float32\[3, 4\]"),
        (lambda: functional.linear_recurrence(X, X[0]), ValueError, "shapes differ"),
        (lambda: functional.linear_recurrence(X, X, X[0]), ValueError, "carry is float32"),
        (lambda: functional.linear_recurrence(X, X, [1.0]), TypeError, "carry must be a floating-point array, got"),
        (lambda: functional.linear_recurrence(X, X, axis=3), ValueError, "there is no axis 3"),
        (lambda: L.recurrent(L.gru_cell(3), rate=1.5), ValueError, "gru: rate must be in"),
        (lambda: L.recurrent(L.lstm_cell(3), zoneout=(0.1, -1.0)), ValueError, r"lstm: zoneout\[1\] must be in"),
        (lambda: L.recurrent(L.gru_cell(3), remat=0), ValueError, "remat must be a positive integer"),
        (lambda: L.recurrent(L.lru_cell(3), rate=0.1), ValueError, "lru: a linear recurrence has no steps"),
        (lambda: L.recurrent(L.mlstm_cell(3), rate=0.1), ValueError, "mlstm: no product sees the hidden state"),
        (lambda: L.recurrent(L.mlstm_cell(3), zoneout=(0.1, 0.0, 0.0, 0.0)), ValueError, "mlstm: zoneout must be 0.0, since"),
        (lambda: L.recurrent(L.slstm_cell(3), zoneout=0.1), ValueError, "slstm: zoneout .* but the first 1, .* got 0.1"),
        (lambda: L.recurrent(L.slstm_cell(3), zoneout=(0.1, 0.1, 0.0)), ValueError, "slstm: zoneout must be a tuple with 0.0"),
        (lambda: L.slstm_cell(3, heads=2), ValueError, "slstm_cell: features must be a multiple of heads, got 3 and 2"),
        (lambda: L.mlstm_cell(3, heads=0), ValueError, "mlstm_cell: heads must be a positive integer"),
        (lambda: L.mlstm_cell(3, forget="tanh"), ValueError, "mlstm_cell: forget must be sigmoid or exp, got 'tanh'"),
        (
            lambda: functional.slstm(X, KERNEL, np.ones((2, 2, 4), "float32")),
            ValueError,
            r"slstm: recurrent_kernel must be \[2, 1, 4\], got float32\[2, 2, 4\]",
        ),
        (lambda: functional.slstm(X, KERNEL, RECURRENT), ValueError, r"\(heads, width, 4 \* width\) with 2 features in all"),
        (lambda: functional.mlstm(X, KERNEL, KERNEL), ValueError, "mlstm: features must be a multiple of heads, got 2 and 4"),
        (lambda: L.lstm_cell(0), ValueError, "features must be a positive integer"),
        (lambda: L.lru_cell(3, radius=(0.9, 0.5)), ValueError, r"radius must be in \[0.9, 1\]"),
        (lambda: L.selective_ssm_cell(rank=0), ValueError, "rank must be a positive integer"),
        (lambda: L.selective_ssm_cell(step=(0.0, 0.1)), ValueError, "selective_ssm_cell: step must be above 0, got 0.0"),
        (
            lambda: L.selective_ssm_cell(step=(0.2, 0.1)),
            ValueError,
            "the smallest step must be at most the largest, got 0.2 and 0.1",
        ),
        (lambda: L.recurrent_stack(), ValueError, "there must be a layer"),
        (lambda: initializers.forget_bias()(jax.random.key(0), (6,)), ValueError, r"\(4 \* features,\), got \(6,\)"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
