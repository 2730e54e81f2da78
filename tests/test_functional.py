"""Functions on arrays, against definitions written in NumPy and SciPy, and against JAX's own."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from programs import one_program_each
from tolerances import assert_close, assert_equal

import jdl.functional

F = one_program_each(jdl.functional)

DIMS = {1: ("NWC", "WIO", "NWC"), 2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}


@pytest.fixture
def normal(rng):
    return lambda *shape: np.asarray(rng.normal(size=shape), np.float32)


# Dense


def test_dense_is_a_sum_of_products(normal):
    x, kernel, bias = normal(2, 3, 4), normal(4, 5), normal(5)
    y = np.zeros((2, 3, 5))
    for *place, i, o in np.ndindex(2, 3, 4, 5):
        y[*place, o] += float(x[*place, i]) * float(kernel[i, o])
    assert_close(F.dense(x, kernel, bias), jnp.asarray(y + np.asarray(bias), jnp.float32))
    assert_close(F.dense(x[0, 0], kernel), jnp.asarray(y[0, 0], jnp.float32))


def derivatives(f, x, kernel):
    """Value, gradients, second derivatives, and gradients under vmap over x, the kernel and both, and outside of it."""
    loss = lambda x, kernel: jnp.sin(f(x, kernel)).sum()
    both = jax.value_and_grad(loss, argnums=(0, 1))
    pair = jnp.stack([x, 2 * x]), jnp.stack([kernel, 2 * kernel])
    mapped = {
        "x": jax.vmap(both, (0, None))(pair[0], kernel),
        "kernel": jax.vmap(both, (None, 0))(x, pair[1]),
        "both": jax.vmap(both)(*pair),
        "twice": jax.vmap(jax.vmap(both, (None, 0)), (0, None))(*pair),
        "outside": jax.grad(lambda *pair: jax.vmap(loss)(*pair).sum(), argnums=(0, 1))(*pair),
    }
    second = jax.hessian(loss, argnums=(0, 1))(x, kernel), jax.jacrev(jax.jacfwd(loss, argnums=0), argnums=1)(x, kernel)
    return f(x, kernel), both(x, kernel), mapped, second, jax.linearize(f, x, kernel)[1](x, kernel)


def derivatives_one_by_one(f, x, kernel):
    """The same, without vmap of f, and of the modes of differentiation the plainest."""
    loss = lambda x, kernel: jnp.sin(f(x, kernel)).sum()
    pair = jnp.stack([x, 2 * x]), jnp.stack([kernel, 2 * kernel])
    both = lambda places: jax.value_and_grad(loss, argnums=(0, 1))(pair[0][places[0]], pair[1][places[1]])
    twice = jax.lax.map(both, jnp.stack(jnp.indices((2, 2)), -1).reshape(4, 2))
    twice = jax.tree.map(lambda a: a.reshape(2, 2, *a.shape[1:]), twice)
    at = lambda *places: jax.tree.map(lambda a: a[places], twice)
    diagonal = at([0, 1], [0, 1])
    mapped = {"x": at(slice(None), 0), "kernel": at(0), "both": diagonal, "twice": twice, "outside": diagonal[1]}
    hessian = jax.hessian(loss, argnums=(0, 1))(x, kernel)
    return f(x, kernel), at(0, 0), mapped, (hessian, hessian[0][1]), jax.jvp(f, (x, kernel), (x, kernel))[1]


def assert_derivatives(f, reference, x, kernel):
    ours, expected = jax.jit(functools.partial(derivatives, f)), jax.jit(functools.partial(derivatives_one_by_one, reference))
    assert_close(ours(x, kernel), expected(x, kernel))


@pytest.mark.parametrize("shape", [(3,), pytest.param((2, 3), marks=pytest.mark.slow), (2, 2, 3)], ids=str)
def test_dense_has_the_derivatives_of_dot(normal, shape):
    assert_derivatives(jdl.functional.dense, lambda x, kernel: jnp.tensordot(x, kernel, 1), normal(*shape), normal(3, 2))


@pytest.mark.parametrize("x, kernel, message", [
    ((4, 5), (6, 2), r"dense: kernel takes 6 features, x is float32\[4, 5\]"),
    ((), (6, 2), r"dense: kernel takes 6 features, x is float32\[\]"),
    ((4, 6), (6,), r"dense: kernel must be \(in, out\), got float32\[6\]"),
])  # fmt: skip
def test_dense_refuses(x, kernel, message):
    with pytest.raises(ValueError, match=message):
        F.dense(jnp.ones(x), jnp.ones(kernel))


# Convolution


def lax_conv(x, kernel, *, stride=1, padding="SAME", dilation=1, groups=1):
    """Pads by itself: with more padding than the window reaches, XLA's CPU code for lax's own gradient is wrong on JAX 0.10."""
    spatial = x.ndim - 2
    stride, dilation = ((size,) * spatial if isinstance(size, int) else size for size in (stride, dilation))
    if isinstance(padding, str):
        reach = [d * (w - 1) + 1 for d, w in zip(dilation, kernel.shape)]
        padding = jax.lax.padtype_to_pads(x.shape[1:-1], reach, stride, padding)
    padding = [(padding, padding)] * spatial if isinstance(padding, int) else padding
    x = jnp.pad(x, [(0, 0), *padding, (0, 0)])
    return jax.lax.conv_general_dilated(
        x, kernel, stride, "VALID", rhs_dilation=dilation, dimension_numbers=DIMS[spatial], feature_group_count=groups
    )


@pytest.mark.parametrize("spatial", [(7,), (5, 6), (4, 3, 5)], ids=len)
def test_conv_is_a_sum_of_correlations(normal, spatial):
    x, kernel, bias = normal(2, *spatial, 2), normal(*(2, 3, 2)[: len(spatial)], 2, 3), normal(3)
    y = np.asarray(F.conv(x, kernel, bias, padding="VALID"))
    for n, o in np.ndindex(2, 3):
        sums = sum(scipy.signal.correlate(x[n, ..., i], kernel[..., i, o], "valid", "direct") for i in range(2))
        assert_close(y[n, ..., o], np.asarray(sums + bias[o], np.float32))


def correlated(x, kernel, *, stride, padding, dilation):
    """Convolution along one axis as it is defined, with what its gradients make of the cosine of the output."""
    window, spans = len(kernel), dilation * (len(kernel) - 1) + 1
    if isinstance(padding, str):
        padding = jax.lax.padtype_to_pads(x.shape[1:-1], [spans], [stride], padding)
    low, high = (padding, padding) if isinstance(padding, int) else padding[0]
    seen = np.pad(np.asarray(x, np.float64), [(0, 0), (low, high), (0, 0)])
    places = [slice(k * dilation, seen.shape[1] - spans + 1 + k * dilation, stride) for k in range(window)]
    y = sum(seen[:, place] @ tap for place, tap in zip(places, kernel))
    of_x, of_kernel = np.zeros_like(seen), np.zeros(kernel.shape)
    for k, place in enumerate(places):
        of_x[:, place] += np.cos(y) @ kernel[k].T
        of_kernel[k] = np.einsum("npi,npo->io", seen[:, place], np.cos(y))
    return jax.tree.map(np.float32, (y, (of_x[:, low : low + x.shape[1]], of_kernel)))


@pytest.mark.parametrize("size, window", [(7, 3), (8, 2), (5, 1), (6, 4)])
def test_conv_in_every_geometry_is_its_definition(normal, size, window):
    """One axis in every stride, padding and dilation; other ranks are products of these."""
    x, kernel = normal(2, size, 2), normal(window, 2, 3)
    paddings = ["SAME", "VALID", 2, ((0, 3),), ((4, 1),)]
    geometries = [dict(zip(("stride", "padding", "dilation"), g)) for g in itertools.product([1, 2, 3], paddings, [1, 2])]
    if window == 4:  # dilated it spans 7
        geometries = [g for g in geometries if g["padding"] != "VALID" or g["dilation"] == 1]

    @jax.jit
    def values_and_gradients(x, kernel):
        def one(geometry):
            y, back = jax.vjp(functools.partial(jdl.functional.conv, **geometry), x, kernel)
            return y, back(jnp.cos(y))

        return [one(geometry) for geometry in geometries]

    assert_close(values_and_gradients(x, kernel), [correlated(x, kernel, **geometry) for geometry in geometries])


GEOMETRIES = {
    "1d": ((5, 2), (3, 2, 2), {"stride": 2}),
    "2d": ((4, 5, 1), (3, 2, 1, 2), {"stride": (2, 1)}),
    "2d_dilated": ((5, 4, 1), (2, 2, 1, 2), {"dilation": (2, 3), "padding": 2}),
    "2d_grouped": ((3, 3, 2), (2, 2, 1, 2), {"groups": 2}),
    "1d_grouped_padded": ((3, 2), (2, 1, 2), {"groups": 2, "padding": ((3, 0),)}),
    "3d": ((3, 2, 3, 1), (2, 2, 2, 1, 2), {"stride": 2, "padding": ((1, 0), (0, 1), (2, 2))}),
}


@pytest.mark.parametrize("x, kernel, geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_conv_has_the_gradients_of_lax(normal, x, kernel, geometry):
    def value_and_gradients(f, *args):
        y, back = jax.vjp(functools.partial(f, **geometry), *args)
        return y, back(jnp.cos(y))

    both = jax.jit(lambda *args: [value_and_gradients(f, *args) for f in (F.conv, lax_conv)])
    assert_close(*both(normal(2, *x), normal(*kernel)))


SLOW = "2d", "2d_grouped", "3d"  # the others have every option between them


@pytest.mark.parametrize("x, kernel, geometry", [
    pytest.param(*own, id=name, marks=[pytest.mark.slow] * (name in SLOW)) for name, own in GEOMETRIES.items()
])  # fmt: skip
def test_conv_has_the_derivatives_of_lax(normal, x, kernel, geometry):
    ours, reference = (functools.partial(f, **geometry) for f in (jdl.functional.conv, lax_conv))
    assert_derivatives(ours, reference, normal(2, *x), normal(*kernel))


def test_conv_without_jit(normal):
    x, kernel = normal(2, 5, 2), normal(3, 2, 3)
    with jax.disable_jit():
        y = jdl.functional.conv(x, kernel)
    assert_close(y, correlated(x, kernel, stride=1, padding="SAME", dilation=1)[0])


@pytest.mark.parametrize("x, kernel, geometry, message", [
    ((4, 2), (3, 3, 2, 5), {}, r"conv: a kernel of shape \[3, 3, 2, 5\] takes x as \(batch, h, w, channels\), got float32\[4, 2\]"),
    ((4, 2), (2, 5), {}, r"conv: .*1 to 3 spatial axes"),
    ((4, 8, 3), (3, 2, 5), {}, r"conv: kernel takes 2 channels and gives 5 in 1 group, x is float32\[4, 8, 3\]"),
    ((4, 8, 4), (3, 2, 5), {"groups": 2}, r"conv: kernel takes 4 channels and gives 5 in 2 groups"),
    ((4, 2, 2), (3, 2, 5), {"padding": "VALID"}, "conv: a window that spans 3 does not fit an axis of 2"),
    ((4, 8, 2), (3, 2, 5), {"padding": "FULL"}, "conv: padding must be .*got 'FULL'"),
    ((4, 8, 2), (3, 2, 5), {"padding": -1}, "conv: padding must be .*got -1"),
    ((4, 8, 2), (3, 2, 5), {"padding": [(1, 1), (1, 1)]}, r"conv: padding must be .*1 \(low, high\) pairs"),
    ((4, 8, 2), (3, 2, 5), {"stride": (1, 2)}, r"conv: stride \(1, 2\) has 2 entries for 1 spatial axes"),
    ((4, 8, 2), (3, 2, 5), {"stride": 0}, "conv: stride must be a positive integer"),
    ((4, 8, 2), (3, 2, 5), {"dilation": 1.5}, "conv: dilation must be a positive integer"),
])  # fmt: skip
def test_conv_refuses(x, kernel, geometry, message):
    with pytest.raises(ValueError, match=message):
        F.conv(jnp.ones(x), jnp.ones(kernel), **geometry)


# Pooling


def windows(x, window, stride):
    """What each window sees: `(batch, *places, prod(window), channels)`."""
    axes = tuple(range(1, x.ndim - 1))
    seen = np.lib.stride_tricks.sliding_window_view(x, window, axes)[:, *(slice(None, None, s) for s in stride)]
    return np.moveaxis(seen.reshape(*seen.shape[: x.ndim], -1), -1, -2)


POOLS = [
    ((2,), (2,), (7,)),
    ((3,), (1,), (6,)),
    ((3, 2), (2, 3), (6, 5)),
    ((2, 2, 1), (1, 2, 2), (3, 4, 3)),
    ((17,), (3,), (21,)),
]


@pytest.mark.parametrize("window, stride, size", POOLS, ids=str)
def test_pools_are_the_largest_and_the_mean_of_windows(normal, window, stride, size):
    x = normal(2, *size, 3)
    seen = windows(np.asarray(x), window, stride)
    largest, mean = jax.jit(lambda x: [pool(x, window, stride=stride) for pool in (F.max_pool, F.avg_pool)])(x)
    assert_equal(largest, seen.max(-2))
    assert_close(mean, seen.mean(-2))


def test_padding_never_wins_and_counts_as_zeros():
    x = -np.ones((1, 3, 1), np.float32)
    assert F.max_pool(x, 2, stride=1, padding=((1, 2),))[..., 0].tolist() == [[-1, -1, -1, -1, -np.inf]]
    assert F.avg_pool(x, 2, stride=1, padding="SAME")[..., 0].tolist() == [[-1, -1, -0.5]]


@pytest.mark.parametrize("window, stride, size", POOLS, ids=str)
def test_ties_and_nan_in_max_pool_are_those_of_lax(rng, window, stride, size):
    x = np.asarray(rng.integers(3, size=(2, *size, 2)), np.float32)  # nearly every window has ties

    def lax_pool(x):
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, *window, 1), (1, *stride, 1), "VALID")

    @functools.partial(jax.jit, static_argnums=0)
    def value_and_gradient(pool, x):
        y, back = jax.vjp(pool, x)
        return y, back(jnp.arange(1.0, y.size + 1).reshape(y.shape))[0]

    ours = lambda x: F.max_pool(x, window, stride=stride)
    assert_equal(value_and_gradient(ours, x), value_and_gradient(lax_pool, x))
    x[rng.random(x.shape) < 0.1] = x[(0,) * x.ndim] = np.nan
    y, gradient = map(np.asarray, value_and_gradient(ours, x))
    assert_equal(y, value_and_gradient(lax_pool, x)[0])
    assert np.isnan(y).any() and gradient.sum() == y.size * (y.size + 1) / 2  # where NaN meets NaN, lax's gradient has no rule


@pytest.mark.parametrize("window, stride, size", POOLS, ids=str)
def test_avg_pool_has_the_gradient_of_its_definition(normal, window, stride, size):
    x, seen = normal(2, *size, 2), np.zeros((2, *size, 2))

    @jax.jit
    def value_and_gradient(x):
        y, back = jax.vjp(lambda x: F.avg_pool(x, window, stride=stride), x)
        return y, *back(jnp.cos(y))

    y, gradient = map(np.asarray, value_and_gradient(x))
    for n, *place, c in np.ndindex(*y.shape):
        seen[n, *(slice(p * s, p * s + w) for p, s, w in zip(place, stride, window)), c] += np.cos(y[n, *place, c]) / math.prod(
            window
        )
    assert_close(gradient, seen.astype(np.float32))


def test_the_first_of_equals_gets_the_gradient():
    gradient = jax.jit(jax.grad(lambda x: F.max_pool(x, 2).sum()))(np.ones((1, 2, 2, 1), np.float32))
    assert gradient.ravel().tolist() == [1, 0, 0, 0]


def test_max_pool_of_integers():
    assert F.max_pool(jnp.array([[[-5], [-7], [3]]]), 2, stride=1, padding=((1, 0),)).ravel().tolist() == [-5, -5, 3]
    assert F.max_pool(jnp.array([[[5], [7]]], jnp.uint8), 2).ravel().tolist() == [7]


def test_global_pools(normal):
    x = normal(2, 3, 4, 5)
    assert_equal(F.global_max_pool(x), jnp.asarray(np.asarray(x).reshape(2, 12, 5).max(1)))
    assert_close(F.global_avg_pool(x), jnp.asarray(np.asarray(x).reshape(2, 12, 5).mean(1)))


# Normalisation


def test_moments_are_mean_and_biased_variance(normal):
    x = normal(3, 4, 5) + 1000  # far from 0: E[x^2] - E[x]^2 would be off by 0.1
    rows = np.asarray(x, np.float64).reshape(-1, 5)
    assert_close(F.moments(x), (jnp.asarray(rows.mean(0), jnp.float32), jnp.asarray(rows.var(0), jnp.float32)), scale=10)


def test_moments_over_mapped_axes_are_those_of_the_whole(normal):
    x = normal(2, 3, 4, 5)
    mapped = jax.jit(jax.vmap(jax.vmap(lambda x: F.moments(x, axis_name=("a", "b")), axis_name="a"), axis_name="b"))(x)
    assert_close(jax.tree.map(lambda a: np.asarray(a)[1, 2], mapped), F.moments(x))


def test_batch_norm_is_its_definition(normal):
    x, (mean, scale, bias), variance = normal(3, 2, 4), normal(3, 4), np.abs(normal(4))
    y = np.empty(x.shape)
    for *place, i in np.ndindex(*x.shape):
        y[*place, i] = (x[*place, i] - mean[i]) / math.sqrt(variance[i] + 0.1) * scale[i] + bias[i]
    assert_close(F.batch_norm(x, mean, variance, scale, bias, epsilon=0.1), jnp.asarray(y, jnp.float32))
    plain = F.batch_norm(x, mean, variance, np.ones(4, np.float32), np.zeros(4, np.float32), epsilon=0.1)
    assert_close(F.batch_norm(x, mean, variance, epsilon=0.1), plain)


def test_layer_and_rms_norm_are_their_definitions(normal):
    x, (scale, bias) = normal(2, 3, 5) + 3, normal(2, 5)
    y, z = np.empty(x.shape), np.empty(x.shape)
    for place in np.ndindex(2, 3):
        row = np.asarray(x[*place], np.float64)
        y[*place] = (row - row.mean()) / math.sqrt(row.var() + 0.1) * scale + bias
        z[*place] = row / math.sqrt(np.square(row).mean() + 0.1) * scale
    assert_close(F.layer_norm(x, scale, bias, epsilon=0.1), jnp.asarray(y, jnp.float32))
    assert_close(F.rms_norm(x, scale, epsilon=0.1), jnp.asarray(z, jnp.float32))


@pytest.mark.parametrize("norm", [F.layer_norm, F.rms_norm, lambda x: F.batch_norm(x, *F.moments(x))])
def test_norms_of_half_precision_are_computed_in_single(normal, norm):
    x = (300 * normal(4, 1000)).astype(np.float16)  # a sum of squares overflows float16
    y = jax.jit(norm)(x)
    assert y.dtype == jnp.float16
    assert_close(y, np.asarray(jax.jit(norm)(x.astype(np.float32))).astype(np.float16))


@pytest.mark.parametrize("norm", [F.layer_norm, F.rms_norm, lambda x: F.batch_norm(x, *F.moments(x))])
def test_norms_of_a_constant_are_finite(norm):
    constants = np.stack([np.zeros((3, 4), np.float32), np.full((3, 4), 7, np.float32)])
    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(lambda x: norm(x).sum())))(constants)
    assert np.isfinite(values).all() and np.isfinite(gradients).all()


# Dropout


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_dropout_at_rates_0_and_1_is_exact(normal, key, rate):
    x = normal(50)
    dropped = lambda x, rate: F.dropout(jax.random.clone(key), x, rate)

    @jax.jit
    def values_and_gradients(x, traced):
        y, back = jax.vjp(dropped, x, traced)
        of_number, back_of_number = jax.vjp(lambda x: dropped(x, rate), x)
        return (y, of_number), *back(jnp.ones_like(y)), *back_of_number(jnp.ones_like(y))

    values, of_x, of_rate, of_x_of_number = values_and_gradients(x, np.float32(rate))
    kept = np.float32(1 - rate)
    assert_equal((values, of_x, of_x_of_number), ((x * kept,) * 2, *(np.full_like(x, kept),) * 2))
    assert np.isfinite(of_rate)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_keeps_the_mean(rate, key):
    n = 40_000
    y = np.asarray(F.dropout(key, np.ones(n, np.float32), rate), np.float64)
    assert np.unique(y).tolist() == pytest.approx([0, 1 / (1 - rate)], rel=1e-6)
    assert abs((y == 0).mean() - rate) < 6 * math.sqrt(rate * (1 - rate) / n)
    assert abs(np.corrcoef(y[1:], y[:-1])[0, 1]) < 6 / math.sqrt(n)


def test_dropout_of_half_precision(key):
    y = F.dropout(key, np.ones(100, jnp.bfloat16), 0.5)
    assert y.dtype == jnp.bfloat16 and set(y.tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan])
def test_dropout_refuses_rates_outside_0_to_1(rate, key):
    with pytest.raises(ValueError, match=r"dropout: rate must be in \[0, 1\]"):
        F.dropout(key, jnp.ones(3), rate)


# Embedding and flattening


def test_embedding_takes_rows(normal, rng):
    table, ids = normal(5, 3), rng.integers(5, size=(2, 4))
    assert_equal(F.embedding(ids, table), table[ids])
    gradient = jax.jit(jax.grad(lambda table: F.embedding(ids, table).sum()))(table)
    assert gradient.tolist() == [[float((ids == i).sum())] * 3 for i in range(5)]


@pytest.mark.parametrize("bad", [5, -1])
def test_embedding_out_of_range(normal, bad):
    table, ids = normal(5, 3), np.array([[0, bad]])
    with pytest.raises(ValueError, match=rf"embedding: ids must lie in 0..4, found {bad} at index \[0, 1\]"):
        jdl.functional.embedding(ids, table)
    y = np.asarray(F.embedding(ids, table))
    assert_equal(y[0, 0], table[0])
    assert np.isnan(y[0, 1]).all()


def test_embedding_takes_numpy_tables():
    assert jdl.functional.embedding(np.array([1]), np.eye(2, dtype=np.float32)).tolist() == [[0, 1]]


def test_flatten_keeps_the_batch():
    x = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
    assert_equal(F.flatten(x), x.reshape(2, 12))
    assert F.flatten(jnp.ones((0, 3, 4))).shape == (0, 12)
    assert F.flatten(jnp.ones(3)).shape == (3, 1)


# What all refuse

FLOATING = {
    "dense": lambda x: F.dense(x, jnp.ones((4, 2))),
    "conv": lambda x: F.conv(x, jnp.ones((2, 4, 2))),
    "avg_pool": lambda x: F.avg_pool(x, 2),
    "global_avg_pool": F.global_avg_pool,
    "batch_norm": lambda x: F.batch_norm(x, jnp.ones(4), jnp.ones(4)),
    "moments": F.moments,
    "layer_norm": F.layer_norm,
    "rms_norm": F.rms_norm,
    "dropout": lambda x: F.dropout(jax.random.key(0), x, 0.5),
}


@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
@pytest.mark.parametrize("name", FLOATING)
def test_integers_are_refused(name, dtype):
    with pytest.raises(TypeError, match=rf"{name}: x must be a floating-point array, got {dtype}\[2, 4, 4\]"):
        FLOATING[name](jnp.ones((2, 4, 4), dtype))


@pytest.mark.parametrize("call, message", [
    (lambda: F.max_pool(jnp.ones((2, 4)), 2), "max_pool: x must be .batch, 1 to 3 spatial axes, channels"),
    (lambda: F.avg_pool(jnp.ones((2, 4)), 2), "avg_pool: x must be .batch, 1 to 3 spatial axes, channels"),
    (lambda: F.max_pool(jnp.ones((2, 4, 4, 1)), (2, 2, 2)), r"max_pool: window \(2, 2, 2\) has 3 entries for 2 spatial axes"),
    (lambda: F.max_pool(jnp.ones((2, 4, 1)), 5), "max_pool: a window that spans 5 does not fit an axis of 4"),
    (lambda: F.global_max_pool(jnp.ones((2, 4))), "global_max_pool: x must be"),
    (lambda: F.global_avg_pool(jnp.ones((2, 4))), "global_avg_pool: x must be"),
    (lambda: F.batch_norm(jnp.ones((2, 4)), jnp.ones(3), jnp.ones(3)), r"batch_norm: .*3 features, x is float32\[2, 4\]"),
    (lambda: F.batch_norm(jnp.ones((2, 4)), *jnp.ones((2, 4)), jnp.ones(3)), r"batch_norm: .*3 features, x is float32\[2, 4\]"),
    (lambda: F.layer_norm(jnp.ones((2, 4)), jnp.ones(3)), r"layer_norm: scale is for 3 features, x is float32\[2, 4\]"),
    (lambda: F.layer_norm(jnp.ones((2, 4)), None, jnp.ones(3)), r"layer_norm: bias is for 3 features, x is float32\[2, 4\]"),
    (lambda: F.rms_norm(jnp.ones((2, 4)), jnp.ones(3)), r"rms_norm: scale is for 3 features, x is float32\[2, 4\]"),
    (lambda: F.flatten(jnp.float32(1)), r"flatten: x must be \(batch, ...\), got float32\[\]"),
])  # fmt: skip
def test_shapes_that_do_not_fit_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
