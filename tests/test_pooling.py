"""What pools give, against loops in NumPy and worked examples."""

import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import one_program_each
from tolerances import assert_close, assert_equal

import jdl.functional
import jdl.layers

F, L = one_program_each(jdl.functional), one_program_each(jdl.layers)


@pytest.fixture
def normal(rng):
    return lambda *shape: np.asarray(rng.normal(size=shape), np.float32)


def windows(x, window, stride):
    """What each window sees: `(batch, *places, prod(window), channels)`."""
    seen = np.lib.stride_tricks.sliding_window_view(x, window, tuple(range(1, x.ndim - 1)))
    seen = seen[:, *(slice(None, None, s) for s in stride)]
    return np.moveaxis(seen.reshape(*seen.shape[: x.ndim], -1), -1, -2)


# Windows

WINDOWS = [
    ((3, 2), (2, 3), (6, 5)),
    ((17,), (17,), (35,)),
    ((32,), (32,), (70,)),
    ((37,), (1,), (40,)),
    ((36, 2), (10, 1), (57, 3)),
]


@pytest.mark.parametrize("window, stride, size", WINDOWS, ids=str)
def test_windows_are_reduced(normal, window, stride, size):
    x = normal(2, *size, 2)
    pools = F.max_pool, F.min_pool, F.sum_pool, F.avg_pool, functools.partial(F.lp_pool, power=2.5), F.soft_pool
    ours = jax.jit(lambda x: [pool(x, window, stride=stride) for pool in pools])(x)
    seen = windows(np.asarray(x, np.float64), window, stride)
    norm = (np.abs(seen) ** 2.5).sum(-2) ** (1 / 2.5)
    soft = (np.exp(seen) * seen).sum(-2) / np.exp(seen).sum(-2)
    expected = seen.max(-2), seen.min(-2), seen.sum(-2), seen.mean(-2), norm, soft
    assert_close(ours, [y.astype(np.float32) for y in expected])


@pytest.mark.parametrize("window, stride, size", WINDOWS, ids=str)
def test_the_first_of_equals_wins_in_windows_of_any_width(rng, window, stride, size):
    x = np.asarray(rng.integers(3, size=(2, *size, 2)), np.float32)  # nearly every window has ties

    def lax_pool(x):
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, *window, 1), (1, *stride, 1), "VALID")

    def gradient(pool, x):
        y, back = jax.vjp(pool, x)
        return y, back(jnp.arange(1.0, y.size + 1).reshape(y.shape))[0]

    @jax.jit
    def outcomes(x):
        ours, indices = (functools.partial(f, window=window, stride=stride) for f in (F.max_pool, F.max_pool_with_indices))
        return gradient(lax_pool, x), gradient(ours, x), indices(x)

    expected, ours, (values, indices) = outcomes(x)
    assert_equal(ours, expected)
    assert_equal(values, expected[0])
    assert indices.dtype == "int32"
    scattered = np.zeros((2, math.prod(size), 2), np.float32)
    index, cotangent = (a.reshape(2, -1, 2) for a in (np.asarray(indices), np.arange(1.0, values.size + 1)))
    samples, channels = np.arange(2).reshape(2, 1, 1), np.arange(2).reshape(1, 1, 2)
    np.add.at(scattered, (samples, index, channels), cotangent)  # type: ignore[arg-type]
    assert_equal(scattered.reshape(x.shape), expected[1])


def lowered_gradient(pool, *shape):
    return jax.jit(jax.grad(lambda x: jnp.sin(pool(x)).sum())).lower(np.ones(shape, np.float32)).as_text()


@pytest.mark.parametrize("window, stride", [(2, 2), (3, 2), (5, 1), (16, 16), (16, 3), (17, 17), (40, 1), (64, 64), (200, 7)])
def test_gradients_scatter_nothing(window, stride):
    for pool in (jdl.functional.max_pool, jdl.functional.min_pool, jdl.functional.avg_pool):
        program = lowered_gradient(functools.partial(pool, window=window, stride=stride, padding=1), 1, 260, 1)
        assert "scatter" not in program and "reduce_window" not in program
        assert program.count("\n") < 700, "programs must stay small"
    images = [(functools.partial(jdl.functional.max_pool, window=window), (1, 20, 20, 1)) for window in (3, 17)]
    for pool, shape in [*images, (functools.partial(jdl.functional.adaptive_max_pool, size=3), (1, 8, 7, 1))]:
        assert "scatter" not in lowered_gradient(pool, *shape)


def test_a_gradient_that_scatters_is_seen():
    lax_pool = lambda x: jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 1), (1, 2, 1), "VALID")
    assert "select_and_scatter" in lowered_gradient(lax_pool, 1, 4, 1)


def test_padding():
    @jax.jit
    def pooled(x):
        pools = {name: getattr(F, f"{name}_pool") for name in ("min", "sum", "avg", "soft")}
        pools |= {"counted": functools.partial(F.avg_pool, count_padding=False), "norm": functools.partial(F.lp_pool, power=1)}
        return {name: pool(x, 2, stride=1, padding=((1, 2),)) for name, pool in pools.items()}

    found = {name: y.ravel().tolist() for name, y in pooled(-np.arange(1, 4, dtype=np.float32).reshape(1, 3, 1)).items()}
    assert found["min"] == [-1, -2, -3, -3, np.inf]
    assert found["sum"] == [-1, -3, -5, -3, 0]
    assert found["avg"] == [-0.5, -1.5, -2.5, -1.5, 0]
    assert found["counted"] == [-1, -1.5, -2.5, -3, 0]
    assert found["soft"][::3] == [-1, -3] and found["soft"][-1] == 0
    assert found["norm"] == [1, 3, 5, 3, 0]


def test_pools_of_integers():
    x = np.array([5, -7, 3, 3], np.int32).reshape(1, 4, 1)
    assert F.min_pool(x, 2).ravel().tolist() == [-7, 3] and F.min_pool(x, 2).dtype == "int32"
    values, indices = F.max_pool_with_indices(np.array([5, 9, 3, 3], np.uint8).reshape(1, 4, 1), 2)
    assert values.dtype == "uint8" and values.ravel().tolist() == [9, 3] and indices.ravel().tolist() == [1, 2]


def test_gradient_of_a_norm_is_finite_everywhere():
    x = np.array([0.0, 0.0, 3.0, 0.0, -4.0, 3.0], np.float32).reshape(1, 6, 1)

    def norm(x, power):
        return F.lp_pool(x, 2, power=power).sum()

    derivatives = jax.jit(lambda power: (jax.grad(norm, (0, 1))(x, power), jax.hessian(norm)(x, power)))
    for power in (1.0, 1.5, 2.0, 3.0):
        (dx, dpower), hessian = derivatives(power)
        dx = np.asarray(dx).ravel()
        np.testing.assert_allclose(dx[:4], [0, 0, 1, 0], rtol=1e-6)
        assert np.isfinite(dpower) and np.isfinite(hessian).all()
        if power == 2:
            np.testing.assert_allclose(dx[4:], [-0.8, 0.6], rtol=1e-6)


def test_soft_pool_of_large_numbers():
    x = np.array([1e4, -1e4, 3.0, 3.0, -9e8, -9e8], np.float32).reshape(1, 6, 1)
    values, gradient = jax.jit(jax.value_and_grad(lambda x: F.soft_pool(x, 2).sum()))(x)
    assert_close(values, np.float32(1e4 + 3 - 9e8))
    assert gradient.ravel().tolist() == [1, 0, 0.5, 0.5, 0.5, 0.5]


# Masks


def test_only_what_counts_is_pooled(rng, normal):
    x, mask = normal(3, 6, 5, 2), rng.random((3, 6, 5)) < 0.5
    mask[0] = False

    @jax.jit
    def pooled(x, mask):
        local = (pool(x, (2, 3), stride=(2, 1), mask=mask) for pool in (F.max_pool, F.min_pool, F.avg_pool))
        return *local, F.global_max_pool(x, mask), F.global_avg_pool(x, mask)

    def expected(seen, counts):
        with np.errstate(divide="ignore", invalid="ignore"):
            most, least = (np.where(counts, seen, end).max(-2, initial=-np.inf) * sign for seen, end, sign in (
                (seen, -np.inf, 1), (-seen, -np.inf, -1)))  # fmt: skip
            mean = np.where(counts, seen, 0).sum(-2) / counts.sum(-2)
        some = counts.any(-2)
        return [np.where(some, y, 0).astype(np.float32) for y in (most, least, mean)]

    numbers = np.asarray(x, np.float64), np.broadcast_to(mask[..., None], x.shape)
    local = expected(*(windows(a, (2, 3), (2, 1)) for a in numbers))
    whole = expected(*(a.reshape(3, 30, 2) for a in numbers))
    assert_close(pooled(x, mask), (*local, whole[0], whole[2]))
    spoilt = np.where(mask[..., None], x, np.float32(np.nan))
    assert_equal(pooled(spoilt, mask), pooled(x, mask))  # what is masked is never looked at

    gradients = np.asarray(jax.jit(jax.grad(lambda x: sum(y.sum() for y in pooled(x, mask))))(x))
    assert np.isfinite(gradients).all() and not gradients[0].any() and not gradients[~mask].any()


def test_a_mask_of_nothing_but_true_changes_nothing(normal):
    x = normal(2, 5, 4, 3)
    layers = {"max": L.max_pool(3, stride=2, padding=1), "avg": L.avg_pool(3, stride=2, padding=1), "min": L.min_pool(2)}
    uncounted = functools.partial(F.avg_pool, window=3, stride=2, padding=1, count_padding=False)
    of_layer = lambda layer, x, **mask: layer.apply({}, {}, x, **mask)[0]
    pools = {name: functools.partial(of_layer, layer) for name, layer in layers.items()}
    pools |= {"uncounted": uncounted, "global max": F.global_max_pool, "global avg": F.global_avg_pool}
    pooled = jax.jit(lambda x, **mask: {name: pool(x, **mask) for name, pool in pools.items()})
    assert_close(pooled(x, mask=np.ones(x.shape[:-1], bool)), pooled(x))


# Where the largest value was


def test_indices_are_those_of_the_unpadded_input(normal):
    x = normal(2, 4, 5, 3)
    values, indices = map(np.asarray, F.max_pool_with_indices(x, 3, stride=2, padding=1))
    assert_equal(np.take_along_axis(x.reshape(2, 20, 3), indices.reshape(2, -1, 3), axis=1).reshape(values.shape), values)
    lowest = np.full((1, 2, 1), -np.inf, np.float32)
    assert F.max_pool_with_indices(lowest, 2, stride=1, padding=2)[1].ravel().tolist() == [-1, 0, 0, 1, -1]


def test_unpooling_puts_values_back():
    values, indices = (np.array(a).reshape(1, 4, 1) for a in (np.arange(1, 5, dtype=np.float32), [3, -1, 3, 0]))
    assert F.max_unpool(values, indices, 5).ravel().tolist() == [4, 0, 0, 2, 0]
    gradient = jax.jit(jax.grad(lambda values: (F.max_unpool(values, indices, 5).ravel() * jnp.arange(1.0, 6)).sum()))(values)
    assert gradient.ravel().tolist() == [2, 0, 2, 1]
    with pytest.raises(ValueError, match=r"max_unpool: indices must lie in -1..2, found 3 at index \[0, 0, 0\]"):
        jdl.functional.max_unpool(values, indices, 3)
    assert F.max_unpool(values, indices, 3).ravel().tolist() == [4, 0, 0]


# Bins


def bins(n, m):
    return [slice(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]


@pytest.mark.parametrize("size, target", [((7, 5), (3, 5)), ((6, 4), (4, 6)), ((40,), (1,)), ((3, 4, 5), (2, 2, 3))], ids=str)
def test_bins_are_reduced(normal, size, target):
    x = normal(2, *size, 3)
    largest, mean = (np.zeros((2, *target, 3), np.float32) for _ in range(2))
    for place, ranges in zip(np.ndindex(*target), itertools.product(*map(bins, size, target))):
        part = x[:, *ranges].reshape(2, -1, 3)
        largest[:, *place], mean[:, *place] = part.max(1), part.mean(1)
    pools = F.adaptive_max_pool, F.adaptive_avg_pool, lambda x, target: F.spatial_pyramid_pool(x, (1, target))
    *ours, levels = jax.jit(lambda x: [pool(x, target) for pool in pools])(x)
    assert_close(ours, [largest, mean])
    assert_equal(levels, np.concatenate([x.max(tuple(range(1, x.ndim - 1))), largest.reshape(2, -1)], axis=1))


# Windows at random places


def starts(key, n, window, size, batch=64):
    """Where the windows begin: entries of x are their places."""
    x = np.array(np.broadcast_to(np.arange(n, dtype=np.float32).reshape(1, n, 1), (batch, n, 2)))
    pooled = np.asarray(F.fractional_max_pool(key, x, window, size=size))
    assert_equal(pooled[..., 0], pooled[..., 1])  # channels share the places
    return np.asarray(pooled[..., 0], int) - window + 1


@pytest.mark.parametrize("n, window, size", [(25, 2, 18), (25, 3, 10), (9, 2, 8), (9, 4, 2), (9, 2, 1)])
def test_fractional_windows_cover_the_axis_in_steps_of_two_sizes(key, n, window, size):
    found = starts(key, n, window, size)
    assert found.shape == (64, size) and (found[:, -1] == n - window).all()
    if size > 1:
        step = (n - window) / (size - 1)
        assert (found[:, 0] == 0).all()
        assert set(np.diff(found[:, :-1]).ravel()) <= {math.floor(step), math.ceil(step)}
        assert step.is_integer() or size < 3 or len({tuple(row) for row in found.tolist()}) > 1, "samples draw for themselves"


def test_fractional_windows_are_as_likely_as_their_distribution_says(key):
    found = starts(key, 10, 2, 6, batch=4000)  # steps of 1.6, so that the first step is 2 if u * 1.6 lies in [0.4, 1) or [1.4, 1.6)
    assert abs((found[:, 1] == 2).mean() - 0.5) < 6 * math.sqrt(0.25 / 4000)


def test_fractional_pooling_takes_the_middle_sequence_in_evaluation(normal):
    assert starts(None, 10, 2, 6, batch=2).tolist() == [[0, 2, 4, 5, 7, 8]] * 2
    layer, x = L.fractional_max_pool((2, 3), ratio=0.7), normal(2, 10, 10, 1)
    y, _ = layer.apply({}, {}, x)
    assert_equal(y, F.fractional_max_pool(None, x, (2, 3), size=7))


# Over all places


def test_generalized_mean(normal):
    x = normal(2, 3, 4, 3)
    seen = np.maximum(np.asarray(x, np.float64), 1e-6).reshape(2, 12, 3)
    value_and_slope = jax.jit(lambda x, power: jax.jvp(lambda power: F.generalized_mean_pool(x, power), (power,), (1.0,)))
    expected = lambda p: (seen**p).mean(1) ** (1 / p)
    for power in (1.0, 3.0, -1.0):
        ours, slope = value_and_slope(x, power)
        assert_close(ours, expected(power).astype(np.float32))
        differences = (expected(power + 1e-5) - expected(power - 1e-5)) / 2e-5
        assert_close(slope, differences.astype(np.float32), scale=10)
    each = np.asarray(F.generalized_mean_pool(x, np.array([1.0, 3.0, 500.0], np.float32)))
    assert_close(each[:, 1], expected(3.0)[:, 1].astype(np.float32))
    np.testing.assert_allclose(each[:, 2], seen.max(1)[:, 2], rtol=6e-3)  # 12^(1/500)
    tenth = F.generalized_mean_pool(-np.ones((1, 2, 1), np.float32), 3.0, epsilon=0.1)
    assert_close(tenth, np.full((1, 1), 0.1, np.float32))


@pytest.mark.parametrize("gated", [False, True])
def test_attention_pool_is_what_the_paper_says(normal, rng, key, gated):
    x, mask = normal(3, 5, 4), rng.random((3, 5)) < 0.6
    mask[:, 0] = True
    layer = L.attention_pool(7, heads=2, gated=gated)
    params, state = layer.init(key, x)
    assert set(params) == {"hidden", "score"} | ({"gate"} if gated else set())
    ours, _ = layer.apply(params, state, x, mask=mask)
    kernel = {name: np.asarray(own["kernel"], np.float64) for name, own in params.items()}
    expected = np.zeros((3, 4))
    for n in range(3):
        h = np.asarray(x[n], np.float64)[mask[n]]
        hidden = np.tanh(h @ kernel["hidden"])
        if gated:
            hidden = hidden / (1 + np.exp(-h @ kernel["gate"]))
        weights = np.exp(hidden @ kernel["score"])
        weights /= weights.sum(0)
        expected[n] = np.concatenate([weights[:, head] @ h[:, 2 * head : 2 * head + 2] for head in range(2)])
    assert_close(ours, expected.astype(np.float32))
    order = rng.permutation(5)
    assert_close(layer.apply(params, state, x[:, order], mask=mask[:, order])[0], ours)  # of a set


def test_attention_to_nothing_is_zero(normal):
    mask = np.array([np.zeros((3, 2), bool), np.ones((3, 2), bool)])

    @jax.jit
    def value_and_gradients(x, scores):
        y, back = jax.vjp(lambda x, scores: F.attention_pool(x, scores, mask), x, scores)
        return y, *back(jnp.cos(y))

    y, *gradients = map(np.asarray, value_and_gradients(normal(2, 3, 2, 4), normal(2, 3, 2, 1)))
    assert not y[0].any() and y[1].all()
    assert all(np.isfinite(g).all() and not g[0].any() and g[1].any() for g in gradients)


# Regions of images


def bilinear(image, y, x):
    """A sample of an image `(height, width, channels)`, as the reference implementation has it."""
    height, width, _ = image.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0 * image[0, 0]
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    v, u = y - top, x - left
    return (1 - v) * ((1 - u) * image[top, left] + u * image[top, right]) + v * (
        (1 - u) * image[bottom, left] + u * image[bottom, right]
    )


@pytest.mark.parametrize("aligned, scale, samples", [(True, 1.0, 2), (True, 0.5, 1), (False, 0.25, 3)])
def test_regions_are_means_of_bilinear_samples(normal, rng, aligned, scale, samples):
    x, size = normal(2, 6, 8, 3), (2, 3)
    corners = np.sort(rng.uniform(-4, 12, (2, 5, 2, 2)), axis=2) / scale  # some reach out of the image
    corners[:, 0, 1] = corners[:, 0, 0] + 0.3  # narrower than a pixel
    boxes = np.asarray(corners.reshape(2, 5, 4), np.float32)
    expected = np.zeros((2, 5, *size, 3))
    for n, b in np.ndindex(2, 5):
        left, top, right, bottom = np.asarray(boxes[n, b], np.float64) * scale - (0.5 if aligned else 0)
        extents = [e if aligned else max(e, 1) for e in (bottom - top, right - left)]
        for i, j, k, m in np.ndindex(*size, samples, samples):
            y = top + extents[0] / size[0] * (i + (k + 0.5) / samples)
            z = left + extents[1] / size[1] * (j + (m + 0.5) / samples)
            expected[n, b, i, j] += bilinear(np.asarray(x[n], np.float64), y, z) / samples**2
    ours = F.roi_align(x, boxes, size, scale=scale, samples=samples, aligned=aligned)
    assert_close(ours, expected.astype(np.float32), scale=10)


def test_regions_far_outside_are_zero_and_without_gradient():
    boxes = np.array([[[20.0, 20.0, 30.0, 30.0]]], np.float32)
    y, gradient = jax.jit(jax.value_and_grad(lambda boxes: F.roi_align(jnp.ones((1, 4, 4, 1)), boxes, 2).sum()))(boxes)
    assert y == 0 and not np.any(gradient)


# What is refused


X = jnp.ones((2, 4, 4, 2))


@pytest.mark.parametrize("call, message", [
    (lambda: L.min_pool(0), "min_pool: window must be a positive integer, got 0"),
    (lambda: L.sum_pool(2, stride=0), "sum_pool: stride must be a positive integer"),
    (lambda: L.lp_pool(2, power=0.5), "lp_pool: power must be .*, got 0.5"),
    (lambda: L.lp_pool(2, power=math.inf), "lp_pool: power must be .*, got inf"),
    (lambda: F.lp_pool(X, 2, power=0.5), "lp_pool: power must be .*, got 0.5"),
    (lambda: L.soft_pool(-1), "soft_pool: window must be a positive integer, got -1"),
    (lambda: L.adaptive_avg_pool(0), "adaptive_avg_pool: size must be a positive integer, got 0"),
    (lambda: L.adaptive_max_pool((2, -1)), "adaptive_max_pool: size must be a positive integer"),
    (lambda: F.adaptive_max_pool(X, (1, 2, 3)), r"adaptive_max_pool: size \(1, 2, 3\) has 3 entries for 2 spatial axes"),
    (lambda: L.spatial_pyramid_pool(()), "spatial_pyramid_pool: there must be at least one size"),
    (lambda: F.spatial_pyramid_pool(X, ()), "spatial_pyramid_pool: there must be at least one size"),
    (lambda: L.spatial_pyramid_pool((1, 0)), "spatial_pyramid_pool: sizes must be a positive integer, got 0"),
    (lambda: L.fractional_max_pool(2), "fractional_max_pool: give one of size and ratio, got size=None and ratio=None"),
    (lambda: L.fractional_max_pool(2, size=3, ratio=0.5), "fractional_max_pool: give one of size and ratio"),
    (lambda: L.fractional_max_pool(2, ratio=1.0), r"fractional_max_pool: ratio must be in \(0, 1\), got 1.0"),
    (lambda: L.fractional_max_pool(2, size=0), "fractional_max_pool: size must be a positive integer, got 0"),
    (lambda: F.fractional_max_pool(None, X, 2, size=4), "fractional_max_pool: an axis of 4 has no places for 4 windows of 2"),
    (lambda: L.generalized_mean_pool(epsilon=0), "generalized_mean_pool: epsilon must be above 0, got 0"),
    (lambda: F.generalized_mean_pool(X, jnp.ones(3)), "generalized_mean_pool: power is for 3 channels, x is float32"),
    (lambda: L.attention_pool(0), "attention_pool: features must be a positive integer, got 0"),
    (lambda: L.attention_pool(3, heads=0), "attention_pool: heads must be a positive integer, got 0"),
    (lambda: F.attention_pool(X, X[..., :1][:1]), "attention_pool: scores must be .*heads"),
    (lambda: F.max_pool(X, 2, mask=X[:1, ..., 0] > 0), r"max_pool: mask must have the shape of x .*bool\[1, 4, 4\] for float32"),
    (lambda: F.avg_pool(X, 2, mask=X > 0), "avg_pool: mask must have the shape of x without"),
    (lambda: F.global_avg_pool(X, X[..., 0]), r"global_avg_pool: mask must be bool, got float32\[2, 4, 4\]"),
    (lambda: F.min_pool(X > 0, 2), "min_pool: x must be real numbers, got bool"),
    (lambda: F.max_unpool(X, X[:1].astype(int), 8), "max_unpool: shapes differ: values is"),
    (lambda: F.max_unpool(X, X, 8), "max_unpool: indices must be integers, got float32"),
    (lambda: L.roi_align(0), "roi_align: size must be a positive integer, got 0"),
    (lambda: L.roi_align(2, samples=0), "roi_align: samples must be a positive integer, got 0"),
    (lambda: F.roi_align(X, X[:, 0, :, :2], 2), r"roi_align: boxes must be \(batch, n, 4\), got float32\[2, 4, 2\] for"),
    (lambda: F.roi_align(X[0], jnp.ones((2, 3, 4)), 2), r"roi_align: x must be \(batch, height, width, channels\)"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()
