"""Transforms of weights, against definitions in NumPy, in training, inside other layers and around them."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from programs import one_program_each
from tolerances import assert_close, assert_equal

import jdl.functional
import jdl.layers
from jdl import paths

F, L = one_program_each(jdl.functional), one_program_each(jdl.layers)

X = jax.ShapeDtypeStruct((4, 6), "float32")


@pytest.fixture
def normal(rng):
    return lambda *shape: np.asarray(rng.normal(size=shape), np.float32)


def net():
    return L.chain(L.dense(5), jnp.tanh, L.batch_norm(), head=L.dense(3))


def identity_on(kernel):
    """A layer that returns its kernel: what transforms make of it."""
    return L.stateless(lambda key: {"kernel": kernel, "bias": kernel[..., 0]}, lambda params: params["kernel"])


def made(transform, kernel, key, use=None):
    """The weight that a transform's layer uses; in training, if it gets a key for it."""
    layer = transform(identity_on(kernel))
    return layer.apply(*layer.init(key), key=use, train=use is not None)[0]


TRANSFORMS = {
    "weight_norm": L.weight_norm,
    "spectral_norm": L.spectral_norm,
    "orthogonal": L.orthogonal,
    "weight_standardization": L.weight_standardization,
    "drop_connect": lambda layer, where="**/kernel": L.drop_connect(layer, 0.5, where),
    "mask_kernel": lambda layer, where="**/kernel": L.mask_kernel(layer, 1, where),
    "lora": lambda layer, where="**/kernel": L.lora(layer, 2, where=where),
    "int8": L.int8,
}
transforms = pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)


# All of them


@transforms
def test_a_glob_that_matches_nothing_is_named_with_the_paths_there_are(transform, key):
    model = transform(net(), where="**/weight")
    with pytest.raises(ValueError, match=r"where='\*\*/weight' matches none of the paths: 0/bias, 0/kernel, 2/bias, "):
        jax.eval_shape(model.init, key, X)
    params, state = jax.eval_shape(transform(net()).init, key, X)
    with pytest.raises(ValueError, match=r"matches none of the paths: .*head/kernel"):
        jax.eval_shape(lambda key: model.apply(params, state, X, key=key, train=True), key)


@transforms
def test_what_the_glob_does_not_select_stays(transform, key):
    model = transform(net(), where="head/kernel")
    params, state = model.init(key, X)
    plain, plain_state = net().init(key, X)
    assert_equal({name: params[name] for name in ("0", "2")}, {name: plain[name] for name in ("0", "2")})
    assert_equal(params["head"]["bias"], plain["head"]["bias"])
    assert_equal(state["2"], plain_state["2"])


@pytest.mark.parametrize("name", ["weight_norm", "spectral_norm", "orthogonal", "lora"])
def test_a_transform_that_stores_more_than_weights_applies_once(name, key):
    model = TRANSFORMS[name](TRANSFORMS[name](net()))
    with pytest.raises(ValueError, match=rf"{name}: the (params have|state has) an entry '{name}' already"):
        jax.eval_shape(model.init, key, X)


@transforms
def test_state_of_the_layer_goes_through(transform, key, normal):
    x, model = normal(4, 6), transform(L.chain(L.batch_norm(), head=L.dense(2)))
    made = jax.eval_shape(model.init, jax.random.key(0), x)
    params, state = jax.tree.map(lambda a: np.abs(normal(*a.shape)).astype(a.dtype), made)
    _, new = model.apply(params, state, x, key=key, train=True)
    assert_close(new["0"]["mean"], np.float32(0.9) * state["0"]["mean"] + np.float32(0.1) * x.mean(0))


@transforms
def test_inside_repeat_every_repetition_is_by_itself(transform, normal):
    x, one = normal(2, 3), transform(L.dense(3))
    made = jax.eval_shape(L.repeat(one, 2).init, jax.random.key(0), x)
    params, state = jax.tree.map(lambda a: normal(*a.shape).astype(a.dtype), made)

    @jax.jit
    def repeated_and_by_hand(params, state):
        expected = x
        for i in range(2):
            expected, _ = one.apply(*jax.tree.map(lambda w: w[i], (params, state)), expected)  # noqa: B023
        return L.repeat(one, 2).apply(params, state, x)[0], expected

    assert_close(*repeated_and_by_hand(params, state))


# Norms of weights


def test_weight_norm_is_the_plain_layer_to_begin_with(key, normal):
    x, model = normal(4, 6), L.weight_norm(net())
    (params, state), plain = model.init(key, x), net().init(key, x)
    assert_equal(params["head"], plain[0]["head"])
    assert_close(model.apply(params, state, x)[0], net().apply(*plain, x)[0])


def test_scales_of_weight_norm_are_the_norms_of_the_weights(normal):
    direction, scale = normal(3, 2, 4), jnp.array([1.0, 2.0, 0.0, -3.0])
    w = np.asarray(F.weight_norm(direction, scale)).reshape(6, 4)
    np.testing.assert_allclose(np.linalg.norm(w, axis=0), np.abs(scale), rtol=1e-5)
    assert_close(F.weight_norm(10 * direction, scale), F.weight_norm(direction, scale))


def test_a_direction_of_zeros_has_finite_gradients():
    gradients = jax.jit(jax.grad(lambda *args: F.weight_norm(*args).sum(), argnums=(0, 1)))
    zeros = np.zeros((3, 2), np.float32)
    assert_equal(gradients(zeros, np.ones(2, np.float32)), (zeros, zeros[0]))


def test_weight_standardization_has_moments_0_and_1(key, normal):
    w = np.asarray(made(lambda layer: L.weight_standardization(layer, epsilon=0), 3 + 2 * normal(3, 3, 2, 4), key), np.float64)
    np.testing.assert_allclose(w.mean((0, 1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(w.var((0, 1, 2)), 1, rtol=1e-5)


def test_spectral_norm_finds_the_largest_singular_value(key, rng, normal):
    left, right = (np.linalg.qr(rng.normal(size=(n, 4)))[0] for n in (6, 4))
    kernel = jnp.asarray((left * [5.0, 2.0, 1.0, 0.1]) @ right.T, jnp.float32)
    for shape in ((6, 4), (3, 2, 4)):
        w = made(L.spectral_norm, kernel.reshape(shape), key)
        np.testing.assert_allclose(w, kernel.reshape(shape) / 5, atol=1e-5)


def test_spectral_norm_moves_its_vector_in_training_only(key, normal):
    model = L.spectral_norm(L.dense(4), steps=2)
    params, state = model.init(key, X)
    state = {"spectral_norm": {"kernel": {"u": jnp.array([1.0, 0, 0, 0])}}}
    assert_equal(model.apply(params, state, normal(2, 6))[1], state)
    new = model.apply(params, state, normal(2, 6), train=True)[1]["spectral_norm"]["kernel"]["u"]
    w, u = np.asarray(params["kernel"], np.float64), np.array([1.0, 0, 0, 0])
    for _ in range(2):
        v = w @ u / np.linalg.norm(w @ u)
        u = v @ w / np.linalg.norm(v @ w)
    np.testing.assert_allclose(new, u, atol=1e-5)


def test_spectral_norm_recovers_from_a_kernel_of_zeros():
    u, zeros = np.array([0.6, 0.8], np.float32), np.zeros((3, 2), np.float32)
    assert_equal(F.power_iteration(zeros, u), u)
    value, gradient = jax.jit(jax.value_and_grad(lambda w: F.spectral_norm(w, u).sum()))(zeros)
    assert value == 0 and np.isfinite(gradient).all()


# Orthogonal kernels


@pytest.mark.parametrize("shape", [(6, 3), (3, 6), (4, 4), (2, 2, 2, 3), (1, 3)], ids=str)
def test_orthogonal_is_the_transform_of_cayley(shape, rng):
    rows, columns = int(np.prod(shape[:-1])), shape[-1]
    x, base = rng.normal(size=(rows, columns)), rng.normal(size=(rows, columns))
    base = np.linalg.qr(base)[0] if rows >= columns else np.linalg.qr(base.T)[0].T
    tall, b = (x, base) if rows >= columns else (x.T, base.T)
    turn, eye = (tall @ b.T - b @ tall.T) / 2, np.eye(len(tall))
    expected = np.linalg.inv(eye - turn) @ (eye + turn) @ b
    actual = F.orthogonal(*(jnp.asarray(a.reshape(shape), jnp.float32) for a in (x, base)))
    np.testing.assert_allclose(actual.reshape(rows, columns), expected if rows >= columns else expected.T, atol=2e-5)


@pytest.mark.parametrize("features", [3, 9])
def test_orthogonal_kernels_stay_so_in_training(features, key, normal):
    x, y, model = normal(8, 6), normal(8, features), L.orthogonal(L.dense(features, bias=False))

    @jax.jit
    def trained(params, state):
        def step(params, _):
            loss, gradient = jax.value_and_grad(lambda params: jnp.square(model.apply(params, state, x)[0] - y).sum())(params)
            return jax.tree.map(lambda w, g: w - 0.02 * g, params, gradient), loss

        params, losses = jax.lax.scan(step, params, length=50)
        return model.apply(params, state, np.eye(6, dtype=np.float32))[0], losses

    q, losses = map(np.asarray, trained(*model.init(key, x)))
    gram = q.T @ q if features < 6 else q @ q.T
    np.testing.assert_allclose(gram, np.eye(min(6, features)), atol=1e-5)
    assert losses[-1] < 0.9 * losses[0]


def test_orthogonal_is_so_and_has_gradients_at_values_of_any_size(normal):
    sizes, base = np.array([0.0, 1e-3, 30.0], np.float32), np.linalg.qr(normal(6, 3))[0]
    weights = normal(6, 3)

    @jax.jit
    @jax.vmap
    def orthogonal(x):
        q, back = jax.vjp(lambda x: F.orthogonal(x, base), x)
        return q, *back(weights)

    kernels, gradients = map(np.asarray, orthogonal(sizes[:, None, None] * normal(6, 3)))
    for size, q, gradient in zip(sizes, kernels, gradients):
        np.testing.assert_allclose(q.T @ q, np.eye(3), atol=1e-4, err_msg=size)
        assert np.isfinite(gradient).all(), size


# Dropped and masked weights


def test_drop_connect_drops_its_share_of_weights(key):
    kernel, rate = np.ones((100, 101), np.float32), 0.3
    w = np.asarray(made(lambda layer: L.drop_connect(layer, rate), kernel, key, jax.random.fold_in(key, 1)))
    np.testing.assert_allclose(np.unique(w), [0, 1 / 0.7], rtol=1e-6)
    assert abs((w == 0).mean() - rate) < 6 * (rate * (1 - rate) / w.size) ** 0.5
    assert_equal(made(lambda layer: L.drop_connect(layer, rate), kernel, key), kernel)


def test_drop_connect_takes_traced_rates_and_is_exact_at_0_and_1(key, normal):
    kernel = normal(5, 3)
    use = jax.random.fold_in(key, 1)
    run = jax.jit(jax.vmap(lambda rate: made(lambda layer: L.drop_connect(layer, rate), kernel, key, use)))
    assert_equal(run(np.array([0, 1], np.float32)), np.stack([kernel, np.zeros_like(kernel)]))


def test_drop_connect_drops_of_every_kernel_by_itself_and_twice_independently(key):
    ones = np.ones((40, 50), np.float32)
    pair = L.stateless(lambda key: {"one": {"kernel": ones}, "two": {"kernel": ones}}, lambda params: params)
    once, twice = L.drop_connect(pair, 0.5), L.drop_connect(L.drop_connect(pair, 0.5), 0.5)
    dropped = once.apply(*once.init(key), key=jax.random.fold_in(key, 1), train=True)[0]
    assert not np.array_equal(dropped["one"]["kernel"], dropped["two"]["kernel"])
    kept = np.asarray(twice.apply(*twice.init(key), key=jax.random.fold_in(key, 1), train=True)[0]["one"]["kernel"]) > 0
    assert abs(kept.mean() - 0.25) < 6 * (0.25 * 0.75 / ones.size) ** 0.5


@pytest.mark.parametrize("rate", [-0.1, 1.5])
def test_drop_connect_refuses(rate):
    with pytest.raises(ValueError, match=r"drop_connect: rate must be in \[0, 1\]"):
        L.drop_connect(L.dense(3), rate)


def test_masked_weights_are_zero_and_have_no_gradient(key, normal):
    mask = np.array([[1, 0, 1], [0, 1, 1]])
    model = L.mask_kernel(L.dense(3), mask)
    params, state = model.init(key, normal(4, 2))
    assert_equal(model.apply(params, state, np.eye(2, dtype="float32"))[0], params["kernel"] * mask.astype("float32"))
    gradient = jax.jit(jax.grad(lambda params: model.apply(params, state, np.ones((1, 2), "float32"))[0].sum()))(params)
    assert_equal(gradient["kernel"], mask.astype("float32"))


def test_masks_by_shape_make_a_convolution_causal(key, normal):
    def past(shape):
        return np.concatenate([np.ones(shape[0] // 2), np.zeros(shape[0] - shape[0] // 2)])[:, None, None]

    x, model = normal(1, 9, 2), L.mask_kernel(L.chain(L.conv(4, 3), jnp.tanh, L.conv(1, 5)), past)
    params, state = model.init(key, x)
    influence = np.asarray(jax.jit(jax.jacobian(lambda x: model.apply(params, state, x)[0][0, :, 0]))(x))[:, 0].any(-1)
    assert not np.triu(influence).any() and np.diag(influence, -2).all()


@pytest.mark.parametrize("mask", [np.ones((5, 3)), np.ones((1, 6, 3)), lambda shape: np.ones(shape[::-1])])
def test_masks_that_do_not_fit_are_refused(mask, key):
    model = L.mask_kernel(L.dense(3), mask)
    params, state = model.init(key, X)
    with pytest.raises(ValueError, match=r"mask_kernel: mask is float64\[.*\], kernel is float32\[6, 3\]"):
        model.apply(params, state, jnp.ones((4, 6)))


# Low-rank adapters


def adapted(model, x, normal):
    """Params and state of a model, with adapters that are not zero."""
    params, state = jax.eval_shape(model.init, jax.random.key(0), x)
    return jax.tree.map(lambda w: 0.3 * normal(*w.shape), params), jax.tree.map(lambda a: np.ones(a.shape, a.dtype), state)


def test_lora_takes_pretrained_params_as_they_are_and_changes_nothing_at_first(key, normal):
    x, model = normal(4, 6), L.lora(net(), 2, alpha=8.0)
    pretrained, state = net().init(jax.random.fold_in(key, 1), x)
    params = model.init(key, x)[0] | pretrained
    assert_equal({name: w for name, w in params.items() if name != "lora"}, pretrained)
    assert_close(model.apply(params, state, x)[0], net().apply(pretrained, state, x)[0])
    assert jax.tree.map(jnp.shape, params["lora"]) == {
        "0": {"kernel": {"a": (6, 2), "b": (2, 5)}},
        "head": {"kernel": {"a": (5, 2), "b": (2, 3)}},
    }


def test_merged_equals_adapted_everywhere_and_unmerge_undoes_it(normal):
    def build(wrap):
        block = L.chain(wrap(L.dense(6)), L.residual(L.dense(6)))
        return wrap(L.chain(wrap(L.conv(2, (3, 2))), L.flatten, L.dense(6), L.repeat(L.repeat(block, 2), 3), out=L.dense(2)))

    x, alpha = normal(2, 3, 2, 2), 3.0
    model, plain = build(lambda layer: L.lora(layer, 2, alpha=alpha)), build(lambda layer: layer)
    params, state = adapted(model, x, normal)
    merged = L.merge_lora(params, alpha=alpha)
    made, _ = jax.eval_shape(plain.init, jax.random.key(0), x)
    assert jax.tree.map(jnp.shape, merged) == jax.tree.map(jnp.shape, made)
    assert_close(plain.apply(merged, state, x)[0], model.apply(params, state, x)[0], scale=10)
    assert_close(L.unmerge_lora(merged, params, alpha=alpha), params)


def test_merged_kernels_keep_their_dtype(normal):
    params = {"kernel": normal(6, 3).astype("bfloat16"), "lora": {"kernel": {"a": normal(6, 1), "b": normal(1, 3)}}}
    merged = L.merge_lora(params)
    assert merged["kernel"].dtype == L.unmerge_lora(merged, params)["kernel"].dtype == "bfloat16"


def test_merging_without_adapters_is_refused(key):
    params, _ = net().init(key, X)
    for call in (L.merge_lora, lambda params: L.unmerge_lora(params, params)):
        with pytest.raises(ValueError, match="matches none of the paths"):
            call(params)


def test_only_adapters_change_in_training_and_the_loss_falls(key, normal):
    x, y, model = normal(8, 6), normal(8, 3), L.lora(net(), 2)
    params, state = model.init(key, x)
    labels = lambda params: jax.tree.map(lambda own: "adapter" if own else "frozen", paths.matches(params, "**/lora/**"))
    optimizer = optax.partition({"adapter": optax.adam(1e-2), "frozen": optax.set_to_zero()}, labels)
    loss = lambda params: jnp.square(model.apply(params, state, x)[0] - y).mean()

    @jax.jit
    def step(params, opt_state):
        updates, opt_state = optimizer.update(jax.grad(loss)(params), opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    new, opt_state = params, jax.jit(optimizer.init)(params)
    for _ in range(10):
        new, opt_state = step(new, opt_state)
    assert_equal(*({name: w for name, w in tree.items() if name != "lora"} for tree in (new, params)))
    assert not any(map(np.array_equal, jax.tree.leaves(new["lora"]), jax.tree.leaves(params["lora"])))
    loss = jax.jit(loss)
    assert loss(new) < loss(params)


def test_gradients_by_adapters_alone_are_those_of_all_params(normal):
    x, model = normal(4, 6), L.lora(net(), 2)
    params, state = adapted(model, x, normal)

    @jax.jit
    def both(params):
        loss = lambda params: jnp.square(model.apply(params, state, x)[0]).sum()
        return jax.grad(lambda adapters: loss(params | {"lora": adapters}))(params["lora"]), jax.grad(loss)(params)["lora"]

    assert_close(*both(params))


MISFITS = [((6, 2), (3, 3)), ((5, 2), (2, 3)), ((6, 2), (2, 4)), ((2, 6, 2), (2, 2, 3)), ((6,), (3,))]


@pytest.mark.parametrize("a, b", MISFITS, ids=str)
def test_adapters_that_do_not_fit_are_refused(a, b):
    with pytest.raises(ValueError, match=r"lora: a must be \(everything, rank\) and b \(rank, out\): a is float32"):
        F.lora(jnp.ones((6, 3)), jnp.ones(a), jnp.ones(b))


# Eight bits


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_int8_is_off_by_half_a_step_at_most(dtype, normal):
    kernel = (normal(5, 4, 7) * np.array([1e-6, 1.0, 1e6, 3.0, 0.1, 1e-3, 10.0])).astype(jnp.dtype(dtype))
    values, scale = F.quantize_int8(kernel)
    assert (values.dtype, scale.dtype, scale.shape) == ("int8", "float32", (7,))
    exact = np.asarray(kernel, np.float64)
    np.testing.assert_allclose(scale, np.abs(exact).max((0, 1)) / 127, rtol=1e-6)
    error = np.abs(np.asarray(F.dequantize(values, scale), np.float64) - exact) / np.asarray(scale, np.float64)
    assert 0.4 < error.max() <= 0.5 + 1e-4
    assert np.abs(np.asarray(values, int)).max((0, 1)).tolist() == [127] * 7


def test_int8_of_zeros_is_zeros():
    zeros = np.zeros((3, 2), "float32")
    values, scale = F.quantize_int8(zeros)
    assert_equal((values, scale), (zeros.astype("int8"), zeros[0]))
    assert_equal(F.dequantize(values, scale), zeros)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_quantised_params_compute_what_rounded_weights_do(train, dtype, key, normal):
    x = normal(4, 6, 5, 2).astype(jnp.dtype(dtype))
    model = L.chain(L.conv(3, 2), L.batch_norm(), L.flatten, head=L.dense(4))
    params, state = model.init(key, x)
    small, small_model = L.quantize(params), L.int8(model)
    rounded = {name: dict(entry) for name, entry in params.items()}
    for name in ("0", "head"):
        rounded[name]["kernel"] = F.dequantize(*F.quantize_int8(params[name]["kernel"]))
    output, new = small_model.apply(small, state, x, train=train)
    assert output.dtype == dtype
    assert_close((output, new), model.apply(rounded, state, x, train=train), scale=3)
    assert jax.eval_shape(small_model.init, key, x) == jax.eval_shape(lambda: (small, state))
    assert_equal(small_model.init(key, x)[0], small)


def test_bytes_of_kernels_fall_to_a_quarter():
    params = {"kernel": np.ones((256, 64), "float32")}
    size = lambda tree: sum(w.nbytes for w in jax.tree.leaves(tree))
    assert size(L.quantize(params)) == size(params) / 4 + 4 * 64


def test_int8_in_repeat_has_scales_for_every_repetition(key, normal):
    x, block = normal(4, 6), L.residual(L.dense(6))
    params, state = L.repeat(block, 3).init(key, x)
    inside, outside = jax.jit(lambda params: (jax.vmap(L.quantize)(params), L.quantize(params)))(params)
    assert inside["int8"]["layer"]["kernel"]["scale"].shape == (3, 6)
    assert outside["int8"]["layer"]["kernel"]["scale"].shape == (6,)
    expected = np.asarray(L.repeat(block, 3).apply(params, state, x)[0])
    for model, small in ((L.repeat(L.int8(block), 3), inside), (L.int8(L.repeat(block, 3)), outside)):
        np.testing.assert_allclose(model.apply(small, state, x)[0], expected, atol=0.02 * np.abs(expected).max())


def test_adapters_of_a_quantised_layer_have_gradients(key, normal):
    x, model = normal(4, 6), L.int8(L.lora(net(), 2))
    params, state = model.init(key, x)
    loss = lambda adapters: jnp.square(model.apply(params | {"lora": adapters}, state, x)[0]).sum()
    gradient = jax.jit(jax.grad(loss))(params["lora"])
    assert np.any(gradient["head"]["kernel"]["b"])
    with pytest.raises(TypeError, match="lora: kernel must be floating point, got int8"):
        L.lora(L.int8(net()), 2).apply(params, state, x)


def test_int8_refuses_what_is_not_quantised_and_quantises_once(key, normal):
    x, model = normal(4, 6), L.int8(net())
    params, state = net().init(key, x)
    with pytest.raises(TypeError, match=r"dequantize: values must be integers, got float32\[6, 5\]"):
        model.apply(L.quantize(params) | params, state, x)
    with pytest.raises(ValueError, match="int8: the params have an entry 'int8' already"):
        L.quantize(L.quantize(params))


# What every function of a kernel refuses

FUNCTIONS = {
    "weight_norm: direction": lambda w: F.weight_norm(w, jnp.ones(3)),
    "spectral_norm: kernel": lambda w: F.spectral_norm(w, jnp.ones(3)),
    "power_iteration: kernel": lambda w: F.power_iteration(w, jnp.ones(3)),
    "orthogonal: kernel": lambda w: F.orthogonal(w, w),
    "weight_standardization: kernel": F.weight_standardization,
    "quantize_int8: kernel": F.quantize_int8,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_kernels_are_floats_with_an_axis(name):
    with pytest.raises(TypeError, match=rf"{name} must be floating point, got int32\[2, 3\]"):
        FUNCTIONS[name](jnp.ones((2, 3), "int32"))
    with pytest.raises(ValueError, match=rf"{name} must be \(\.\.\., out\), got float32\[\]"):
        FUNCTIONS[name](jnp.ones(()))


@pytest.mark.parametrize("call, message", [
    (lambda w: F.weight_norm(w, jnp.ones(2)), r"weight_norm: scale is float32\[2\], kernel is float32\[2, 3\]"),
    (lambda w: F.spectral_norm(w, jnp.ones(2)), r"spectral_norm: u is float32\[2\], kernel is float32\[2, 3\]"),
    (lambda w: F.power_iteration(w, jnp.ones(3), steps=0), "power_iteration: steps must be a positive integer"),
    (lambda w: F.orthogonal(w, w.T), r"orthogonal: shapes differ: kernel is float32\[2, 3\], base is float32\[3, 2\]"),
    (lambda w: F.dequantize(w.astype("int8"), jnp.ones(2)), r"dequantize: scale is float32\[2\], values are int8\[2, 3\]"),
    (lambda w: L.spectral_norm(L.dense(3), steps=0), "spectral_norm: steps must be a positive integer"),
    (lambda w: L.lora(L.dense(3), 0), "lora: rank must be a positive integer"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(jnp.ones((2, 3)))


def test_precision_computes_in_half_and_keeps_weights_and_statistics_in_single(key, normal):
    model, x = L.chain(L.dense(4), L.batch_norm(), jnp.tanh, L.dense(2)), normal(5, 3)
    half = L.precision(model, "bfloat16")
    params, state = half.init(key, x)
    chex.assert_trees_all_equal((params, state), model.init(jax.random.clone(key), x))

    @jax.jit
    def step(params):
        def loss(params):
            output, new = half.apply(params, state, x, train=True)
            return output.sum(), (output, new)

        low = jax.tree.map(lambda a: a.astype("bfloat16"), params)
        return jax.value_and_grad(loss, has_aux=True)(params), model.apply(low, state, x.astype("bfloat16"), train=True)

    ((value, own), gradient), expected = step(params)
    assert value.dtype == "bfloat16"
    assert {a.dtype.name for a in jax.tree.leaves(gradient)} == {"float32"}
    assert_equal(own, expected)
    assert own[1]["1"]["mean"].dtype == "float32"
    with pytest.raises(TypeError, match="dtype must be of floating point"):
        L.precision(model, "int8")


def test_precision_of_integers_and_of_what_is_carried():
    def outputs(key, ids, sequence):
        table, recurrent = (L.precision(layer, "bfloat16") for layer in (L.embedding(5, 3), L.recurrent(L.min_gru_cell(3))))
        weights, _ = recurrent.init(key, sequence)
        _, carry = recurrent.apply(weights, {}, sequence, lengths=[5])[0]
        on = recurrent.apply(weights, {}, sequence, carry=carry)[0][1]
        return table.apply(*table.init(jax.random.clone(key), ids), ids)[0], carry, on

    row, carry, on = jax.eval_shape(outputs, jax.random.key(0), jnp.arange(5), jnp.ones((1, 5, 3)))
    assert (row.dtype, carry.dtype, on.dtype) == ("bfloat16", "float32", "float32")


def test_members_of_an_ensemble_are_networks_of_their_own(key, normal):
    model, x = L.chain(L.dense(4), L.batch_norm(), L.dropout(0.5)), normal(5, 3)
    many = L.ensemble(model, 3)
    params, state = many.init(key, x)

    @jax.jit
    def run(params, state):
        members = (jax.tree.map(lambda a: a[i], (params, state)) for i in range(3))  # noqa: B023
        one_by_one = jnp.stack([model.apply(*member, x)[0] for member in members])
        dropped = many.apply(params, state, x, key=jax.random.clone(key), train=True)[0] == 0
        return *many.apply(params, state, x), one_by_one, dropped

    outputs, new, one_by_one, dropped = run(params, state)
    assert outputs.shape == (3, 5, 4) and new["1"]["mean"].shape == (3, 4)
    assert not np.array_equal(*params["0"]["kernel"][:2])
    assert_close(outputs, one_by_one)
    assert not np.array_equal(*dropped[:2]), "each draws by itself"
    assert jax.eval_shape(lambda x: L.ensemble(jax.nn.relu, 3).apply({}, {}, x)[0], x).shape == (3, 5, 3)
    with pytest.raises(ValueError, match="members must be a positive integer"):
        L.ensemble(model, 0)
