"""What resizes, moves and regroups the entries of images: exact cases, adjoints and inverses, and what is refused."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from programs import one_program_each
from tolerances import assert_close, assert_equal

import jdl.functional
import jdl.layers

F, L = one_program_each(jdl.functional), one_program_each(jdl.layers)


@pytest.fixture
def normal(rng):
    return lambda *shape: np.asarray(rng.normal(size=shape), np.float32)


def line(*values):
    return np.asarray(values, np.float32).reshape(1, -1, 1)


def entries(x):
    return np.asarray(x).ravel().tolist()


# Unfolding

GEOMETRIES = {
    "1d": ((7,), (3,), {"stride": 2}),
    "1d_gaps": ((7,), (2,), {"stride": 3, "padding": ((0, 1),)}),
    "2d": ((5, 6), (2, 3), {"stride": (1, 2), "padding": "SAME"}),
    "2d_dilated": ((5, 6), (2, 3), {"dilation": (3, 2), "padding": 1}),
    "3d": ((3, 4, 3), (2, 2, 1), {"padding": ((2, 0), (0, 3), (1, 1))}),
}
geometries = pytest.mark.parametrize("size, window, geometry", GEOMETRIES.values(), ids=GEOMETRIES)


@geometries
def test_a_convolution_is_a_product_with_what_unfold_gives(normal, size, window, geometry):
    x, kernel = normal(2, *size, 3), normal(*window, 3, 4)

    @jax.jit
    def both(x, kernel):
        product = F.dense(F.unfold(x, window, **geometry), kernel.reshape(-1, 4))
        return product, F.conv(x, kernel, **{"padding": "VALID"} | geometry)

    assert_close(*both(x, kernel))


@geometries
def test_fold_is_the_adjoint_of_unfold(normal, size, window, geometry):
    x, unfold = normal(2, *size, 3), lambda x: F.unfold(x, window, **geometry)

    @jax.jit
    def both(patches):
        return F.fold(patches, size, window, **geometry), jax.linear_transpose(unfold, x)(patches)[0]

    assert_close(*both(normal(*jax.eval_shape(unfold, x).shape)))


def test_fold_puts_separate_patches_back(normal):
    x = normal(2, 4, 6, 3)
    assert_equal(L.fold((4, 6), 2, stride=2).apply({}, {}, F.unfold(x, 2, stride=2))[0], x)


def test_unfold_keeps_integers():
    assert F.unfold(np.arange(3).reshape(1, 3, 1), 2).tolist() == [[[0, 1], [1, 2]]]


# Shuffles


@pytest.mark.parametrize("size, factor", [((3,), 2), ((2, 3), (3, 1)), ((2, 1, 3), (2, 1, 3))])
def test_pixel_unshuffle_undoes_pixel_shuffle(normal, size, factor):
    x = normal(2, *size, 12)
    larger = F.pixel_shuffle(x, factor)
    assert larger.shape[1:-1] == tuple(np.multiply(size, factor)) and larger.size == x.size
    assert_equal(F.pixel_unshuffle(larger, factor), x)


def test_pixel_shuffle_places_every_entry(normal):
    x, factor = normal(2, 2, 3, 12), (2, 3)
    larger = np.asarray(F.pixel_shuffle(x, factor))
    for n, h, w, c, i, j in np.ndindex(2, 2, 3, 2, 2, 3):
        assert larger[n, 2 * h + i, 3 * w + j, c] == x[n, h, w, 6 * c + 3 * i + j]


def test_channel_shuffle_is_undone_by_as_many_groups_as_there_are_in_each(normal):
    x = normal(2, 3, 6)
    shuffled = np.asarray(F.channel_shuffle(x, 2))
    assert_equal(shuffled[..., 1], x[..., 3])
    assert_equal(F.channel_shuffle(shuffled, 3), x)


# Resizing


@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(5,), (3, 4), (2, 3, 2)], ids=len)
def test_resize_to_the_same_size_changes_nothing(normal, method, size):
    x = normal(2, *size, 3)
    assert_equal(F.resize(x, size, method=method), x)


@pytest.mark.parametrize("new", [2, 3, 7, 10, 15])
def test_nearest_is_the_entry_whose_cell_holds_the_place(new):
    x = np.arange(5).reshape(1, 5, 1)
    assert entries(F.resize(x, new, method="nearest")) == [int((i + 0.5) * 5 / new) for i in range(new)]


def test_upsample_repeats(normal):
    x = normal(2, 2, 3, 2)
    assert_equal(F.upsample(x, (3, 2)), np.kron(x, np.ones((1, 3, 2, 1), np.float32)))
    assert F.upsample(np.arange(2).reshape(1, 2, 1), 2).dtype == "int32"


def test_without_antialias_entries_are_skipped():
    x = line(*range(8), 100)
    assert np.asarray(F.resize(x, 3, antialias=False))[0, -1, 0] == 7.0
    assert np.asarray(F.resize(x, 3))[0, -1, 0] > 20


# Padding


@pytest.mark.parametrize("mode, numpys", [("circular", "wrap"), ("reflect", "reflect"), ("replicate", "edge")])
@pytest.mark.parametrize("size", [(4,), (3, 4), (3, 4, 3)], ids=len)
def test_pad_is_numpys(normal, mode, numpys, size):
    x, padding = normal(2, *size, 2), ((1, 2), (2, 0), (0, 1))[: len(size)]
    assert_equal(F.pad(x, padding, mode=mode), np.pad(x, [(0, 0), *padding, (0, 0)], numpys))


def test_pad_with_a_traced_value():
    padded = jax.jit(lambda value: F.pad(line(1, 2), [(1, 0)], value=value))
    assert entries(padded(5.0)) == [5, 1, 2]
    assert np.asarray(jax.vmap(padded)(np.array([0, 3], np.float32)))[:, 0, 0].tolist() == [[0], [3]]


@pytest.mark.parametrize("padding", [0, 2, ((1, 0), (0, 3))], ids=str)
def test_crop_undoes_pad(normal, padding):
    x = normal(2, 3, 4, 2)
    assert_equal(F.crop(F.pad(x, padding, value=9), padding), x)


@pytest.mark.parametrize("size, left", [(5, [0, 1, 2, 3, 4]), (4, [0, 1, 2, 3]), (3, [1, 2, 3]), (1, [2])])
def test_center_crop_takes_the_middle(size, left):
    assert entries(F.center_crop(line(*range(5)), size)) == left


# Sampling


MODES = [{"padding_mode": m, "align_corners": a} for m, a in itertools.product(("zeros", "border", "reflection"), (False, True))]


@pytest.mark.parametrize("size", [(5,), (3, 4), (3, 1, 2)], ids=len)
def test_the_grid_of_the_identity_samples_the_image_itself(normal, size):
    x, identity = normal(2, *size, 3), np.eye(len(size), len(size) + 1, dtype=np.float32)

    @jax.jit
    def sampled(x):
        grids = {a: F.affine_grid(jnp.stack([identity, identity]), size, align_corners=a) for a in (False, True)}
        methods = "nearest", "bilinear", "bicubic"
        return [F.grid_sample(x, grid, method=m, align_corners=a) for m, (a, grid) in itertools.product(methods, grids.items())]

    assert_close(sampled(x), [x] * 6)


def test_a_turned_grid_turns_the_image(normal):
    x, quarter = normal(1, 3, 3, 2), np.array([[[0, -1, 0], [1, 0, 0]]], np.float32)
    assert_close(F.grid_sample(x, F.affine_grid(quarter, 3), padding_mode="border"), np.rot90(x, axes=(1, 2)))


@pytest.mark.parametrize("ours, scipys", [("zeros", "constant"), ("border", "nearest"), ("reflection", "reflect")])
def test_grid_sample_is_scipys_map_coordinates(normal, rng, ours, scipys):
    """SciPy's "constant" does not interpolate towards the zeros beyond the edge, so with zeros only places within count."""
    x, bound = normal(1, 4, 5, 2), (1 if ours == "zeros" else 4)
    places = rng.uniform(-bound, bound, size=(1, 20, 2)).astype(np.float32)
    sampled = np.asarray(F.grid_sample(x, places * np.array([4 / 5, 3 / 4], np.float32), padding_mode=ours))
    h, w = places[0, :, 1] * 3 / 4, places[0, :, 0] * 4 / 5
    coordinates = [((h + 1) * 4 - 1) / 2, ((w + 1) * 5 - 1) / 2]
    for c in range(2):
        expected = scipy.ndimage.map_coordinates(np.asarray(x[0, ..., c], np.float64), coordinates, order=1, mode=scipys)
        assert_close(sampled[0, :, c], expected.astype(np.float32), scale=10)


def test_places_far_beyond_the_image():
    x, far = line(1, 2, 3), np.array([[[-1e6], [1e6]]], np.float32)

    @jax.jit
    def outcomes(grid):
        zeros, border = (F.grid_sample(x, grid, padding_mode=mode) for mode in ("zeros", "border"))
        return zeros, border, jax.grad(lambda grid: F.grid_sample(x, grid, padding_mode="reflection").sum())(grid)

    zeros, border, gradient = outcomes(far)
    assert entries(zeros) == [0, 0] and entries(border) == [1, 3]
    assert np.isfinite(gradient).all()


def test_an_axis_of_one_entry():
    summed = lambda grid: jnp.stack([F.grid_sample(line(7), grid, **mode).sum() for mode in MODES])
    values, slopes = jax.jit(lambda grid: jax.jvp(summed, (grid,), (jnp.ones_like(grid),)))(np.zeros((1, 1, 1), np.float32))
    assert entries(values) == [7] * len(MODES) and np.isfinite(slopes).all()


def test_a_spatial_transformer_learns_a_shift():
    """The gradient reaches theta: descent finds by how much an image was moved."""
    ramp = np.linspace(-1, 1, 9, dtype=np.float32)
    image = np.exp(-4 * (ramp[:, None] ** 2 + ramp[None] ** 2))[None, ..., None]
    look = lambda shift: F.grid_sample(image, F.affine_grid(jnp.eye(2, 3)[None].at[0, :, 2].set(shift), 9))
    target = np.array([0.2, -0.1], np.float32)
    slope = jax.jit(jax.grad(lambda shift: jnp.square(look(shift) - look(target)).mean()))
    shift = np.zeros(2, np.float32)
    for _ in range(100):
        shift = shift - np.asarray(slope(shift))
    np.testing.assert_allclose(shift, target, atol=0.02)


# Blurring


@pytest.mark.parametrize("window", range(1, 6))
def test_blur_pool_is_a_convolution_with_binomials(normal, window):
    x = normal(2, 7, 6, 3)
    binomials = np.poly1d([1, 1]) ** (window - 1)
    filter = np.outer(binomials.coeffs, binomials.coeffs) / 2.0 ** (2 * window - 2)
    around = ((window - 1) // 2, window // 2)
    padded = np.pad(x, [(0, 0), around, around, (0, 0)], "reflect")
    seen = np.lib.stride_tricks.sliding_window_view(padded, (window, window), (1, 2))[:, ::2, ::2]
    assert_close(F.blur_pool(x, window=window), np.einsum("nhwcij,ij->nhwc", seen, filter).astype(np.float32))


@pytest.mark.parametrize("size", [(5,), (4, 5), (3, 4, 5)], ids=len)
def test_blur_pool_keeps_constants_and_halves_axes(size):
    y = F.blur_pool(np.ones((1, *size, 2), np.float32))
    assert_equal(y, np.ones((1, *(-(-n // 2) for n in size), 2), np.float32))


# Squeeze and excitation


@pytest.mark.parametrize("size", [(5,), (4, 5), (3, 2, 2)], ids=len)
def test_squeeze_excite_is_its_formula(normal, key, size):
    x, layer = normal(2, *size, 6), L.squeeze_excite(3, bias_init=jax.nn.initializers.normal(1.0))
    params, state = layer.init(key, x)
    output, _ = layer.apply(params, state, x)
    mean = np.asarray(x, np.float64).reshape(2, -1, 6).mean(axis=1)
    w1, b1, w2, b2 = (np.asarray(params[name][part]) for name in ("reduce", "expand") for part in ("kernel", "bias"))
    gate = 1 / (1 + np.exp(-(np.maximum(mean @ w1 + b1, 0) @ w2 + b2)))
    assert_close(output, np.asarray(x * gate.reshape(2, *(1 for _ in size), 6), np.float32))


def test_squeeze_excite_has_one_hidden_unit_at_least(key):
    params, _ = jax.eval_shape(L.squeeze_excite(16).init, key, jnp.ones((1, 2, 3)))
    assert params["reduce"]["kernel"].shape == (3, 1)


# What is refused


@pytest.mark.parametrize("make, message", [
    (lambda: L.unfold(0), "unfold: window must be a positive integer, got 0"),
    (lambda: L.fold(4, 2, stride=0), "fold: stride must be a positive integer, got 0"),
    (lambda: L.pixel_shuffle(0), "pixel_shuffle: factor must be a positive integer, got 0"),
    (lambda: L.pixel_unshuffle((2, 0)), r"pixel_unshuffle: factor must be a positive integer, got \(2, 0\)"),
    (lambda: L.channel_shuffle(0), "channel_shuffle: groups must be a positive integer, got 0"),
    (lambda: L.resize(3, method="area"), "resize: method must be nearest, bilinear or bicubic, got 'area'"),
    (lambda: L.upsample(2, method="cubic"), "upsample: method must be nearest, bilinear or bicubic, got 'cubic'"),
    (lambda: L.upsample(-1), "upsample: factor must be a positive integer, got -1"),
    (lambda: L.pad(1, mode="same"), "pad: mode must be zeros, circular, reflect or replicate, got 'same'"),
    (lambda: L.pad(-1), "pad: padding must be a width of at least 0, or .* got -1"),
    (lambda: L.crop(((0, -1),)), r"crop: padding must be a width of at least 0, or .* got \(\(0, -1\),\)"),
    (lambda: L.center_crop(0), "center_crop: size must be a positive integer, got 0"),
    (lambda: L.affine_grid((2, 0)), r"affine_grid: size must be a positive integer, got \(2, 0\)"),
    (lambda: L.grid_sample(method="linear"), "grid_sample: method must be nearest, bilinear or bicubic, got 'linear'"),
    (lambda: L.grid_sample(padding_mode="wrap"), "grid_sample: padding_mode must be zeros, border or reflection, got 'wrap'"),
    (lambda: L.blur_pool(window=0), "blur_pool: window must be a positive integer, got 0"),
    (lambda: L.squeeze_excite(0), "squeeze_excite: reduction must be a positive integer, got 0"),
    (lambda: F.pad(line(1), 1, mode="reflect", value=1), "pad: value is for mode zeros, reflect pads with entries of x"),
    (lambda: F.pad(line(1), ((1, 2), (1, 2))), r"pad: padding must be a width of at least 0, or 1 \(low, high\) pairs"),
    (lambda: F.resize(line(1), (1, 2)), r"resize: size \(1, 2\) has 2 entries for 1 spatial axes"),
])  # fmt: skip
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("x, grid, error, message", [
    ((1, 4, 4, 1), (1, 5, 3), ValueError, r"grid_sample: .* grid must be \(1, \*places, 2\), got float32\[1, 5, 3\]"),
    ((1, 4, 4, 1), (2, 5, 2), ValueError, r"grid_sample: .* grid must be \(1, \*places, 2\), got float32\[2, 5, 2\]"),
    ((1, 4), (1, 5, 2), ValueError, r"grid_sample: x must be \(batch, 1 to 3 spatial axes, channels\), got float32\[1, 4\]"),
    ((1, 4, 1), (1, 5, 1), TypeError, r"grid_sample: grid must be a floating-point array, got int32\[1, 5, 1\]"),
])  # fmt: skip
def test_grid_sample_refuses(x, grid, error, message):
    with pytest.raises(error, match=message):
        F.grid_sample(jnp.ones(x), jnp.ones(grid, "int32" if error is TypeError else "float32"))
