"""Dense layers of every kind and embeddings: values by hand, fans of initializers, edge cases, refusals."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.nn import initializers
from programs import one_program_each
from tolerances import assert_close, assert_equal

import jdl.functional
import jdl.layers

F, L = one_program_each(jdl.functional), one_program_each(jdl.layers)


@pytest.fixture
def normal(rng):
    return lambda *shape: np.asarray(rng.normal(size=shape), np.float32)


def fans(layer, *shapes):
    """Fan-in and fan-out that the initializer of the kernel sees, and the kernel that it makes of 0, 1, ..."""
    seen = []

    def count(key, shape, dtype):
        seen.append(tuple(shape))
        return np.arange(np.prod(shape), dtype=dtype).reshape(shape)

    params, _ = layer(kernel_init=count).init(jax.random.key(0), *(np.ones(shape, np.float32) for shape in shapes))
    return seen[0], params["kernel"]


# Dense over axes


@pytest.mark.parametrize("axis, out, form", [
    ((1, 2), (5,), "btd,tdo->bo"),
    ((2, -2), (5,), "btd,dto->bo"),
    (1, (2, 5), "btd,thk->bdhk"),
    ((0, 1, 2), (2,), "btd,btdo->o"),
    (-1, (2, 5), "btd,dhk->bthk"),
], ids=str)  # fmt: skip
def test_dense_over_axes(normal, axis, out, form):
    x = normal(4, 3, 6)
    axes = axis if isinstance(axis, tuple) else (axis,)
    kernel, bias = normal(*(x.shape[one] for one in axes), *out), normal(*out)
    y = np.einsum(form, x, kernel) + np.asarray(bias)
    assert_close(F.dense(x, kernel, bias, axis=axis), jnp.asarray(y))


def test_dense_makes_its_kernel_as_a_matrix():
    matrix, kernel = fans(functools.partial(L.dense, (2, 5), axis=(1, 2)), (4, 3, 6))
    assert matrix == (18, 10)
    assert_equal(kernel, np.arange(180, dtype=np.float32).reshape(3, 6, 2, 5))


@pytest.mark.parametrize("axis, message", [
    ((-1, 2), r"dense: x must have the axes \[-1, 2\], each another, got float32\[4, 3, 6\]"),
    (3, r"dense: x must have the axes \[3\]"),
    ((0, -4), r"dense: x must have the axes \[0, -4\]"),
], ids=str)  # fmt: skip
def test_dense_needs_its_axes(key, axis, message):
    with pytest.raises(ValueError, match=message):
        L.dense(2, axis=axis).init(key, jnp.ones((4, 3, 6)))


@pytest.mark.parametrize("kernel, axis, message", [
    ((3, 6), (1, 2), r"dense: kernel must be \(\*in, \*out\) with 2 axes in, got float32\[3, 6\], x is float32\[4, 3, 6\]"),
    ((3, 6, 2), (1, -2), r"dense: kernel takes \[3, 6\] features along \[1, -2\]"),
    ((3, 6), (), r"dense: kernel must be"),
], ids=str)  # fmt: skip
def test_dense_over_axes_refuses(kernel, axis, message):
    with pytest.raises(ValueError, match=message):
        F.dense(jnp.ones((4, 3, 6)), jnp.ones(kernel), axis=axis)


# Einsum


@pytest.mark.parametrize("equation, x, kernel", [
    ("btd,dhk->bthk", (4, 3, 6), (6, 2, 5)),
    ("b...d,dk->k...b", (4, 3, 2, 6), (6, 5)),
    ("...gd, gdk -> ...gk", (4, 2, 3), (2, 3, 5)),
    ("btd,d->bd", (4, 3, 6), (6,)),
    ("ab,ab->", (2, 3), (2, 3)),
])  # fmt: skip
def test_einsum_is_that_of_numpy(normal, equation, x, kernel):
    x, kernel = normal(*x), normal(*kernel)
    assert_close(F.einsum(equation, x, kernel), jnp.asarray(np.einsum(equation, x, kernel)))


@pytest.mark.parametrize("equation, shape, x, matrix, kernel", [
    ("btd,dhk->bthk", (6, 2, 5), (4, 3, 6), (6, 10), lambda a: a.reshape(6, 2, 5)),
    ("bthk,dhk->btd", (6, 2, 5), (4, 3, 2, 5), (10, 6), lambda a: a.T.reshape(6, 2, 5)),
    ("bgd,kgd->bgk", (5, 2, 3), (4, 2, 3), (3, 5), lambda a: np.broadcast_to(a.T[:, None], (5, 2, 3))),
    ("bd,d->bd", (6,), (4, 6), (1, 1), lambda a: np.zeros(6, np.float32)),
])  # fmt: skip
def test_the_axes_that_einsum_sums_over_are_the_fan_in(equation, shape, x, matrix, kernel):
    seen, made = fans(functools.partial(L.einsum, equation, shape), x)
    assert seen == matrix
    assert_equal(made, kernel(np.arange(np.prod(matrix), dtype=np.float32).reshape(matrix)))


def test_groups_of_einsum_have_numbers_of_their_own(key):
    params, _ = L.einsum("bgd,gdk->bgk", (2, 50, 40)).init(key, jnp.ones((4, 2, 50)))
    one, other = np.asarray(params["kernel"])
    assert (one != other).all()
    assert abs(one.var() * 50 - 1) < 6 * np.sqrt(2 / 2000)  # 6 sigma of a normal's; a truncated normal's is less


@pytest.mark.parametrize("bias_axes, shape", [("hk", (2, 5)), ("k", (5,)), ("h", (2, 1)), ("th", (3, 2, 1)), ("", None)])
def test_bias_axes_of_einsum(normal, bias_axes, shape):
    x, layer = normal(4, 3, 6), L.einsum("...td,dhk->...thk", (6, 2, 5), bias_axes=bias_axes)
    made, state = jax.eval_shape(layer.init, jax.random.key(0), x)
    assert ("bias" in made) == (shape is not None)
    if shape is not None:
        assert made["bias"].shape == shape
        params = jax.tree.map(lambda a: normal(*a.shape), made)
        without = np.einsum("...td,dhk->...thk", x, params["kernel"])
        assert_close(layer.apply(params, state, x)[0], without + params["bias"])


def test_a_bias_before_the_dots_of_einsum(key):
    params, _ = jax.eval_shape(L.einsum("c...,c->c...", (3,), bias_axes="c").init, key, jnp.ones((3, 4, 5)))
    assert params["bias"].shape == (3, 1, 1)


@pytest.mark.parametrize("equation, message", [
    ("bd,dk", 'einsum: equation must be like "btd,dhk->bthk"'),
    ("bd,...k->bk", "einsum: equation must be like"),
    ("bb,dk->bk", "names an axis of one term twice"),
    ("...d,dk->k", r"has \.\.\. on one side alone"),
    ("bd,dk->bkz", "has an axis of the output in neither"),
    ("bd,dk->bd", "has an axis of the kernel in neither"),
    ("bd,dhk->bhk", r"does not fit a kernel of shape \[6, 2\]"),
])  # fmt: skip
def test_einsum_refuses_equations(equation, message):
    with pytest.raises(ValueError, match=message):
        L.einsum(equation, (6, 2))
    with pytest.raises(ValueError, match=message):
        F.einsum(equation, jnp.ones((4, 6)), jnp.ones((6, 2)))


# Bilinear, bias, maxout


def test_bilinear_is_a_sum_of_products(normal):
    x1, x2, kernel, bias = normal(2, 3), normal(2, 4), normal(3, 4, 5), normal(5)
    y = np.einsum("bi,ijo,bj->bo", x1, kernel, x2) + np.asarray(bias)
    assert_close(F.bilinear(x1, x2, kernel, bias), jnp.asarray(y))
    assert_close(F.bilinear(x1[0], x2[0], kernel, bias), jnp.asarray(y[0]))


def test_bilinear_has_the_fan_in_of_both_inputs():
    assert fans(functools.partial(L.bilinear, 5), (2, 3), (2, 4))[0] == (12, 5)


@pytest.mark.parametrize("x1, x2, kernel, message", [
    ((4, 3), (4, 2), (3, 2), r"bilinear: kernel must be \(in1, in2, out\), got float32\[3, 2\]; x1 is float32\[4, 3\], x2 is"),
    ((4, 3), (4, 3), (3, 2, 5), r"bilinear: kernel takes 3 and 2 features, x1 is float32\[4, 3\], x2 is float32\[4, 3\]"),
    ((4, 3), (1, 2), (3, 2, 5), r"bilinear: all axes but the last must be the same, x1 is float32\[4, 3\], x2 is float32\[1, 2\]"),
    ((), (), (3, 2, 5), r"bilinear: kernel takes 3 and 2"),
])  # fmt: skip
def test_bilinear_refuses(key, x1, x2, kernel, message):
    with pytest.raises(ValueError, match=message):
        F.bilinear(jnp.ones(x1), jnp.ones(x2), jnp.ones(kernel))


def test_bilinear_layer_refuses(key):
    with pytest.raises(TypeError, match=r"bilinear: x2 must be a floating-point array, got int32\[4, 2\]"):
        L.bilinear(3).init(key, jnp.ones((4, 3)), jnp.ones((4, 2), jnp.int32))
    with pytest.raises(ValueError, match=r"bilinear: x2 must be \(\.\.\., features\), got float32\[\]"):
        L.bilinear(3).init(key, jnp.ones((4, 3)), jnp.ones(()))


def test_bias_is_added_to_the_last_axes(normal):
    x, bias = normal(4, 3, 2), normal(3, 1)
    assert_equal(F.add_bias(x, bias), jnp.asarray(np.asarray(x) + np.asarray(bias)))
    assert_equal(F.add_bias(x, np.array(2, np.float32)), x + 2)


@pytest.mark.parametrize("bias", [(2, 3), (1, 4, 3), (4,)], ids=str)
def test_bias_must_fit(bias):
    with pytest.raises(ValueError, match=r"add_bias: bias .* does not fit the last axes of x, float32\[4, 3\]"):
        F.add_bias(jnp.ones((4, 3)), jnp.ones(bias))


def test_maxout_takes_the_largest_of_neighbours(normal):
    x = normal(4, 6, 5)
    y = np.stack([np.asarray(x)[:, :3].max(1), np.asarray(x)[:, 3:].max(1)], 1)
    assert_equal(F.maxout(x, 3, axis=1), jnp.asarray(y))
    assert_equal(F.maxout(x, 3, axis=-2), jnp.asarray(y))
    assert_equal(F.maxout(x, 1), x)


def test_maxout_of_two_pieces_can_be_the_absolute_value(normal):
    params = {"kernel": np.array([[1, -1]], np.float32), "bias": np.zeros(2, np.float32)}
    x = normal(5, 1)
    assert_equal(L.maxout(1, 2).apply(params, {}, x)[0], np.abs(x))


@pytest.mark.parametrize("pieces, axis, message", [
    (4, -1, r"maxout: axis -1 of x must be there and divisible by 4, x is float32\[4, 6\]"),
    (2, 2, "maxout: axis 2 of x must be there"),
    (0, -1, "maxout: pieces must be a positive integer, got 0"),
])  # fmt: skip
def test_maxout_refuses(pieces, axis, message):
    with pytest.raises(ValueError, match=message):
        F.maxout(jnp.ones((4, 6)), pieces, axis)


# Adaptive softmax


def test_adaptive_softmax_gives_probabilities(normal, key):
    layer, x = L.adaptive_log_softmax(20, [5, 9], div_value=2.0, bias=True), 3 * normal(4, 3, 8)
    params, state = layer.init(key, x)
    assert [params[tail]["down"]["kernel"].shape for tail in ("tail0", "tail1")] == [(8, 4), (8, 2)]
    shares = np.exp(np.asarray(layer.apply(params, state, x)[0], np.float64))
    np.testing.assert_allclose(shares.sum(-1), 1, rtol=1e-5)
    head = np.exp(np.asarray(x, np.float64) @ np.asarray(params["head"]["kernel"], np.float64))
    clusters = np.stack([shares[..., 5:9].sum(-1), shares[..., 9:].sum(-1)], -1)
    np.testing.assert_allclose(clusters, head[..., 5:] / head.sum(-1, keepdims=True), rtol=1e-4)


def test_adaptive_softmax_without_clusters_is_softmax(normal):
    x, head, bias = normal(4, 3), normal(3, 5), normal(5)
    assert_close(F.adaptive_log_softmax(x, head, [], bias), F.log_softmax(x @ head + bias[None]))


@pytest.mark.parametrize("head, down, up, bias, message", [
    ((6, 3), (6, 2), (3, 4), (3,), r"tail 0 must be \(in, narrow\) and \(narrow, classes\), got float32\[6, 2\] and .*\[3, 4\]"),
    ((6, 1), (6, 2), (2, 4), (1,), r"head must be \(in, frequent \+ 1 clusters\), got float32\[6, 1\], x is float32\[4, 6\]"),
    ((6, 3), (6, 2), (2, 4), (2,), r"bias must be \[3\], got float32\[2\]"),
])  # fmt: skip
def test_adaptive_softmax_refuses(head, down, up, bias, message):
    with pytest.raises(ValueError, match=f"adaptive_log_softmax: {message}"):
        F.adaptive_log_softmax(jnp.ones((4, 6)), jnp.ones(head), [(jnp.ones(down), jnp.ones(up))], jnp.ones(bias))


# Embeddings


@pytest.mark.parametrize("one_hot", [False, True], ids=["rows", "one_hot"])
def test_padding_starts_at_zero_and_gets_no_gradient(key, one_hot):
    layer, ids = L.embedding(5, 3, padding_index=2, one_hot=one_hot), np.array([[2, 0, 2], [4, 4, 2]])
    params, state = layer.init(key, ids)
    made = np.asarray(params["embedding"])
    assert (made[2] == 0).all() and (made[[0, 1, 3, 4]] != 0).all()
    loss = lambda params: jnp.sum(layer.apply(params, state, ids)[0])
    assert_equal(jax.jit(jax.grad(loss))(params)["embedding"], np.float32(np.repeat([[1], [0], [0], [0], [2]], 3, 1)))


def test_one_hot_is_the_look_up(normal):
    table, ids = normal(5, 3), np.array([[4, 0], [1, 4]])
    loss = lambda table, one_hot: jnp.sin(F.embedding(ids, table, one_hot=one_hot)).sum()
    assert_close(*jax.jit(lambda table: [jax.value_and_grad(loss)(table, one_hot) for one_hot in (False, True)])(table))


@pytest.mark.parametrize("bad", [-1, 5])
def test_one_hot_out_of_range(normal, bad):
    ids, table = np.array([0, bad]), normal(5, 2)
    with pytest.raises(ValueError, match=rf"embedding: ids must lie in 0..4, found {bad} at index \[1\]"):
        jdl.functional.embedding(ids, table, one_hot=True)
    y = np.asarray(F.embedding(ids, table, one_hot=True))
    assert np.isnan(y[1]).all() and np.isfinite(y[0]).all()


@pytest.mark.parametrize("index", [5, -1, True, 1.0])
def test_padding_index_must_be_a_row(index):
    message = r"embedding: padding_index must be an integer in 0\.\.4"
    with pytest.raises(ValueError, match=message):
        L.embedding(5, 3, padding_index=index)
    with pytest.raises(ValueError, match=message):
        F.embedding(jnp.array([0]), jnp.ones((5, 3)), padding_index=index)


def test_attend_is_the_product_with_the_transpose(normal):
    x, table = normal(2, 3, 4), normal(5, 4)
    assert_close(F.attend(x, table), x @ table.T)
    assert jax.eval_shape(F.attend, x.astype(jnp.bfloat16), table).dtype == "bfloat16"
    for wrong in (normal(4, 5), normal(4)):
        with pytest.raises(ValueError, match=r"attend: a table \(size, features\) must have the features of x, got"):
            F.attend(x, wrong)


@pytest.mark.parametrize("reduction, by_hand", [("mean", np.mean), ("sum", np.sum), ("max", np.max)])
def test_embedding_bag_by_hand(normal, reduction, by_hand):
    table, ids = normal(5, 3), np.array([[[1, 4, 4], [0, 2, 1]]])
    where = np.array([[[True, False, True], [False, True, False]]])
    bag = functools.partial(F.embedding_bag, table=table, reduction=reduction)
    rows = table[ids]
    assert_close(bag(ids), by_hand(rows, axis=2))
    counted = [by_hand(rows[*place][where[*place]], axis=0) for place in np.ndindex(1, 2)]
    assert_close(bag(ids, where=where), np.stack(counted)[None])


@pytest.mark.parametrize("reduction", ["mean", "sum", "max"])
def test_an_empty_bag_gives_zeros_and_finite_gradients(normal, reduction):
    table, ids = normal(5, 3), np.array([[1, 2], [9, -7]])  # what does not count may be anything
    bag = functools.partial(jdl.functional.embedding_bag, reduction=reduction, where=np.array([[True, True], [False, False]]))

    def summed(table):
        y = bag(ids, table)
        return y.sum(), y

    bag(ids, table)  # and is not complained about
    gradient, y = map(np.asarray, jax.jit(jax.grad(summed, has_aux=True))(table))
    assert (y[1] == 0).all() and (y[0] != 0).all()
    assert np.isfinite(gradient).all() and (gradient[[0, 3, 4]] == 0).all() and gradient.any()
    assert_equal(F.embedding_bag(np.zeros((2, 0), int), table, reduction=reduction), np.zeros((2, 3), np.float32))


def test_what_does_not_count_spoils_nothing(normal):
    table = normal(5, 3)
    table[0] = np.nan
    ids, where, weights = np.array([1, 0]), np.array([True, False]), np.array([2, np.nan], np.float32)
    total = lambda table, weights: F.embedding_bag(ids, table, reduction="sum", weights=weights, where=where).sum()
    found = jax.jit(jax.value_and_grad(total, argnums=(0, 1)))(table, weights)
    of_table = np.repeat(np.float32([[0], [2], [0], [0], [0]]), 3, 1)
    assert_close(found, (2 * table[1].sum(), (of_table, np.array([table[1].sum(), 0], np.float32))))


@pytest.mark.parametrize("ids, options, error, message", [
    (np.ones((2, 3), int), {"reduction": "min"}, ValueError, 'reduction must be "mean", "sum" or "max", got \'min\''),
    (np.ones((2, 3), int), {"weights": np.ones((2, 3))}, ValueError, 'weights are for reduction="sum", got "mean"'),
    (np.ones((2, 3), int), {"where": np.ones(3, bool)}, ValueError, r"shapes differ: .*where is bool\[3\]"),
    (np.ones((2, 3)), {}, TypeError, r"ids must be integers, got float64\[2, 3\]"),
    (np.full((2, 3), 5), {}, ValueError, r"ids must lie in 0\.\.4, found 5 at index \[0, 0\]"),
    (np.ones((), int), {}, ValueError, r"ids must be \(\.\.\., bag\), got int64\[\]"),
])  # fmt: skip
def test_embedding_bag_refuses(ids, options, error, message):
    with pytest.raises(error, match=f"embedding_bag: {message}"):
        jdl.functional.embedding_bag(ids, jnp.ones((5, 2)), **options)


def test_embedding_bag_takes_weights_and_where_by_keyword(key, normal):
    layer, ids = L.embedding_bag(5, 3, reduction="sum"), np.array([[1, 4], [2, 2]])
    options = {"weights": normal(2, 2), "where": np.array([[True, False], [True, True]])}
    params, state = layer.init(key, ids, **options)
    y = F.embedding_bag(ids, params["embedding"], reduction="sum", **options)
    assert_equal(layer.apply(params, state, ids, **options)[0], y)


# MLPs


def test_mlp_is_dense_layers_with_activations_between(key, normal):
    x, model = normal(4, 6), L.mlp((5, 7, 3), activation=jnp.tanh, bias_init=initializers.normal(1.0))
    params, state = model.init(key, x)
    dense = [lambda x, p=params[name]: x @ np.asarray(p["kernel"]) + np.asarray(p["bias"]) for name in params]
    assert list(params) == ["0", "1", "2"]
    expected = dense[2](np.tanh(dense[1](np.tanh(dense[0](x)))))
    assert_close(model.apply(params, state, x, train=True)[0], expected)
    last = L.mlp((5, 7, 3), activation=jnp.tanh, activate_last=True)
    assert_close(last.apply(params, state, x)[0], np.tanh(expected))


def test_mlp_drops_after_every_activation(key):
    model = L.mlp((1000, 1000), dropout=0.25, activation=jnp.ones_like, activate_last=True)
    x = np.ones((1, 1000), np.float32)
    params, state = jax.eval_shape(model.init, key, x)
    params = jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), params)  # which do not matter to this activation
    y = np.asarray(model.apply(params, state, x, key=key, train=True)[0])
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}
    assert abs((y == 0).mean() - 0.25) < 6 * np.sqrt(0.25 * 0.75 / 1000)
    assert_equal(model.apply(params, state, x)[0], x)


def test_dropout_of_mlp_may_be_traced(key):
    x = np.ones((2, 6), np.float32)
    params, state = L.mlp((5, 3)).init(key, x)

    @jax.jit
    def run(rate):
        dropped = L.mlp((5, 3), dropout=rate).apply(params, state, x, key=jax.random.key(1), train=True)[0]
        return dropped, L.mlp((5, 3)).apply(params, state, x)[0]

    assert_close(*run(0.0))


def test_gated_mlp_ends_as_wide_as_its_input(key):
    for features, width in ((None, 6), (3, 3)):
        layer = L.swiglu(5, features=features, bias=True)
        params, state = jax.eval_shape(layer.init, key, jnp.ones((2, 6)))
        assert params.keys() == {"gate", "up", "down"} and all(p.keys() == {"kernel", "bias"} for p in params.values())
        assert jax.eval_shape(layer.apply, params, state, jnp.ones((2, 6)))[0].shape == (2, width)


# Constructors


@pytest.mark.parametrize("make, message", [
    (lambda: L.dense(0), "dense: features must be a positive integer, got 0"),
    (lambda: L.dense((3, 0)), r"dense: features must be a positive integer, got \(3, 0\)"),
    (lambda: L.dense(()), r"dense: features and axis must be integers, one or more, got \(\) and -1"),
    (lambda: L.dense(3, axis=()), "dense: features and axis must be integers, one or more"),
    (lambda: L.dense(3, axis=1.0), "dense: features and axis must be integers, .* got 3 and 1.0"),  # type: ignore[arg-type]
    (lambda: L.einsum("bd,dk->bk", (6, 0)), r"einsum: shape must be a positive integer, got \(6, 0\)"),
    (lambda: L.einsum("bd,dk->bk", (6, 2), bias_axes="d"), 'einsum: bias_axes "d" must be axes of the output of "bd,dk->bk"'),
    (lambda: L.einsum("...d,dk->...k", (6, 2), bias_axes="."), 'einsum: bias_axes "." must be axes of the output'),
    (lambda: L.bilinear(0), "bilinear: features must be a positive integer, got 0"),
    (lambda: L.embedding_bag(5, 0), "embedding_bag: features must be a positive integer, got 0"),
    (lambda: L.embedding_bag(5, 3, reduction="none"), "embedding_bag: reduction must be"),  # type: ignore[arg-type]
    (lambda: L.mlp(()), "mlp: widths must have an entry for every dense layer, got none"),
    (lambda: L.mlp((3, 0)), r"mlp: widths must be a positive integer, got \(3, 0\)"),
    (lambda: L.mlp((3,), dropout=1.5), r"mlp: dropout must be in \[0, 1\], got 1.5"),
    (lambda: L.gated_mlp(0), "gated_mlp: hidden must be a positive integer, got 0"),
    (lambda: L.reglu(5, features=0), "gated_mlp: features must be a positive integer, got 0"),
    (lambda: L.maxout(3, 0), "maxout: pieces must be a positive integer, got 0"),
    (lambda: L.adaptive_log_softmax(9, []), r"cutoffs must rise, one or more, and be less than 9 classes, got \[\]"),
    (lambda: L.adaptive_log_softmax(9, [4, 4]), r"adaptive_log_softmax: cutoffs must rise, .* got \[4, 4\]"),
    (lambda: L.adaptive_log_softmax(9, [4, 9]), r"adaptive_log_softmax: cutoffs must rise, .* 9 classes, got \[4, 9\]"),
    (lambda: L.adaptive_log_softmax(9, [0, 4]), r"adaptive_log_softmax: cutoffs must be a positive integer, got \(0, 4\)"),
    (lambda: L.adaptive_log_softmax(9, [4], div_value=0.5), "adaptive_log_softmax: div_value must be at least 1, got 0.5"),
])  # fmt: skip
def test_constructors_refuse(make, message):
    with pytest.raises(ValueError, match=message):
        make()
