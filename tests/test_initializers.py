"""Initializers: structure of deterministic ones, statistics of random ones, and what networks do that start with them."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tolerances import assert_close, assert_equal

import jdl
from jdl import functional as F
from jdl import initializers as I
from jdl import layers as L
from jdl.layer import observe


def test_those_of_jax_are_handed_on():
    theirs = jax.nn.initializers
    assert all(getattr(I, name) is getattr(theirs, name) for name in dir(theirs) if not name.startswith("_"))
    assert jdl.initializers is I


MADE = {
    "identity": (I.identity(0.5), (3, 2)),
    "dirac": (I.dirac(), (3, 2, 4)),
    "sparse": (I.sparse(0.5), (4, 3)),
    "mup_readout": (I.mup_readout(2), (4, 3)),
    "fixup": (I.fixup(4, 2), (4, 3)),
    "stft": (I.stft(), (6, 1, 3)),
}


@pytest.mark.parametrize("init, shape", MADE.values(), ids=MADE)
def test_initializers_have_the_interface_of_jax(init, shape, key):
    for dtype in ("float32", "bfloat16"):
        made = jax.jit(init, static_argnums=(1, 2))(jax.random.clone(key), shape, dtype)
        assert (made.shape, made.dtype, made.weak_type) == (shape, dtype, False)
    assert init(jax.random.clone(key), shape).dtype == "float32"


@pytest.mark.parametrize("window", [(3,), (4,), (3, 2), (1, 5, 2)], ids=str)
@pytest.mark.parametrize("groups", [1, 2])
def test_dirac_passes_the_input_on(window, groups, rng, key):
    x = jnp.asarray(rng.normal(size=(2, *(5 for _ in window), 4)), jnp.float32)
    assert_equal(F.conv(x, I.dirac(groups)(key, (*window, 4 // groups, 4)), groups=groups), x)


def test_dirac_of_unequal_channels(key):
    x = jnp.arange(4.0).reshape(1, 1, 4)
    assert F.conv(x, I.dirac()(key, (3, 4, 6))).ravel().tolist() == [0, 1, 2, 3, 0, 0]
    assert F.conv(x, I.dirac()(key, (3, 4, 2))).ravel().tolist() == [0, 1]
    assert F.conv(x, I.dirac(2)(key, (3, 2, 6)), groups=2).ravel().tolist() == [0, 1, 0, 2, 3, 0]


def test_sparse_has_zeros_in_every_output(key):
    kernel = np.asarray(I.sparse(0.8, stddev=0.5)(key, (2, 100, 300)))
    assert ((kernel == 0).sum((0, 1)) == 160).all()
    rest = kernel[kernel != 0]
    assert abs(rest.std() - 0.5) < 6 * 0.5 / math.sqrt(2 * rest.size) and abs(rest.mean()) < 6 * 0.5 / math.sqrt(rest.size)
    share = (kernel == 0).mean(-1)  # every input is as likely
    assert (np.abs(share - 0.8) < 6 * math.sqrt(0.8 * 0.2 / 300)).all()
    kernels = jax.vmap(lambda sparsity: I.sparse(sparsity)(jax.random.clone(key), (7, 3)))(jnp.array([0.0, 0.5, 1.0]))
    assert (kernels == 0).sum(1).tolist() == [[0] * 3, [4] * 3, [7] * 3]


def test_gain_by_name_and_by_integration(rng):
    table = {"linear": 1, "sigmoid": 1, "tanh": 5 / 3, "relu": 2**0.5, "selu": 0.75}
    assert {name: I.gain(name) for name in table} == table
    assert I.gain("leaky_relu") == math.sqrt(2 / (1 + 0.01**2)) and I.gain("leaky_relu", 0.2) == math.sqrt(2 / 1.04)
    np.testing.assert_allclose(I.gain(jax.nn.relu), 2**0.5, rtol=1e-6)
    np.testing.assert_allclose(I.gain(functools.partial(jax.nn.leaky_relu, negative_slope=0.2)), math.sqrt(2 / 1.04), rtol=1e-6)
    np.testing.assert_allclose(I.gain(jax.nn.selu), 1, rtol=1e-5)  # which is what selu is for
    rectified = 1 / math.sqrt(1.25 * 0.3085375 - 0.5 * 0.3520653)  # by the distribution and density of 1 / 2
    np.testing.assert_allclose(I.gain(lambda z: jnp.maximum(z - 0.5, 0)), rectified, rtol=1e-5)
    z = rng.normal(size=100_000)
    square = np.asarray(jax.nn.mish(jnp.asarray(z, jnp.float32))) ** 2
    assert abs(1 / I.gain(jax.nn.mish) ** 2 - square.mean()) < 6 * square.std() / math.sqrt(z.size)
    assert float(jax.jit(lambda: jnp.float32(I.gain(jnp.tanh)))()) == np.float32(I.gain(jnp.tanh))


@pytest.mark.parametrize("options, expected", [
    (("real", "hann", "density", False), [[0, 0, 0, 0], [0.40824801, 0.204124, -0.204124, -0.40824801],
        [0.81649703, -0.40824801, -0.40824801, 0.81649703], [0.40824801, -0.40824801, 0.40824801, -0.40824801], [0, 0, 0, 0]]),
    (("imaginary", "hamming", "spectrum", True), [[0, 0, 0, 0], [0, -0.127611, -0.127611, 0],
        [0, -0.29257199, 0.29257199, 0], [0, 0, 0, 0], [0, 0.127611, -0.127611, 0]]),
    (("imaginary", "blackman", None, False), [[0, 0, 0, 0], [0, -0.294449, -0.294449, 0],
        [0, -0.866025, 0.866025, 0], [0, 0, 0, 0], [0, 0, 0, 0]]),
    (("real", None, "density", False), [[1, 1, 1, 1], [1, 0.5, -0.5, -1], [1, -0.5, -0.5, 1], [1, -1, 1, -1], [1, -0.5, -0.5, 1]]),
    (("imaginary", np.array([0.5, 1, 2, 1, 0.25, -1, 3]), "spectrum", False), [[0, 0, 0], [0, -0.114286, 0], [0, 0, 0],
        [0, 0.114286, 0], [0, 0, 0], [0, 0.114286, 0], [0, 0, 0]]),
], ids=["hann", "hamming", "blackman", "none", "given"])  # fmt: skip
def test_stft_is_that_of_keras(options, expected, key):
    """Values of `initializers.STFT` in Keras 3.15.1, in float32."""
    part, window, scaling, periodic = options
    kernel = I.stft(part, window=window, scaling=scaling, periodic=periodic)(key, (len(expected), 1, len(expected[0])))
    np.testing.assert_allclose(kernel[:, 0], expected, atol=2e-6)


@pytest.mark.parametrize("length, frequencies", [(16, 9), (400, 257), (12, 5)])
def test_convolutions_that_begin_as_stft_are_fourier_transforms(length, frequencies, rng, key):
    """Of each frame, filled up with zeros, or folded where it is longer than the transform."""
    x, window, step = rng.normal(size=length + 30), np.hanning(length), 10
    parts = (I.stft(part, scaling=None)(key, (length, 1, frequencies)) for part in ("real", "imaginary"))
    given = jnp.asarray(x, jnp.float32)[None, :, None]
    real, imaginary = (np.asarray(F.conv(given, kernel, stride=step, padding="VALID"))[0] for kernel in parts)
    size = 2 * (frequencies - 1)
    frames = [x[start : start + length] * window for start in range(0, 31, step)]
    folded = [np.pad(frame, (0, -length % size)).reshape(-1, size).sum(0) for frame in frames]
    np.testing.assert_allclose(real + 1j * imaginary, np.fft.rfft(folded), atol=1e-3)


@pytest.mark.parametrize("layers", [2, 3])
def test_fixup_is_he_divided_by_a_power_of_the_depth(layers, key):
    ratio = I.fixup(16, layers)(jax.random.clone(key), (8, 4)) / I.he_normal()(jax.random.clone(key), (8, 4))
    np.testing.assert_allclose(ratio, 16 ** (-1 / (2 * layers - 2)), rtol=1e-5)


def test_mup_readout_has_variance_base_over_inputs_squared(key):
    kernel = I.mup_readout(16)(key, (4, 64, 300))
    deviation = 4 / 256
    assert abs(float(kernel.std()) - deviation) < 6 * deviation / math.sqrt(2 * kernel.size)


def mlp(width):
    return L.chain(
        L.conv(width, 3),
        jax.nn.relu,
        L.global_avg_pool,
        L.dense(width),
        L.layer_norm(),
        head=L.dense(10, kernel_init=I.mup_readout(8)),
    )


def shapes(width):
    return jax.eval_shape(mlp(width).init, jax.random.key(0), jnp.ones((1, 4, 4, 3)))[0]


def test_mup_multipliers_are_those_of_table_3():
    adam, sgd = (I.mup_multipliers(shapes(32), shapes(8), optimizer=name) for name in ("adam", "sgd"))
    assert adam == {
        "0": {"kernel": 1, "bias": 1},
        "3": {"kernel": 1 / 4, "bias": 1},
        "4": {"scale": 1, "bias": 1},
        "head": {"kernel": 1 / 4, "bias": 1},
    }
    assert sgd == {
        "0": {"kernel": 4, "bias": 4},
        "3": {"kernel": 1, "bias": 4},
        "4": {"scale": 4, "bias": 4},
        "head": {"kernel": 1 / 4, "bias": 1},
    }
    with pytest.raises(ValueError, match="mup_multipliers: params and base differ in structure"):
        I.mup_multipliers(shapes(8), {})
    with pytest.raises(ValueError, match=r"mup_multipliers: a is float32\[2, 2\], but float32\[2\] in base"):
        I.mup_multipliers({"a": jnp.ones((2, 2))}, {"a": jnp.ones(2)})


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_mup_steps_do_not_depend_on_width(name, key):
    """A step changes the outputs of a wide network as much as those of a narrow one; without the multipliers, it does not."""
    x, y, narrow, wide = np.asarray(jax.random.normal(key, (8, 4))), np.cos(np.arange(8.0, dtype="float32"))[:, None], 32, 256
    head = L.dense(1, kernel_init=I.mup_readout(narrow))
    make = lambda width: L.chain(L.dense(width), jnp.tanh, L.dense(width), jnp.tanh, head=head)
    like, like_wide = (jax.eval_shape(make(width).init, jax.random.key(0), x)[0] for width in (narrow, wide))
    optimizer = {"adam": optax.adam(1e-4), "sgd": optax.sgd(1e-3)}[name]

    def change(width, multipliers):
        def step(key):
            params, state = make(width).init(key, x)
            loss = lambda params: (make(width).apply(params, state, x)[0] * y).mean()
            updates, _ = optimizer.update(jax.grad(loss)(params), optimizer.init(params))
            return loss(optax.apply_updates(params, jax.tree.map(jnp.multiply, updates, multipliers))) - loss(params)

        return float(jax.jit(jax.vmap(step))(jax.random.split(jax.random.key(width), 64)).mean())

    ones = jax.tree.map(lambda _: 1.0, like)
    reference = change(narrow, ones)
    assert 0.75 < change(wide, I.mup_multipliers(like_wide, like, optimizer=name)) / reference < 1.33
    assert change(wide, ones) / reference > 2


def outputs(model, params, state, *inputs):
    """Standard deviations of all sublayers' outputs, by path."""
    seen = {}
    with observe(lambda path, layer, given, output: seen.setdefault(path, float(output.std()))):
        model.apply(params, state, *inputs)
    return seen


def test_lsuv_makes_the_variance_of_every_layer_1(rng, key):
    block = L.residual(L.chain(L.conv(4, 3), jnp.tanh, L.conv(4, 3, bias=False)))
    model = L.chain(L.conv(4, 3), jax.nn.relu, block=block, pool=L.global_avg_pool, norm=L.layer_norm(), head=L.dense(5))
    x = jnp.asarray(rng.normal(size=(16, 6, 6, 3)) * 7 + 1, jnp.float32)
    before, state = model.init(key, x)
    params = L.lsuv(jax.random.fold_in(key, 1), model, before, state, x)
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, before)
    found = outputs(model, params, state, x)
    for path in ("0", "block/layer/0", "block/layer/2", "head"):
        assert abs(found[path] - 1) < 1e-4, path
    assert_equal(params["norm"], before["norm"])
    kernel = np.asarray(params["head"]["kernel"])  # orthogonal rows of one length
    np.testing.assert_allclose(kernel @ kernel.T, np.eye(4) * (kernel[0] @ kernel[0]), atol=1e-5)
    again = jax.jit(lambda *args: L.lsuv(args[0], model, *args[1:]))
    assert_close(again(jax.random.fold_in(key, 1), before, state, x), params, scale=10)


def test_lsuv_of_one_layer_of_two_calls_and_of_nothing(rng, key):
    x = jnp.asarray(rng.normal(size=(32, 4)), jnp.float32)
    one = L.dense(3)
    params, state = one.init(key, x)
    assert abs(float(one.apply(L.lsuv(jax.random.clone(key), one, params, state, x), state, x)[0].std()) - 1) < 1e-5

    @L.compose(twice=L.dense(4))
    def model(net, x):
        return net.twice(3 * net.twice(x))

    params, state = model.init(jax.random.clone(key), x)
    params = L.lsuv(jax.random.clone(key), model, params, state, x)
    assert abs(float((x @ params["twice"]["kernel"]).std()) - 1) < 1e-5  # by its first call
    params = L.lsuv(jax.random.clone(key), model, params, state, 0 * x)  # no data: nothing is divided by 0
    assert_close(params["twice"]["kernel"] @ params["twice"]["kernel"].T, jnp.eye(4))


def test_lsuv_goes_by_calls_not_by_names(rng, key):
    """Of which "10" comes before "2"."""
    x, model = rng.normal(size=(40, 4)).astype("float32"), L.chain(*(L.dense(4) for _ in range(12)))
    params, state = model.init(key, x)
    params = jax.jit(lambda key, *args: L.lsuv(key, model, *args))(jax.random.clone(key), params, state, x)
    for i in range(12):
        x = L.dense(4).apply(params[str(i)], {}, x)[0]
        assert abs(x.std() - 1) < 1e-3


def test_lsuv_refuses_what_it_cannot_see(key):
    model, x = L.chain(block=L.repeat(L.chain(inner=L.dense(3)), 2)), jnp.ones((2, 3))
    params, state = model.init(key, x)
    with pytest.raises(ValueError, match=r'lsuv: layer "block/inner" has a kernel of float32\[2, 3, 3\] for all its repetitions'):
        L.lsuv(jax.random.clone(key), model, params, state, x)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda key: I.identity()(key, (3,)), r"identity: the shape must be \(in, out\), got \(3,\)"),
        (lambda key: I.dirac()(key, (3, 3)), r"dirac: the shape must be \(\*window, in, out\), got \(3, 3\)"),
        (lambda key: I.dirac(2)(key, (3, 3, 3)), "dirac: 3 outputs can't be split into 2 groups"),
        (lambda key: I.dirac(0), "dirac: groups must be a positive integer"),
        (lambda key: I.sparse(1.5), r"sparse: sparsity must be in \[0, 1\]"),
        (lambda key: I.sparse(0.5)(key, (3,)), r"sparse: the shape must be \(..., in, out\), got \(3,\)"),
        (lambda key: I.gain("softplus"), "gain: activation must be a function or one of leaky_relu, linear, .* got 'softplus'"),
        (lambda key: I.fixup(0, 2), "fixup: branches must be a positive integer"),
        (lambda key: I.fixup(3, 1), "fixup: layers must be at least 2"),
        (lambda key: I.stft("imag"), "stft: part must be real or imaginary, got 'imag'"),  # type: ignore[arg-type]
        (lambda key: I.stft(window="kaiser"), "stft: window must be hann, hamming or blackman, got 'kaiser'"),
        (lambda key: I.stft(scaling="sum"), "stft: scaling must be density or spectrum, got 'sum'"),  # type: ignore[arg-type]
        (lambda key: I.stft()(key, (4, 2, 3)), r"stft: the shape must be \(time, 1, frequencies\), .* got \(4, 2, 3\)"),
        (lambda key: I.stft()(key, (4, 1, 1)), "stft: the shape must be .* 2 frequencies or more, got"),
        (lambda key: I.stft(window=[1.0, 2.0])(key, (4, 1, 3)), r"stft: window must have the length of the kernel, 4, got .*\[2\]"),
        (lambda key: I.mup_readout(0), "mup_readout: base must be a positive integer"),
        (lambda key: I.mup_readout(4)(key, (3,)), r"mup_readout: the shape must be \(..., in, out\)"),
        (lambda key: I.mup_multipliers({}, {}, optimizer="lamb"), 'mup_multipliers: optimizer must be "adam" or "sgd"'),  # type: ignore[arg-type]
    ],
)
def test_wrong_settings_raise(make, message, key):
    with pytest.raises(ValueError, match=message):
        make(key)
