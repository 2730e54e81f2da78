"""Convolutions beyond the plain one, against definitions written in NumPy and against lax."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import one_program_each
from tolerances import assert_close

import jdl.functional
import jdl.layers

F, L = one_program_each(jdl.functional), one_program_each(jdl.layers)


@pytest.fixture
def normal(rng):
    return lambda *shape: np.asarray(rng.normal(size=shape), np.float32)


# Padding


def test_causal_sees_nothing_later(normal):
    x, kernel = normal(1, 6, 5, 1), normal(2, 3, 1, 1)
    jacobian = jax.jit(jax.jacobian(lambda x: F.conv(x, kernel, padding="CAUSAL", dilation=(1, 2))[0, ..., 0]))
    seen = np.asarray(jacobian(x))[..., 0, :, :, 0]
    assert seen.shape == (6, 5, 6, 5)
    for i, j, k, m in np.argwhere(seen):
        assert k in (i - 1, i) and m in (j - 4, j - 2, j)
    assert np.all(seen[range(6), :, range(6), :][:, range(5), range(5)] == kernel[1, 2, 0, 0])


@pytest.mark.parametrize("mode, numpy_mode", {"circular": "wrap", "reflect": "reflect", "replicate": "edge"}.items())
def test_padding_modes_fill_as_numpy_does(normal, mode, numpy_mode):
    x, kernel = normal(2, 5, 4, 1), normal(3, 3, 1, 2)
    around = np.pad(np.asarray(x), [(0, 0), (1, 1), (1, 1), (0, 0)], numpy_mode)
    expected = F.conv(around, kernel, padding="VALID")
    assert_close(F.conv(x, kernel, padding_mode=mode), expected)
    assert_close(F.depthwise_conv(x, kernel, padding_mode=mode), expected)


# Transposed


def scattered(x, kernel, stride, dilation):
    """The whole transposed convolution of one axis: every input is scattered over its window."""
    size, window = x.shape[1], len(kernel)
    y = np.zeros((len(x), (size - 1) * stride + dilation * (window - 1) + 1, kernel.shape[-1]), np.float32)
    for p, k in np.ndindex(size, window):
        y[:, p * stride + k * dilation] += x[:, p] @ kernel[k]
    return y


def gathered(dy, x, kernel, stride, dilation):
    """The gradients of `scattered` with respect to its input and its kernel, from that with respect to its output."""
    dx, dkernel = np.zeros_like(x), np.zeros_like(kernel)
    for p, k in np.ndindex(x.shape[1], len(kernel)):
        there = dy[:, p * stride + k * dilation]
        dx[:, p] += there @ kernel[k].T
        dkernel[k] += x[:, p].T @ there
    return dx, dkernel


@pytest.mark.parametrize("window, size", [(2, 5), (3, 4), (4, 2)])
def test_conv_transpose_in_every_geometry_scatters(normal, window, size):
    """For output paddings below stride or dilation; with the largest and the least of these, gradients too."""
    x, kernel = normal(1, size, 2), normal(window, 2, 3)
    expected, slopes, geometries, weights = [], [], [], []
    for stride, padding, dilation in itertools.product((1, 2, 3), (0, 1, 2), (1, 2)):
        whole = scattered(x, kernel, stride, dilation)
        for extra in range(most := max(stride, dilation)):
            longer = np.pad(whole, [(0, 0), (0, extra), (0, 0)])
            expected.append(longer[:, padding : longer.shape[1] - padding])
            geometries.append({"stride": stride, "padding": padding, "output_padding": extra, "dilation": dilation})
            weights.append(normal(*expected[-1].shape) if padding == 1 and extra in (0, most - 1) else None)
            if weights[-1] is not None:
                dy = np.pad(weights[-1], [(0, 0), (padding, padding), (0, 0)])[:, : whole.shape[1]]
                slopes.append(gathered(dy, x, kernel, stride, dilation))

    @jax.jit
    def ours(x, kernel, weights):
        values, gradients = [], []
        for geometry, weight in zip(geometries, weights):
            apply = functools.partial(F.conv_transpose, **geometry)
            values.append(apply(x, kernel))
            if weight is not None:
                gradients.append(jax.vjp(apply, x, kernel)[1](weight))
        return values, gradients

    assert (len(expected), len(slopes)) == (3 * (1 + 2 + 2 + 2 + 3 + 3), 1 + 5 * 2)
    assert_close(ours(x, kernel, weights), (expected, slopes))


@pytest.mark.parametrize("window, stride", [(2, 3), (3, 2), (4, 2), (3, 3), (2, 1)])
def test_same_multiplies_the_size_by_the_stride_and_valid_keeps_all(normal, window, stride):
    x, kernel = normal(1, 4, 2), normal(window, 2, 3)

    @jax.jit
    def outcomes(x, kernel):
        valid, same = (F.conv_transpose(x, kernel, stride=stride, padding=padding) for padding in ("VALID", "SAME"))
        adjoint = jax.linear_transpose(lambda y: F.conv(y, kernel.swapaxes(-1, -2), stride=stride), same)
        return valid, same, adjoint(x)[0]

    valid, same, adjoint = outcomes(x, kernel)
    assert_close(valid, scattered(x, kernel, stride, 1))
    assert same.shape == (1, 4 * stride, 3)
    assert_close(same, adjoint)  # of the convolution with padding "SAME"


@pytest.mark.parametrize("x, kernel, geometry, message", [
    ((4, 2), (3, 2, 5), {}, r"conv_transpose: a kernel of shape \[3, 2, 5\] takes x as \(batch, w, channels\)"),
    ((4, 8, 3), (3, 2, 5), {}, "conv_transpose: kernel takes 2 channels and gives 5 in 1 group"),
    ((4, 2, 2), (3, 2, 5), {"padding": 2}, "conv_transpose: padding .* leaves an output of"),
    ((4, 8, 2), (3, 2, 5), {"padding": "CAUSAL"}, "conv_transpose: padding must be .*got 'CAUSAL'"),
    ((4, 8, 2), (3, 2, 5), {"output_padding": 1}, "conv_transpose: output_padding must be at least 0 and less than stride"),
    ((4, 8, 2), (3, 2, 5), {"stride": 2, "output_padding": -1}, "conv_transpose: output_padding must be"),
    ((4, 8, 2), (3, 2, 5), {"stride": 0}, "conv_transpose: stride must be a positive integer"),
])  # fmt: skip
def test_conv_transpose_refuses(x, kernel, geometry, message):
    with pytest.raises(ValueError, match=message):
        F.conv_transpose(jnp.ones(x), jnp.ones(kernel), **geometry)


# Depthwise


@pytest.mark.parametrize("multiplier, stride, padding, dilation", [
    (1, 1, "SAME", 1),
    (2, 1, "SAME", 1),
    (2, 2, 1, 1),
    (1, 3, "VALID", 2),
    (2, 2, ((4, 0),), 2),
])  # fmt: skip
def test_depthwise_conv_is_one_conv_for_each_channel(normal, multiplier, stride, padding, dilation):
    x, kernel = normal(2, 8, 3), normal(3, 1, 3 * multiplier)
    geometry = {"stride": stride, "padding": padding, "dilation": dilation}

    def each(x, kernel):
        parts = zip(jnp.split(x, 3, -1), jnp.split(kernel, 3, -1))
        return jnp.concatenate([F.conv(x, kernel, **geometry) for x, kernel in parts], -1)

    def value_and_gradients(conv, x, kernel):
        y, back = jax.vjp(conv, x, kernel)
        return y, back(jnp.cos(y))

    ours = functools.partial(F.depthwise_conv, **geometry)
    assert_close(*jax.jit(lambda x, kernel: [value_and_gradients(f, x, kernel) for f in (ours, each)])(x, kernel))


def test_a_wide_depthwise_window_is_lax(normal):
    x, kernel = normal(1, 70, 2), normal(65, 1, 2)
    assert "feature_group_count = 2" in jax.jit(jdl.functional.depthwise_conv).lower(x, kernel).as_text()
    assert "convolution" not in jax.jit(jdl.functional.depthwise_conv).lower(x, kernel[:64]).as_text()
    expected = [np.correlate(np.pad(np.asarray(x)[0, :, c], (32, 32)), np.asarray(kernel)[:, 0, c]) for c in range(2)]
    assert_close(np.asarray(F.depthwise_conv(x, kernel))[0], np.stack(expected, -1))


# Locally connected


def test_conv_local_has_a_kernel_for_each_place(normal):
    x, kernel, bias = normal(2, 5, 4, 2), normal(3, 3, 2, 2, 2, 3), normal(3, 3, 3)
    y = np.asarray(F.conv_local(x, kernel, bias, stride=(2, 1), padding=((0, 1), (0, 0))))
    padded = np.pad(np.asarray(x), [(0, 0), (0, 1), (0, 0), (0, 0)])
    for i, j in np.ndindex(3, 3):
        expected = np.tensordot(padded[:, 2 * i : 2 * i + 2, j : j + 2], np.asarray(kernel[i, j]), 3) + np.asarray(bias[i, j])
        assert_close(y[:, i, j], expected)


def test_conv_local_starts_with_the_spread_of_one_place(key):
    params, _ = L.conv_local(50, 3).init(key, jnp.ones((1, 6, 5, 4)))
    kernel = np.asarray(params["kernel"])
    assert kernel.shape == (4, 3, 3, 3, 4, 50) and params["bias"].shape == (4, 3, 50)
    spread = kernel.var() * 3 * 3 * 4
    assert abs(spread - 1) < 6 * np.sqrt(2 / kernel.size)
    assert not np.array_equal(kernel[0, 0], kernel[0, 1])


# Deformable


def deformed(x, offsets, mask, kernel, stride, low, dilation):
    """Deformable convolution as it is defined, point by point."""
    _, height, width, _ = x.shape
    y = np.zeros((*offsets.shape[:3], kernel.shape[-1]))
    for n, p, q, k in np.ndindex(*offsets.shape[:3], kernel.shape[0] * kernel.shape[1]):
        i, j = divmod(k, kernel.shape[1])
        down = p * stride[0] + i * dilation[0] - low[0] + offsets[n, p, q, 2 * k]
        right = q * stride[1] + j * dilation[1] - low[1] + offsets[n, p, q, 2 * k + 1]
        for row, column in itertools.product(range(height), range(width)):
            share = max(0, 1 - abs(down - row)) * max(0, 1 - abs(right - column))
            y[n, p, q] += mask[n, p, q, k] * share * (x[n, row, column] @ kernel[i, j])
    return y


def test_deform_conv_is_its_definition(rng):
    x, kernel = rng.normal(size=(2, 5, 4, 2)), rng.normal(size=(3, 2, 2, 3))
    offsets, mask = 2 * rng.normal(size=(2, 3, 5, 12)), rng.normal(size=(2, 3, 5, 6))
    geometry = {"stride": (2, 1), "padding": ((2, 2), (1, 1)), "dilation": (2, 1)}
    given = [a.astype(np.float32) for a in (x, offsets, kernel, mask)]
    expected = deformed(x, offsets, mask, kernel, (2, 1), (2, 1), (2, 1))
    offsets_only = deformed(x, offsets, np.ones_like(mask), kernel, (2, 1), (2, 1), (2, 1))
    assert_close(F.deform_conv(*given[:3], mask=given[3], **geometry), expected.astype(np.float32), scale=10)
    assert_close(F.deform_conv(*given[:3], **geometry), offsets_only.astype(np.float32), scale=10)


def test_deform_conv_without_offsets_is_conv(normal):
    x, kernel, bias = normal(2, 5, 4, 2), normal(3, 2, 2, 3), normal(3)
    still = np.zeros((2, 3, 2, 12), np.float32)
    geometry = {"stride": 2, "padding": ((1, 1), (1, 0)), "dilation": (1, 2)}
    assert_close(F.deform_conv(x, still, kernel, bias, **geometry), F.conv(x, kernel, bias, **geometry))


def test_deform_conv_far_away_is_zero_with_finite_gradients(normal):
    x, kernel = normal(1, 4, 4, 1), normal(2, 2, 1, 1)
    far = np.array(np.broadcast_to(np.float32([1e9, -1e9, np.inf, 50, -70, 3e38, 9, -9]), (1, 4, 4, 8)))

    @jax.jit
    def value_and_gradients(*args):
        y, back = jax.vjp(F.deform_conv, *args)
        return y, *back(jnp.ones_like(y))

    assert not any(np.any(a) for a in value_and_gradients(x, far, kernel))


@pytest.mark.parametrize("modulated, share", [(False, 1), (True, 0.5)])
def test_deform_conv_starts_as_a_convolution(normal, key, modulated, share):
    x, layer = normal(2, 4, 4, 2), L.deform_conv(3, 3, modulated=modulated)
    params, state = layer.init(key, x)

    @jax.jit
    def outcomes(params):
        loss = lambda params: (jnp.square(y := layer.apply(params, state, x)[0]).sum(), y)
        gradient, y = jax.grad(loss, has_aux=True)(params)
        return gradient, y, share * F.conv(x, params["kernel"])

    gradient, y, plain = outcomes(params)
    assert_close(y, plain)
    assert np.any(gradient["offsets"]["kernel"])


@pytest.mark.parametrize("make, message", [
    (lambda: F.conv(jnp.ones((1, 4, 1)), jnp.ones((3, 1, 1)), padding_mode="same"), "conv: padding_mode must be zeros, circular"),
    (lambda: F.depthwise_conv(jnp.ones((1, 4, 3)), jnp.ones((3, 1, 4))), "depthwise_conv: kernel takes 3 channels and gives 4"),
    (lambda: F.conv_local(jnp.ones((1, 6, 3)), jnp.ones((3, 3, 3, 8))), r"conv_local: kernel .* gives \(3,\) places"),
    (lambda: F.deform_conv(*map(jnp.ones, ((1, 4, 4, 1), (1, 4, 4, 8), (3, 3, 1, 1)))), r"offsets must .*\[1, 4, 4, 18\]"),
    (lambda: L.conv_transpose(3, 2, groups=2), "conv_transpose: 3 features can't be split into 2 groups"),
    (lambda: L.conv_transpose(3, 0), "conv_transpose: kernel_size must be"),
    (lambda: L.depthwise_conv(3, multiplier=0), "depthwise_conv: multiplier must be"),
    (lambda: L.separable_conv(0, 3), "separable_conv: features must be"),
    (lambda: L.conv_local(3, 3, stride=0), "conv_local: stride must be"),
    (lambda: L.deform_conv(3, (3, 3, 3)), "deform_conv: kernel_size .* has 3 entries for 2"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
