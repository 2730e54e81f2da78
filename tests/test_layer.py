"""The core: layers as pairs of pure functions, and what is built on it."""

import functools
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import assert_close, assert_equal

from jdl import layers as L
from jdl.layer import Layer, derive, observe


@pytest.fixture
def x(rng):
    return jnp.asarray(rng.normal(size=(4, 6)), jnp.float32)


def member(tree, i):
    return jax.tree.map(lambda a: a[i], tree)


def stack(trees):
    return jax.tree.map(lambda *arrays: jnp.stack(arrays), *trees)


def wide(shape):
    return jax.ShapeDtypeStruct(shape, "float32")


def shared(**layers):
    """Calls each of its layers, in the order of their names, on the same input."""
    return L.compose(**layers)(lambda net, x: [getattr(net, name)(x) for name in sorted(layers)])


# Names and keys


def test_a_new_sibling_changes_no_other_parameters(key, x):
    few = shared(a=L.dense(3), c=L.dense(3)).init(key, x)[0]
    more = shared(a=L.dense(3), b=L.dense(2), c=L.dense(3)).init(key, x)[0]
    assert_equal({"a": more["a"], "c": more["c"]}, few)
    assert not (few["a"]["kernel"] == few["c"]["kernel"]).any()


def test_a_new_sibling_changes_no_other_draws(key, x):
    few = shared(a=L.dropout(0.5), c=L.dropout(0.5)).apply({}, {}, x, key=key, train=True)[0]
    more = shared(a=L.dropout(0.5), b=L.dropout(0.5), c=L.dropout(0.5)).apply({}, {}, x, key=key, train=True)[0]
    assert_equal([more[0], more[2]], few)
    assert (few[0] != few[1]).any()


def test_sublayers_get_the_keys_of_their_names(key, x):
    params, _ = L.chain(L.chain(inner=L.dense(3))).init(key, x)
    assert_equal(params["0"]["inner"], L.dense(3).init(derive(derive(key, "0"), "inner"), x)[0])


def test_chain_names_by_position_or_keyword(key, x):
    params, state = L.chain(L.dense(5), jnp.tanh, norm=L.batch_norm(), head=L.dense(2)).init(key, x)
    assert list(params) == ["0", "norm", "head"] and list(state) == ["norm"]


def test_layers_without_parameters_or_state_have_no_entry(key, x):
    params, state = L.chain(jnp.tanh, L.chain(L.dropout(0.1), L.flatten), L.dense(3)).init(key, x)
    assert list(params) == ["2"] and state == {}
    assert L.chain(jnp.tanh, L.dropout(0.1)).init(key, x) == ({}, {})


# Shared sublayers


def test_a_sublayer_called_twice_shares_parameters_and_threads_state(key, x):
    dense, norm, drop = L.dense(6), L.batch_norm(momentum=0.5), L.dropout(0.5)

    @L.compose(dense=dense, norm=norm, drop=drop)
    def twice(net, x):
        y = net.drop(net.norm(net.dense(x)))
        return y, net.drop(net.norm(net.dense(y)))

    params, state = twice.init(key, x)
    assert params.keys() == {"dense", "norm"}
    outputs, new = twice.apply(params, state, x, key=key, train=True)

    y, own, by_hand = x, state["norm"], []
    for call in range(2):
        y, own = norm.apply(params["norm"], own, dense.apply(params["dense"], {}, y)[0], train=True)
        y, _ = drop.apply({}, {}, y, key=derive(key, "drop", call), train=True)
        by_hand.append(y)
    assert_close((outputs, new), (tuple(by_hand), {"norm": own}))
    assert ((outputs[0] == 0) != (outputs[1] == 0)).any(), "each call has a mask of its own"


def test_apply_leaves_its_arguments_alone(key, x):
    model = L.chain(norm=L.batch_norm())
    params, state = model.init(key, x)
    before = jax.tree.map(jnp.copy, (params, state))
    model.apply(params, state, x, train=True)
    assert_equal((params, state), before)


def test_tied_weights_get_the_gradient_of_both_uses(key):
    @L.compose(table=L.embedding(5, 3))
    def tied(net, ids):
        return net.table(ids) @ net.params["table"]["embedding"].T

    ids = jnp.array([[0, 4], [1, 1]])
    params, state = tied.init(key, ids)
    gradient = jax.grad(lambda params: jnp.square(tied.apply(params, state, ids)[0]).sum())(params)
    untied = lambda look_up, read: jnp.square(look_up[ids] @ read.T).sum()
    table = params["table"]["embedding"]
    assert_close(gradient["table"]["embedding"], sum(jax.grad(untied, argnums=(0, 1))(table, table)))


# Inputs


@L.compose(dense=L.dense(6))
def masked(net, x, mask=None):
    y = net.dense(x)
    return y if mask is None else jnp.where(mask, y, 0)


def test_inputs_by_keyword(key, x):
    mask = x > 0
    params, state = masked.init(key, x, mask=mask)
    y, _ = masked.apply(params, state, x, mask=mask)
    assert_equal(y, jnp.where(mask, masked.apply(params, state, x)[0], 0))
    assert_equal(masked.apply(params, state, x, mask)[0], y)
    outer = L.compose(inner=masked)(lambda net, x, mask: net.inner(x, mask=mask))
    assert_equal(outer.apply({"inner": params}, {}, x, mask)[0], y)


@pytest.mark.parametrize("layer", [masked, L.dense(6), L.batch_norm(), L.dropout(0.5), L.chain(jnp.tanh), L.repeat(L.dense(6), 2)])
def test_unknown_keywords_are_type_errors(layer, key, x):
    params, state = jax.eval_shape(layer.init, key, x)
    for call in (functools.partial(layer.init, key), functools.partial(layer.apply, params, state)):
        with pytest.raises(TypeError, match="mesk"):
            jax.eval_shape(call, x, mesk=x)


def test_none_is_an_input(key, x):
    params, state = masked.init(key, x, None)
    assert_equal(masked.apply(params, state, x, None)[0], masked.apply(params, state, x)[0])
    assert_equal(params, masked.init(key, x, mask=None)[0])


@pytest.mark.parametrize("model", [L.dense(3), L.chain(L.batch_norm(), L.dense(3), L.layer_norm())])
def test_numpy_inputs(model, key, x, rng):
    expected = model.init(key, x)
    assert_equal(model.init(key, np.asarray(x)), expected)
    assert_equal(model.apply(*expected, np.asarray(x)), model.apply(*expected, x))
    x = rng.normal(size=(4, 6))  # float64, as NumPy makes them
    assert_equal(model.init(key, x), expected)
    assert_close(model.apply(*expected, x), model.apply(*expected, jnp.asarray(x)))


def test_init_takes_shapes_alone(key, x):
    model = L.chain(L.conv(3, 2), L.flatten, L.repeat(L.dense(12), 2), L.dense(2))
    image = jnp.ones((2, 2, 2, 1))
    assert_equal(model.init(key, wide(image.shape)), model.init(key, image))
    with pytest.raises(TypeError, match="mask"):
        masked.init(key, wide((4, 6)), wide((4, 6)), mask=None)


def test_inputs_may_be_trees(key, x):
    model = L.compose(a=L.dense(3), b=L.dense(3))(lambda net, xs: {"sum": net.a(xs["a"]) + net.b(xs["b"][0])})
    params, state = model.init(key, {"a": x, "b": [x[:, :2]]})
    assert [params[name]["kernel"].shape for name in "ab"] == [(6, 3), (2, 3)]
    assert model.apply(params, state, {"a": x, "b": [x[:, :2]]})[0]["sum"].shape == (4, 3)


# What is refused


def test_a_sublayer_that_is_never_called_is_an_error(key, x):
    model = L.compose(used=L.dense(3), lost=L.dense(3))(lambda net, x: net.used(x))
    with pytest.raises(ValueError, match=r"never called net\.lost"):
        model.init(key, x)


def test_no_sublayer_is_named_params():
    with pytest.raises(ValueError, match="no sublayer may be named params"):
        L.compose(params=L.dense(3))


@pytest.mark.parametrize("build", [L.chain, lambda bad: L.compose(bad=bad), lambda bad: L.parallel(sum, bad), L.residual])
def test_what_is_no_layer_is_refused(build):
    with pytest.raises(TypeError, match="must be a Layer or a function of arrays, got 3"):
        build(3)


def test_a_layer_that_is_not_a_sublayer_is_an_error(key, x):
    with pytest.raises(AttributeError, match="dence"):
        L.compose(dense=L.dense(3))(lambda net, x: net.dence(x)).init(key, x)


def test_residual_does_not_broadcast(key, x):
    with pytest.raises(ValueError, match=r"residual: shapes differ: skip is float32\[4, 6\], layer is float32\[4, 1\]"):
        L.residual(L.dense(1)).init(key, x)


@pytest.mark.parametrize("times", [0, -1, 2.0, True])
def test_repeat_wants_a_positive_number(times):
    with pytest.raises(ValueError, match="repeat: times must be a positive integer"):
        L.repeat(L.dense(3), times)


@pytest.mark.parametrize("layer", [L.dense(5), L.function(lambda x: x.astype(jnp.bfloat16))])
def test_a_repeated_layer_must_keep_shape_and_dtype(layer, key, x):
    model = L.repeat(layer, 2)
    params, state = jax.eval_shape(model.init, key, x)
    with pytest.raises(ValueError, match=r"repeat: .* must keep shape and dtype, this one maps float32\[4, 6\] to \w+\[4, \d\]"):
        jax.eval_shape(model.apply, params, state, x)


# Errors


def test_errors_say_where(key, x):
    model = L.chain(encoder=L.chain(L.dense(3), mlp=L.chain(up=L.dense(8))))
    params, state = model.init(key, x)
    params["encoder"]["mlp"]["up"]["kernel"] = jnp.ones((5, 8))
    with pytest.raises(ValueError, match=r"dense: kernel takes 5 features, x is float32\[4, 3\]") as caught:
        model.apply(params, state, x)
    assert caught.value.__notes__[0] == 'in layer "encoder/mlp/up", called with float32[4, 3]'
    assert sum(note.startswith("in layer") for note in caught.value.__notes__) == 1


def test_errors_of_users_functions_say_where_too(key, x):
    def mine(x):
        raise KeyError("mine")

    with pytest.raises(KeyError) as caught:
        L.chain(block=L.chain(L.dense(2), mine)).init(key, x)
    assert caught.value.__notes__[0] == 'in layer "block/1", called with float32[4, 2]'


def test_a_path_ends_with_its_error(key, x):
    for _ in range(2):
        with pytest.raises(ValueError) as caught:
            L.chain(a=L.residual(L.dense(1))).init(key, x)
        assert caught.value.__notes__[0].startswith('in layer "a", ')


def test_observe_sees_paths_inputs_and_outputs(key, x):
    model = L.chain(L.dense(3), block=L.chain(act=jnp.tanh))
    params, state = model.init(key, x)
    seen = {}
    with observe(lambda path, layer, inputs, output: seen.update({path: (inputs, output)})):
        y, _ = model.apply(params, state, x)
    model.apply(params, state, x + 1)  # not seen
    assert list(seen) == ["0", "block/act", "block"]  # in the order in which they end
    h, _ = L.dense(3).apply(params["0"], {}, x)
    assert_equal(seen, {"0": (((x,), {}), h), "block/act": (((h,), {}), y), "block": (((h,), {}), y)})


# Repeat


def block():
    return L.residual(L.chain(L.batch_norm(), L.dense(6), jnp.tanh, L.dropout(0.5)))


def test_repeat_equals_a_loop(key, x, rng):
    times, layer = 3, block()
    model = L.repeat(layer, times)
    params, state = jax.jit(model.init)(key, x)
    init = jax.jit(layer.init)
    own = [init(derive(key, "repeat", i), x) for i in range(times)]
    assert_close((params, state), stack(own))

    def loop(params, x):
        states = []
        for i in range(times):
            x, new = layer.apply(member(params, i), member(state, i), x, key=derive(key, "repeat", i), train=True)
            states.append(new)
        return jnp.sin(x).sum(), (x, stack(states))

    def scanned(params, x):
        y, new = model.apply(params, state, x, key=key, train=True)
        return jnp.sin(y).sum(), (y, new)

    results = [jax.jit(jax.value_and_grad(f, argnums=(0, 1), has_aux=True))(params, x) for f in (scanned, loop)]
    assert_close(*results)


def test_repeat_in_repeat_equals_a_loop(key, x):
    layer = L.dense(6)
    model = L.repeat(L.repeat(layer, 2), 3)
    params, state = jax.jit(model.init)(key, x)
    assert params["kernel"].shape == (3, 2, 6, 6) and len(np.unique(params["kernel"])) == params["kernel"].size
    y = x
    for i, j in np.ndindex(3, 2):
        y, _ = layer.apply(member(params, (i, j)), {}, y)
    assert_close(model.apply(params, state, x)[0], y)


def test_dropout_in_repeat_draws_anew_each_time(key):
    x = jnp.ones(10_000)
    once, twice = (L.repeat(L.dropout(0.5), times).apply({}, {}, x, key=key, train=True)[0] for times in (1, 2))
    assert set(np.unique(once)) == {0, 2} and set(np.unique(twice)) == {0, 4}
    assert abs((twice > 0).mean() - 0.25) < 0.03  # one mask twice would keep half


def test_repeat_hands_on_shared_inputs_and_scans_caches(key, x, rng):
    @L.compose(dense=L.dense(6))
    def attend(net, x, shift, *, scale, cache):
        cache = cache + x.sum()
        return net.dense(x) * scale + shift + cache, cache

    model = L.repeat(attend, 3, scanned=["cache"])
    caches = jnp.asarray(rng.normal(size=3), jnp.float32)
    params, state = model.init(key, x, x, scale=2.0, cache=caches)
    (y, new), _ = model.apply(params, state, x, x, scale=2.0, cache=caches)
    expected, by_hand = x, []
    for i in range(3):
        (expected, cache), _ = attend.apply(member(params, i), {}, expected, x, scale=2.0, cache=caches[i])
        by_hand.append(cache)
    assert_close((y, new), (expected, jnp.stack(by_hand)), scale=10)


def test_repeat_without_caches_to_scan(key, x):
    layer = L.compose(dense=L.dense(6))(lambda net, x, cache=None: (net.dense(x), x.sum() if cache is None else cache))
    model = L.repeat(layer, 2, scanned=["cache"])
    params, state = model.init(key, x)
    (y, sums), _ = model.apply(params, state, x)
    assert y.shape == x.shape and sums.shape == (2,)


# Init


def counting(calls: Counter) -> Layer:
    """A leaf that counts how often Python runs its init and its apply."""

    def init(key, x):
        calls["init"] += 1
        return {"w": jnp.ones(x.shape)}, {}

    def apply(params, state, x, *, key=None, train=False):
        calls["apply"] += 1
        return x * params["w"], state

    return Layer(init, apply)


def nested(leaf: Layer, depth: int) -> Layer:
    for _ in range(depth):
        leaf = L.chain(inner=leaf)
    return leaf


def calls_at_init(model_of, sizes, x):
    counts = []
    for size in sizes:
        calls = Counter()
        jax.eval_shape(model_of(counting(calls), size).init, jax.random.key(0), x)
        counts.append(calls)
    return counts


def test_init_of_nested_layers_costs_in_proportion_to_their_depth():
    counts = calls_at_init(nested, (2, 4, 8, 16), wide((4,)))
    for what in ("init", "apply"):
        a, b, c, d = (calls[what] for calls in counts)
        assert (b - a) * 2 == c - b and (c - b) * 2 == d - c and d <= 17, counts


def test_init_of_a_chain_costs_in_proportion_to_its_length():
    counts = calls_at_init(lambda leaf, size: L.chain(*[leaf] * size), (2, 4, 8), wide((4,)))
    assert [calls["apply"] for calls in counts] == [2, 4, 8] and [calls["init"] for calls in counts] == [4, 8, 16]


def test_init_again_with_the_same_shapes_looks_for_no_shapes(key, x):
    calls = Counter()
    model = L.chain(counting(calls), counting(calls))
    model.init(key, x)
    calls.clear()
    model.init(key, x + 1)
    assert calls == {"init": 2}
    model.init(key, x[:2])
    assert calls == {"init": 2 + 4, "apply": 2}  # other shapes are looked for


def test_init_computes_nothing():
    assert jax.eval_shape(L.chain(L.dense(10**6)).init, jax.random.key(0), wide((10**6, 10**6)))[0]["0"]["bias"].shape == (10**6,)
    seen = []

    def watched(x):
        assert isinstance(x, jax.core.Tracer)
        seen.append(x.shape)
        return x

    L.chain(watched, L.dense(2)).init(jax.random.key(0), np.ones((4, 3), np.float32))
    assert seen


def test_a_layer_may_be_made_of_traced_values(key, x):
    def experiment(key, rate):
        model = L.chain(L.dense(3), L.dropout(rate))
        params, state = model.init(key, x)
        return model.apply(params, state, x, key=jax.random.fold_in(key, 1), train=True)[0]

    rates = jnp.array([0.0, 1.0])
    with jax.checking_leaks():
        kept, dropped = jax.jit(jax.vmap(experiment))(jax.random.split(key), rates)
    assert (kept != 0).all() and (dropped == 0).all()


def test_keys_must_be_typed(x):
    model = L.chain(L.dense(3), L.dropout(0.5))
    with pytest.raises(TypeError, match=r"key must be a typed key, such as jax\.random\.key\(0\), got uint32\[2\]"):
        model.init(jax.random.PRNGKey(0), x)


def test_parameters_are_there_after_the_first_call(key, x):
    model = L.compose(dense=L.dense(6))(lambda net, x: x @ net.params["dense"]["kernel"] + net.dense(x))
    with pytest.raises(KeyError, match=r"not there before the first call of net\.dense"):
        model.init(key, x)
