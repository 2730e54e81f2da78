"""Convolution as matrix products over patches: every row meets every tap that sees it, and the sums are those of lax."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import assert_close

from jdl import functional
from jdl.functional import _patch_products
from jdl.functional._window import places_of


@pytest.fixture
def normal(rng):
    return lambda *shape: np.asarray(rng.normal(size=shape), np.float32)


AXES = list(itertools.product(range(1, 6), range(1, 4), range(1, 4), range(-1, 4), range(3), range(1, 4)))


def test_every_row_meets_each_tap_that_sees_it_once():
    for size, window, stride, low, high, dilation in AXES:
        (places,) = places_of((size + low + high,), (window,), (stride,), (dilation,))
        seen = {
            (place, tap, place * stride + tap * dilation - low)
            for place, tap in itertools.product(range(places), range(window))
            if 0 <= place * stride + tap * dilation - low < size
        }
        met = [
            (start + i, tap, rows.start + i * stride)
            for rows in _patch_products.Rows.along(size, window, stride, low, dilation)
            for tap, start in zip(rows.taps, rows.starts)
            for i in range(rows.count)
        ]
        assert sorted(seen) == sorted(m for m in met if 0 <= m[0] < places), (size, window, stride, low, high, dilation)
        assert all(row < size for _, _, row in met)


GEOMETRIES = {  # stride, pads, dilation
    "1d": ((3, 9, 2), (4, 2, 3), ((2,), ((3, 1),), (3,))),
    "2d": ((4, 6, 5, 3), (3, 2, 3, 2), ((1, 2), ((1, 1), (0, 1)), (1, 1))),
    "2d_strided": ((2, 7, 6, 2), (3, 2, 2, 3), ((2, 1), ((2, -1), (1, 1)), (1, 2))),
    "3d": ((2, 4, 3, 4, 2), (2, 2, 3, 2, 2), ((3, 1, 2), ((1, 2), (0, 0), (1, 1)), (2, 1, 1))),
    "out_of_sight": ((2, 1, 3, 2), (2, 2, 2, 2), ((2, 1), ((1, 2), (0, 0)), (2, 1))),
    "no_samples": ((0, 5, 3), (2, 3, 2), ((1,), ((0, 1),), (1,))),
}
LAYOUTS = {3: ("NWC", "WIO", "NWC"), 4: ("NHWC", "HWIO", "NHWC"), 5: ("NDHWC", "DHWIO", "NDHWC")}


@pytest.mark.parametrize("chunk", [10**6, 400])  # bytes: the whole batch; a sample or a few
@pytest.mark.parametrize("cost", [{"_COPY": 10**6}, {"_ADD": 10**6}], ids=["by_rows", "whole_windows"])
@pytest.mark.parametrize("x, kernel, geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_values_and_kernel_gradients_are_those_of_lax(x, kernel, geometry, cost, chunk, normal, monkeypatch):
    for name, value in {**cost, "CHUNK": chunk}.items():
        monkeypatch.setattr(_patch_products, name, value)
    x, kernel, (stride, pads, dilation) = normal(*x), normal(*kernel), geometry
    options = {"window_strides": stride, "padding": pads, "rhs_dilation": dilation, "dimension_numbers": LAYOUTS[x.ndim]}
    reference = functools.partial(jax.lax.conv_general_dilated, **options)

    @jax.jit
    def both(x, kernel):
        value, back = jax.vjp(lambda kernel: reference(x, kernel), kernel)
        ours = _patch_products.convolve(x, kernel, stride, pads, dilation)
        gradient = _patch_products.kernel_gradient(x, jnp.sin(value), kernel.shape[:-2], stride, pads, dilation)
        return (ours, gradient), (value, back(jnp.sin(value))[0])

    assert_close(*both(x, kernel))


def test_patches_of_rows_alone_are_chosen_where_they_are_fewer():
    arranged = lambda *shape, features, window: _patch_products._arranged(
        jnp.zeros(shape), (window, window), (1, 1), ((1, 1), (1, 1)), (1, 1), features
    )[1]
    assert len(arranged(1, 28, 28, 64, features=64, window=5).window) == 2
    assert len(arranged(1, 28, 28, 1, features=32, window=3).window) == 3
    assert not _patch_products.fits((251,), (1,)) and _patch_products.fits((9, 9), (1, 1))


def test_wide_convolutions_are_products_under_every_transform(normal):
    x, kernels = normal(4, 5, 6, 32), normal(2, 3, 3, 32, 32)
    mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    lax_conv = functools.partial(jax.lax.conv_general_dilated, window_strides=(1, 1), padding="SAME", dimension_numbers=LAYOUTS[4])

    def gradients(conv, x, kernels):
        loss = lambda x, kernel: jnp.sin(conv(x, kernel)).sum()
        slopes = lambda x, kernel: jax.grad(loss, (0, 1))(x, kernel)
        data, everywhere = jax.sharding.PartitionSpec("data"), jax.sharding.PartitionSpec()
        mapped = jax.shard_map(slopes, mesh=mesh, in_specs=(data, everywhere), out_specs=(data, everywhere))
        forward = jax.jvp(conv, (x, kernels[0]), (jnp.cos(x), kernels[1]))
        return forward, jax.vmap(slopes, (None, 0))(x, kernels), mapped(x, kernels[0])

    ours, reference = (jax.jit(functools.partial(gradients, conv)).lower(x, kernels) for conv in (functional.conv, lax_conv))
    assert "convolution" not in ours.as_text() and "convolution" in reference.as_text()
    assert_close(ours.compile()(x, kernels), reference.compile()(x, kernels))


def test_devices_that_share_a_batch_share_every_chunk(normal, monkeypatch):
    monkeypatch.setattr(_patch_products, "_chunk", lambda x, size: 8)
    x, kernel, sizes = normal(16, 6, 5, 3), normal(3, 3, 3, 2), ((1, 1), ((1, 1), (1, 1)), (1, 1))

    def both(x, kernel):
        y = _patch_products.convolve(x, kernel, *sizes)
        return y, _patch_products.kernel_gradient(x, jnp.sin(y), (3, 3), *sizes)

    mesh = jax.make_mesh((4,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    shared = jax.device_put(x, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data")))
    program = jax.jit(both).lower(shared, kernel).compile()
    text = program.as_text() or ""
    assert "while" in text and "all-gather" not in text
    assert_close(program(shared, kernel), jax.jit(both)(x, kernel))
