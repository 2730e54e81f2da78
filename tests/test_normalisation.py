"""Norms beyond the properties of every layer: devices, masks, running statistics, folding, conditions."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P
from programs import one_program_each
from test_parity import golden
from tolerances import assert_close, assert_equal

import jdl.functional
import jdl.layers

F, L = one_program_each(jdl.functional), one_program_each(jdl.layers)
DEVICES = 4


@pytest.fixture
def normal(rng):
    return lambda *shape: np.asarray(rng.normal(size=shape), np.float32)


@pytest.fixture
def exact(rng):
    """Multiples of 1/16, of which sums have no rounding error."""
    return lambda *shape: np.asarray(rng.integers(-64, 64, size=shape) / 16, np.float32)


def train(norm, x, state=None, params=None, **named):
    """Output and state after one batch."""
    made = jax.eval_shape(norm.init, jax.random.key(0), x, **named)
    fresh = norm.init(jax.random.key(0), x, **named) if params is None or state is None else made
    return norm.apply(params or fresh[0], state or fresh[1], x, train=True, **named)


def states_of(norm, steps, **named):
    """The state after each batch of `steps`, stacked."""
    params, state = norm.init(jax.random.key(0), steps[0])

    def step(state, own):
        x, named = own
        return (norm.apply(params, state, x, train=True, **named)[1],) * 2

    return jax.jit(lambda *all: jax.lax.scan(step, state, all)[1])(steps, named)


# Devices


def by_vmap(function, *parts):
    return jax.jit(jax.vmap(function, axis_name="data"))(*parts)


def by_pmap(function, *parts):
    return jax.pmap(function, axis_name="data", devices=jax.devices()[:DEVICES])(*parts)


def by_shard_map(function, *parts):
    mesh = jax.make_mesh((DEVICES,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:DEVICES])

    def block(*parts):  # a device's part, without and with the axis of devices
        return jax.tree.map(lambda a: a[None], function(*(part[0] for part in parts)))

    return jax.jit(jax.shard_map(block, mesh=mesh, in_specs=P("data"), out_specs=P("data")))(*parts)


ways = pytest.mark.parametrize("spread", [by_vmap, by_pmap, by_shard_map])


@functools.partial(jax.jit, static_argnums=0)
def trained(norm, params, state, x, mask=None):
    """Output, state, and the gradient for the input, of a loss that no normalisation makes constant."""

    def loss(x):
        y, new = norm.apply(params, state, x, mask=mask, train=True)
        return jnp.sin(y).sum(), (y, new)

    gradient, (y, new) = jax.grad(loss, has_aux=True)(x)
    return y, new, gradient


@ways
@pytest.mark.parametrize("masked", [False, True], ids=["all", "masked"])
def test_many_devices_are_as_one(spread, masked, exact, normal):
    """The mean exactly, the variance within 1e-6, also where devices count unequally many samples."""
    x = exact(8 * DEVICES, 3)
    counts = np.array([8, 1, 0, 7])  # of each device, one has seen nothing; a power of 2 in all, so that dividing is exact
    mask = (np.arange(8) < counts[:, None]).reshape(-1) if masked else None
    plain, synced = L.batch_norm(momentum=0), L.batch_norm(momentum=0, axis_name="data")
    params, state = {"scale": np.abs(normal(3)), "bias": normal(3)}, plain.init(jax.random.key(0), x)[1]
    y, new, gradient = trained(plain, params, state, x, mask)

    parts = (x,) if mask is None else (x, mask)
    run = functools.partial(trained, synced, params, state)
    many = spread(run, *(a.reshape(DEVICES, 8, *a.shape[1:]) for a in parts))
    many = jax.tree.map(np.asarray, many)
    for device in range(DEVICES):
        assert_equal(many[1]["mean"][device], new["mean"])
        np.testing.assert_allclose(many[1]["variance"][device], new["variance"], rtol=1e-6)
    assert_close(many[0].reshape(y.shape), y)
    assert_close(many[2].reshape(x.shape), gradient, scale=10)


@ways
@pytest.mark.parametrize("groups", [[[0, 1], [3, 2]], [[0, 2, 3], [1]]], ids=str)
def test_groups_of_devices_share_statistics(spread, groups, exact):
    x = exact(DEVICES, 8, 3)
    norm = L.batch_norm(momentum=0, unbiased=True, axis_name="data", axis_index_groups=groups)
    params, state = norm.init(jax.random.key(0), x[0])
    y, new, gradient = jax.tree.map(np.asarray, spread(functools.partial(trained, norm, params, state), x))
    whole = L.batch_norm(momentum=0, unbiased=True)
    for group in groups:
        expected = jax.tree.map(np.asarray, trained(whole, params, state, x[group].reshape(-1, 3)))
        for i, device in enumerate(group):
            here = slice(8 * i, 8 * i + 8)
            assert_close((y[device], gradient[device]), (expected[0][here], expected[2][here]), scale=10)
            assert_close({name: a[device] for name, a in new.items()}, expected[1])


def test_groups_count_unequal_masks(exact):
    x, mask = exact(DEVICES, 5, 2), np.arange(5) < np.array([[1], [5], [2], [0]])
    moments = functools.partial(F.moments, axis_name="data", axis_index_groups=[[0, 1], [2, 3]])
    mean, variance = by_vmap(lambda x, mask: moments(x, mask=mask), x, mask)
    for device, moments in enumerate(zip(np.asarray(mean), np.asarray(variance))):
        pair = slice(device // 2 * 2, device // 2 * 2 + 2)
        rows = x[pair][mask[pair]]
        assert_close(moments, (rows.mean(0), rows.var(0)))


@pytest.mark.parametrize("groups, axis_name, message", [
    ([[0, 1]], None, "axis_index_groups are of one axis, axis_name is None"),
    ([[0, 1]], ("a", "b"), "are of one axis"),
    ([[0, 1], [1]], "a", "must hold every index of the axis once"),
    ([[0], [2]], "a", "must hold every index of the axis once"),
])  # fmt: skip
def test_wrong_groups_are_refused(groups, axis_name, message):
    with pytest.raises(ValueError, match=f"batch_norm: .*{message}"):
        L.batch_norm(axis_name=axis_name, axis_index_groups=groups)


def test_groups_of_another_axis_size_are_refused():
    with pytest.raises(ValueError, match="not those of axis 'data', whose size is 4"):
        by_vmap(functools.partial(F.moments, axis_name="data", axis_index_groups=[[0], [1]]), jnp.ones((4, 2, 3)))


# Masks


@pytest.mark.parametrize("shape", [(6,), (6, 4)], ids=["samples", "places"])
def test_a_mask_leaves_out_what_it_says(shape, normal, rng):
    x, mask = normal(6, 4, 3), rng.random(shape) < 0.6
    mask[0] = True
    norm = L.batch_norm(unbiased=True)
    params, state = norm.init(jax.random.key(0), x, mask=mask)
    y, new, gradient = trained(norm, params, state, x, mask)
    where = np.broadcast_to(mask.reshape(*shape, *(1,) * (2 - len(shape))), (6, 4))
    by_rows, expected, _ = trained(norm, params, state, x[where])
    assert_close(new, expected)
    assert_close(np.asarray(y)[where], by_rows)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("filler", [np.nan, np.inf, 1e30])
def test_what_is_masked_reaches_no_gradient_of_the_rest(filler, normal):
    x, mask = normal(6, 3), np.arange(6) < 4

    @jax.jit
    def moments(x, mask=None):
        return jax.value_and_grad(lambda x: sum(jnp.sin(m).sum() for m in F.moments(x, mask=mask)))(x)

    expected, x[4:] = moments(x[:4]), filler
    value, gradient = map(np.asarray, moments(x, mask))
    assert_close((value, gradient[:4]), expected)
    assert_equal(gradient[4:], np.zeros((2, 3), np.float32))


@pytest.mark.slow
def test_a_mask_has_all_modes_of_differentiation(normal):
    with jax.enable_x64(True):
        x, mask = normal(5, 2).astype("float64"), jnp.array([True, False, True, True, False])
        rows = np.flatnonzero(mask)
        loss = lambda x, mask=None: sum(jnp.sin(m).sum() for m in F.moments(x, mask=mask))
        expected = jax.hessian(loss)(x[rows])
        for mode in (jax.hessian, lambda f: jax.jacrev(jax.jacfwd(f)), lambda f: jax.jacrev(jax.jacrev(f))):
            actual = mode(functools.partial(loss, mask=mask))(x)
            assert_close(actual[rows][:, :, rows], expected)
            assert not actual[np.flatnonzero(~mask)].any()


@pytest.mark.parametrize("options", [{}, {"unbiased": True}, {"debias": True}, {"ghost_size": 2}], ids=str)
def test_a_batch_of_which_nothing_counts_leaves_the_state(options, normal):
    norm = L.batch_norm(**options)
    x, mask = normal(4, 3), np.ones(4, bool)
    _, state, _ = trained(norm, *norm.init(jax.random.key(0), x), x, mask)
    params = {"scale": normal(3), "bias": normal(3)}
    y, new, gradient = trained(norm, params, state, normal(4, 3), ~mask)
    assert_equal(new, state)
    assert np.isfinite(y).all() and np.isfinite(gradient).all()


@pytest.mark.parametrize("mask, error, message", [
    (jnp.ones(4), TypeError, r"batch_norm: mask must be bools, got float32\[4\]"),
    (jnp.ones(3, bool), ValueError, r"batch_norm: mask must have the leading shape of float32\[4, 2, 3\] .*bool\[3\]"),
    (jnp.ones((4, 2, 3), bool), ValueError, r"without features, got bool\[4, 2, 3\]"),
])  # fmt: skip
def test_wrong_masks_are_refused(mask, error, message):
    with pytest.raises(error, match=message):
        train(L.batch_norm(), jnp.ones((4, 2, 3)), mask=mask)


# Running statistics


def test_running_statistics_are_those_of_pytorch():
    """After each of 100 updates; PyTorch's are from float64. An update rounds by one bit and remembers the roundings of ten."""
    values = golden("normalisation")
    steps, expected = values["batch_norm_running/input/steps"], values["batch_norm_running/output"]
    states = states_of(L.batch_norm(momentum=0.9, unbiased=True), jnp.asarray(steps, jnp.float32))
    actual = np.stack([states["mean"], states["variance"]])
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, rtol=0, atol=10 * np.finfo(np.float32).eps * scale)
    with jax.enable_x64(True):
        wide = states_of(L.batch_norm(momentum=0.9, unbiased=True), jnp.asarray(steps))
        np.testing.assert_allclose(np.stack([wide["mean"], wide["variance"]]), expected, rtol=0, atol=1e-14 * scale)


def test_debiased_statistics_are_a_weighted_mean_of_the_batches_seen(normal):
    steps, momentum = normal(5, 8, 3), 0.7
    states = states_of(L.batch_norm(momentum=momentum, debias=True), steps)
    weights = momentum ** np.arange(4, -1, -1.0)
    rows = np.asarray(steps, np.float64)
    mean, variance = (weights[:, None] * rows.mean(1)).sum(0), (weights[:, None] * rows.var(1)).sum(0)
    expected = {"count": weights.sum(), "mean": mean / weights.sum(), "variance": variance / weights.sum()}
    states = jax.tree.map(np.asarray, states)
    assert_close(jax.tree.map(lambda a: a[-1], states), {k: np.float32(v) for k, v in expected.items()})
    first = {"mean": rows[0].mean(0), "variance": rows[0].var(0)}
    assert_close({name: states[name][0] for name in first}, {k: np.float32(v) for k, v in first.items()})


def test_debiased_statistics_with_a_momentum_of_1_are_the_mean_of_all_batches(normal):
    steps = normal(7, 8, 3)
    states = jax.tree.map(np.asarray, states_of(L.batch_norm(momentum=1, debias=True), steps))
    assert_close(states["mean"][-1], steps.mean((0, 1)))
    assert_close(states["variance"][-1], steps.var(1).mean(0))
    assert states["count"].tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_a_debiased_norm_that_has_seen_nothing_leaves_its_input(normal):
    x, norm = normal(4, 3), L.batch_norm(debias=True, epsilon=0)
    assert_close(norm.apply(*norm.init(jax.random.key(0), x), x)[0], x)


def test_momentum_may_be_traced(normal):
    x = normal(4, 3)

    @jax.jit
    @jax.vmap
    def means(momentum):
        mean = lambda momentum, debias: train(L.batch_norm(momentum=momentum, debias=debias), x)[1]["mean"]
        return mean(momentum, False), mean(momentum, True), jax.jacrev(mean)(momentum, True)

    momenta = np.array([0.0, 0.3, 1.0], np.float32)
    plain, debiased, slopes = means(momenta)
    assert_close(plain, (1 - momenta[:, None]) * x.mean(0))
    assert_close(debiased, np.stack([x.mean(0)] * 3))
    assert np.isfinite(slopes).all()


def test_ghost_batches_are_normalised_by_themselves(normal):
    x, mask = normal(6, 4, 3), np.arange(6) != 1
    norm, ghosts = L.batch_norm(momentum=0, unbiased=True), L.batch_norm(momentum=0, unbiased=True, ghost_size=2)

    @jax.jit
    def outcomes(x, mask):
        parts = [train(norm, x[i : i + 2]) for i in (0, 2, 4)]
        return parts, train(norm, x[:2], mask=mask[:2]), train(ghosts, x), train(ghosts, x, mask=mask)

    parts, first, whole, masked = jax.tree.map(np.asarray, outcomes(x, mask))
    mean = lambda states, weights: jax.tree.map(lambda *a: np.average(a, 0, weights).astype(np.float32), *states)
    assert_close(whole, (np.concatenate([y for y, _ in parts]), mean([state for _, state in parts], None)))
    assert_close(masked[0][:2], first[0])
    assert_close(masked[1], mean([first[1], *(state for _, state in parts[1:])], [1, 2, 2]))


def test_wrong_ghost_sizes_are_refused():
    with pytest.raises(ValueError, match="ghost_size must be a positive integer"):
        L.batch_norm(ghost_size=0)
    with pytest.raises(ValueError, match="only one can be given"):
        L.batch_norm(ghost_size=2, axis_name="data")
    with pytest.raises(ValueError, match=r"float32\[4, 3\] can't be split into ghost batches of 3"):
        train(L.batch_norm(ghost_size=3), jnp.ones((4, 3)))


# Recomputation


def test_recomputed_statistics_are_the_mean_over_batches(normal, key):
    """In each norm, at any depth, of what it sees in training: here by hand, batch by batch."""
    first, inner = L.batch_norm(momentum=0.99), L.batch_norm(momentum=0.5, debias=True)
    model = L.chain(first, L.repeat(L.chain(L.dense(3), norm=inner), 2), drop=L.dropout(0.0))
    batches = normal(4, 8, 3)
    params, state = model.init(key, batches[0])
    state = jax.tree.map(lambda a: np.full(a.shape, 3, a.dtype), state)  # stale
    new = jax.jit(functools.partial(L.recompute_statistics, model))(params, state, batches, key=jax.random.clone(key))
    assert jax.tree.structure(new) == jax.tree.structure(state)
    params, new = jax.tree.map(np.asarray, (params, new))
    moments = lambda x: (x.mean(0), x.var(0))
    normalised = lambda x: (x - x.mean(0)) / np.sqrt(x.var(0) + np.float32(1e-5))
    seen = {"0": [], "1": []}
    for x in batches:
        seen["0"].append(moments(x))
        y, rows = normalised(x), []
        for i in range(2):
            y = y @ params["1"]["0"]["kernel"][i] + params["1"]["0"]["bias"][i]
            rows.append(moments(y))
            y = normalised(y)
        seen["1"].append(tuple(map(np.stack, zip(*rows))))
    mean = lambda seen: dict(zip(("mean", "variance"), (sum(a) / 4 for a in zip(*seen))))
    assert_close(new["0"], mean(seen["0"]))
    assert_close({name: new["1"]["norm"][name] for name in ("mean", "variance")}, mean(seen["1"]))


def test_recomputation_knows_unequal_masks_and_other_inputs(normal):
    batches, labels = normal(3, 4, 2), np.zeros((3, 4), "int32")
    mask = np.arange(4) < np.array([[4], [0], [2]])  # the second batch has nothing
    norm = L.conditional_batch_norm(2)
    params, state = norm.init(jax.random.key(0), batches[0], labels[0])
    new = L.recompute_statistics(norm, params, state, batches, labels, mask=mask)
    assert_close(new["mean"], (batches[0].mean(0) + batches[2, :2].mean(0)) / 2)


def test_recomputation_of_no_norm_or_no_batches():
    assert L.recompute_statistics(L.dense(2), {"kernel": jnp.ones((3, 2))}, {}, jnp.ones((2, 4, 3))) == {}
    for batches in ((), (jnp.ones((0, 4, 3)),)):
        with pytest.raises(ValueError, match="recompute_statistics: there are no batches"):
            L.recompute_statistics(L.batch_norm(), {}, {}, *batches)


# Folding


@pytest.mark.parametrize("layer, shape", [
    (L.dense(4), (3, 5)),
    (L.dense(4, bias=False), (3, 5)),
    (L.conv(4, 3, stride=2, groups=2), (3, 6, 5, 2)),
    (L.conv(4, 2, bias=False), (3, 6, 3)),
], ids=["dense", "dense_without_bias", "conv", "conv_without_bias"])  # fmt: skip
@pytest.mark.parametrize("affine", [True, False], ids=["weights", "no_weights"])
def test_a_folded_norm_is_in_the_layer_before_it(layer, shape, affine, normal, key):
    x, norm = normal(*shape), L.batch_norm(scale=affine, bias=affine, epsilon=0.1)
    params, _ = layer.init(key, x)
    y, _ = layer.apply(params, {}, x)
    norm_params = {"scale": normal(4), "bias": normal(4)} if affine else {}
    state = {"mean": normal(4), "variance": np.square(normal(4))}
    expected, _ = norm.apply(norm_params, state, y)
    assert_close(layer.apply(L.fold_batch_norm(params, norm_params, state, epsilon=0.1), {}, x)[0], expected)


def test_folding_refuses_other_features():
    norm = {}, {"mean": jnp.zeros(4), "variance": jnp.ones(4)}
    with pytest.raises(ValueError, match="the norm has 4 features, the kernel has 3"):
        L.fold_batch_norm({"kernel": jnp.ones((4, 3))}, *norm)
    with pytest.raises(ValueError, match="the kernel is not among scale"):
        L.fold_batch_norm({"scale": jnp.ones(4)}, *norm)


# Renormalisation


def test_renorm_with_limits_of_1_and_0_is_batch_norm(normal):
    x, state = normal(6, 3), {"mean": normal(3), "variance": np.square(normal(3))}
    params = {"scale": normal(3), "bias": normal(3)}
    traced = jax.jit(lambda r, d: trained(L.batch_renorm(r_max=r, d_max=d), params, state, x))
    assert_close(traced(1.0, 0.0), trained(L.batch_norm(), params, state, x))


def test_renorm_without_limits_is_evaluation(normal):
    x, state = normal(6, 3), {"mean": normal(3), "variance": np.square(normal(3))}
    params = {"scale": normal(3), "bias": normal(3)}
    norm = L.batch_renorm(r_max=math.inf, d_max=math.inf)
    assert_close(norm.apply(params, state, x, train=True)[0], norm.apply(params, state, x)[0], scale=10)


def test_renorm_between_its_limits_is_its_definition(normal):
    x, (mean, scale, bias), variance = normal(6, 3) + 1, normal(3, 3), np.array([0.01, 1.0, 100.0], np.float32)
    ours = lambda x: F.batch_renorm(x, *F.moments(x), mean, variance, scale, bias, r_max=1.5, d_max=0.5, epsilon=0.1)
    rows = np.asarray(x, np.float64)
    root, of_batch = np.sqrt(np.asarray(variance) + 0.1), np.sqrt(rows.var(0) + 0.1)
    r, d = np.clip(of_batch / root, 1 / 1.5, 1.5), np.clip((rows.mean(0) - mean) / root, -0.5, 0.5)

    def fixed(x):  # with r and d as numbers
        return ((x - x.mean(0)) / jnp.sqrt(x.var(0) + 0.1) * np.float32(r) + np.float32(d)) * scale + bias

    @jax.jit
    def values_and_gradients(x):
        loss = lambda x, f: (jnp.sin(y := f(x)).sum(), y)
        return [jax.value_and_grad(loss, has_aux=True)(x, f) for f in (ours, fixed)]

    with jax.numpy_rank_promotion("allow"):
        ((_, y), gradient), (_, expected) = values_and_gradients(x)
    assert_close(y, np.float32(((rows - rows.mean(0)) / of_batch * r + d) * scale + bias))
    assert_close(gradient, expected)


@pytest.mark.parametrize("limits", [{"r_max": 0.5}, {"d_max": -1}], ids=str)
def test_renorm_refuses_limits(limits):
    with pytest.raises(ValueError, match=r"batch_renorm: [rd]_max must be at least"):
        L.batch_renorm(**limits)


# Norms of single samples


def test_group_norm_between_its_extremes(normal):
    @jax.jit
    def pairs(x):
        one, flat = x[:, 0, 0], x.reshape(3, -1)
        return {
            "one group": (F.group_norm(x, groups=1).reshape(3, -1), F.layer_norm(flat)),
            "a group for each channel": (F.group_norm(x, groups=6), F.instance_norm(x)),
            "without places": (F.group_norm(one, groups=1), F.layer_norm(one)),
        }

    for what, pair in pairs(normal(3, 4, 5, 6)).items():
        assert_close({what: pair[0]}, {what: pair[1]})


def test_local_response_norm_is_its_definition(normal):
    x, y = np.asarray(normal(2, 3, 7), np.float64), np.zeros((2, 3, 7))
    for i in range(7):
        window = x[..., max(0, i - 2) : i + 2]  # four wide: two before, itself, one after
        y[..., i] = x[..., i] / (2 + 0.3 / 4 * np.square(window).sum(-1)) ** 0.6
    ours = F.local_response_norm(x.astype(np.float32), size=4, alpha=0.3, beta=0.6, k=2.0)
    assert_close(ours, y.astype(np.float32))


def test_unit_norm_gives_length_1_along_its_axes(normal):
    x = normal(3, 4, 5)
    assert_close(np.linalg.norm(F.unit_norm(x, axis=1), axis=1), np.ones((3, 5), np.float32))
    assert_close(np.square(F.unit_norm(x, axis=(-1, -2))).sum((1, 2)), np.ones(3, np.float32))
    y, gradient = jax.jit(jax.value_and_grad(lambda x: F.unit_norm(x).sum()))(np.zeros((2, 3), np.float32))
    assert y == 0 and np.isfinite(gradient).all()


@pytest.mark.parametrize("axis", [0, (-2,), (-1, -3), (), (-1, -1), (-4, -3, -2, -1)], ids=str)
def test_layer_norm_refuses_axes_that_are_not_trailing(axis):
    with pytest.raises(ValueError, match=r"layer_norm: axis must name trailing axes.*float32\[2, 3, 4\]"):
        F.layer_norm(jnp.ones((2, 3, 4)), axis=axis)


def test_norms_of_constants_are_finite():
    norms = {"group": functools.partial(F.group_norm, groups=2), "instance": F.instance_norm, "adain": lambda x: F.adain(x, x)}
    gradient = lambda norm, x: jax.value_and_grad(lambda x: jnp.sin(norm(x)).sum())(x)
    found = jax.jit(lambda x: {name: gradient(norm, x) for name, norm in norms.items()})(np.full((2, 3, 4), 7, np.float32))
    for name, outcome in found.items():
        assert all(np.isfinite(a).all() for a in outcome), name


# Conditions


def test_adain_gives_the_statistics_of_the_style(normal):
    x, style = normal(2, 4, 5, 3) * 3 - 1, normal(2, 7, 3) + 2  # an image and a sequence
    y = np.asarray(F.adain(x, style, epsilon=1e-8))
    assert_close(y.mean((1, 2)), style.mean(1), scale=10)
    assert_close(y.var((1, 2)), style.var(1), scale=10)


def test_modulation_by_sample_and_by_place(normal):
    x, scale, shift = normal(2, 4, 3), normal(2, 3), normal(2, 4, 3)
    assert_close(F.modulate(x, scale, shift), x * (1 + scale[:, None]) + shift)
    zeros = np.zeros((2, 3), np.float32)
    assert_equal(F.modulate(x, zeros, zeros), x)


@pytest.mark.parametrize("layer", [L.film(), L.adaptive_layer_norm(kernel_init=jax.nn.initializers.normal())])
def test_a_condition_scales_and_shifts(layer, normal, key):
    x, condition = normal(2, 4, 3), normal(2, 5)
    params, _ = layer.init(key, x, condition)
    scale, shift = np.split(np.asarray(condition @ params["kernel"]), 2, axis=-1)
    by_token = np.array(np.broadcast_to(condition[:, None], (2, 4, 5)))
    y = layer.apply(params, {}, x, condition)[0]
    assert_close(layer.apply(params, {}, x, by_token)[0], y)
    base = np.asarray(layer.apply(jax.tree.map(np.zeros_like, params), {}, x, condition)[0])
    assert_close(y, base * (1 + scale[:, None]) + shift[:, None])


def test_what_zeros_make_of_conditional_layers(normal, key):
    x, condition = normal(2, 4, 3), normal(2, 5)
    layer = L.film(kernel_init=jax.nn.initializers.zeros)
    assert_equal(layer.apply(*layer.init(key, x, condition), x, condition)[0], x)
    layer = L.adaptive_layer_norm()
    assert_close(layer.apply(*layer.init(jax.random.clone(key), x, condition), x, condition)[0], F.layer_norm(x))


def test_conditional_batch_norm_has_weights_for_each_class(normal):
    x, labels = normal(4, 3, 2), np.array([1, 0, 1, 2])
    params = {"scale": normal(3, 2), "bias": normal(3, 2)}
    norm = L.conditional_batch_norm(3)
    state = norm.init(jax.random.key(0), x, labels)[1]
    y, new = norm.apply(params, state, x, labels, train=True)
    plain, expected = train(L.batch_norm(), x)
    assert_close(y, np.asarray(plain) * params["scale"][labels][:, None] + params["bias"][labels][:, None])
    assert_close(new, expected)


X, KEY = jnp.ones((2, 4, 3)), jax.random.key(0)


@pytest.mark.parametrize("call, error, message", [
    (lambda: L.conditional_batch_norm(0), ValueError, "conditional_batch_norm: classes must be a positive integer"),
    (lambda: train(L.conditional_batch_norm(2), X), TypeError, "labels"),
    (lambda: L.group_norm(0), ValueError, "group_norm: groups must be a positive integer"),
    (lambda: L.group_norm(2).init(KEY, X), ValueError, r"channels of float32\[2, 4, 3\] can't be split into 2 groups"),
    (lambda: F.group_norm(X, groups=2), ValueError, r"channels of float32\[2, 4, 3\] can't be split into 2 groups"),
    (lambda: L.local_response_norm(size=0), ValueError, "local_response_norm: size must be a positive integer"),
    (lambda: F.dynamic_tanh(X, jnp.ones(3)), ValueError, r"dynamic_tanh: alpha must be a scalar, got shape \[3\]"),
    (lambda: F.adain(X, jnp.ones((2, 4, 5))), ValueError, r"adain: batch or features differ: .*float32\[2, 4, 5\]"),
    (lambda: F.adain(X, jnp.ones((2, 3))), ValueError, r"adain: .*style likewise, got float32\[2, 3\]"),
    (lambda: F.modulate(X, jnp.ones((2, 4)), X), ValueError, r"modulate: scale must be .* got float32\[2, 4\]"),
    (lambda: F.modulate(X, X, jnp.ones(3)), ValueError, r"modulate: shift must be .* got float32\[3\]"),
    (lambda: L.film().init(KEY, X, jnp.ones((3, 5))), ValueError, r"film: condition must be .* got float32\[3, 5\]"),
    (lambda: L.film().init(KEY, X[0, 0], jnp.ones((3, 5))), ValueError, r"film: x must be .* got float32\[3\]"),
    (lambda: L.film().apply({"kernel": jnp.ones((5, 8)), "bias": jnp.ones(8)}, {}, X, jnp.ones((2, 5))), ValueError,
     r"film: kernel is for 4 features, x is float32\[2, 4, 3\]"),
    (lambda: L.adaptive_layer_norm().init(KEY, X, jnp.ones((2, 5), int)), TypeError, "adaptive_layer_norm: condition must be"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
