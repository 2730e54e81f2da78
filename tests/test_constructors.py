"""Constructor arguments out of range raise when the layer is built, and name the layer, the argument and what it may be."""

import jax
import jax.numpy as jnp
import pytest

from jdl import functional as F
from jdl import layers as L

WINDOWS = {  # layers of windows by what else they take
    "conv": lambda **given: L.conv(4, 3, **given),
    "depthwise_conv": lambda **given: L.depthwise_conv(3, **given),
    "separable_conv": lambda **given: L.separable_conv(4, 3, **given),
    "conv_transpose": lambda **given: L.conv_transpose(4, 3, **given),
    "conv_local": lambda **given: L.conv_local(4, 3, **given),
    "deform_conv": lambda **given: L.deform_conv(4, 3, **given),
    "max_pool": lambda **given: L.max_pool(2, **given),
    "min_pool": lambda **given: L.min_pool(2, **given),
    "avg_pool": lambda **given: L.avg_pool(2, **given),
    "sum_pool": lambda **given: L.sum_pool(2, **given),
    "lp_pool": lambda **given: L.lp_pool(2, power=2, **given),
    "soft_pool": lambda **given: L.soft_pool(2, **given),
    "unfold": lambda **given: L.unfold(2, **given),
    "fold": lambda **given: L.fold(4, 2, **given),
}
NORMS = {
    "batch_norm": L.batch_norm,
    "batch_renorm": L.batch_renorm,
    "conditional_batch_norm": lambda epsilon: L.conditional_batch_norm(2, epsilon=epsilon),
    "layer_norm": L.layer_norm,
    "rms_norm": L.rms_norm,
    "group_norm": lambda epsilon: L.group_norm(2, epsilon=epsilon),
    "instance_norm": L.instance_norm,
    "unit_norm": L.unit_norm,
    "adaptive_layer_norm": L.adaptive_layer_norm,
    "weight_standardization": lambda epsilon: L.weight_standardization(L.dense(2), epsilon=epsilon),
    "spectral_norm": lambda epsilon: L.spectral_norm(L.dense(2), epsilon=epsilon),
}
ONE_EACH = "sizes must be one for all spatial axes, or one for each of 1 to 3, got"


@pytest.mark.parametrize("padding", ["X", "same", -1, True, None, (), ((1, -1),), ((1, 0.5),)], ids=repr)
@pytest.mark.parametrize("name", WINDOWS)
def test_unknown_padding(name, padding):
    named = '"SAME", "VALID", ' if name == "conv_transpose" else '"SAME", "VALID", "CAUSAL", '
    with pytest.raises(ValueError) as caught:
        WINDOWS[name](padding=padding)
    wants = f"{named}a width of at least 0, or a (low, high) pair for each axis"
    assert str(caught.value) == f"{name}: padding must be {wants}, got {padding!r}"


@pytest.mark.parametrize("name", WINDOWS)
def test_sizes_for_other_numbers_of_axes(name):
    with pytest.raises(ValueError, match=rf"{name}: {ONE_EACH} stride=\(1, 1\) and padding=\(\(1, 1\),\)"):
        WINDOWS[name](stride=(1, 1), padding=((1, 1),))
    with pytest.raises(ValueError, match=rf"{name}: {ONE_EACH} stride=\(1, 1, 1, 1\)"):
        WINDOWS[name](stride=(1, 1, 1, 1))


@pytest.mark.parametrize("name", NORMS)
def test_negative_epsilon(name):
    with pytest.raises(ValueError, match=f"{name}: epsilon must be at least 0, got -1"):
        NORMS[name](epsilon=-1)
    NORMS[name](epsilon=0)
    jax.make_jaxpr(lambda epsilon: NORMS[name](epsilon=epsilon) and epsilon)(-1.0)  # traced: nobody can look


@pytest.mark.parametrize("make, message", [
    *((lambda make=make: make(padding_mode="foo"), "padding_mode must be zeros, circular, .* got 'foo'") for make in (
        WINDOWS["conv"], WINDOWS["depthwise_conv"], WINDOWS["separable_conv"],
    )),
    (lambda: L.conv(4, ()), rf"conv: {ONE_EACH} kernel_size=\(\)"),
    (lambda: L.conv_transpose(4, 3, output_padding=1), r"output_padding must be at least 0 and less than stride .* got 1"),
    (lambda: L.conv_transpose(4, 3, stride=2, output_padding=(1, 2)), r"less than stride \(2, 2\) or dilation \(1, 1\), got"),
    (lambda: L.conv_transpose(4, 3, output_padding=-1), "conv_transpose: output_padding must be at least 0"),
    (lambda: L.deform_conv(4, 3, stride=(1, 1, 1)), r"deform_conv: stride \(1, 1, 1\) has 3 entries for 2 spatial axes"),
    (lambda: L.fold(2, 5), r"fold: a window that spans 5 does not fit an axis of 2"),
    (lambda: L.pad(-1), "pad: padding must be a width of at least 0, or a .* for each axis, got -1"),
    (lambda: L.pad(1, mode="reflect", value=1.0), "pad: value is for mode zeros, .* got value 1.0"),
    (lambda: L.crop(((1, -1),)), "crop: padding must be a width"),
    *((lambda make=make: make(()), rf"{make.__name__}: {ONE_EACH} \w+=\(\)") for make in (
        L.adaptive_avg_pool, L.adaptive_max_pool, L.affine_grid, L.center_crop, L.max_pool, L.pixel_shuffle, L.pixel_unshuffle,
        L.resize, L.unfold, L.upsample,
    )),
    (lambda: L.drop_block(0.1, ()), f"drop_block: {ONE_EACH} block_size"),
    (lambda: L.fractional_max_pool(2, size=()), f"fractional_max_pool: {ONE_EACH} size"),
    (lambda: L.conv_lstm_cell(3, (1, 1, 1, 1)), f"conv_lstm_cell: {ONE_EACH} kernel_size"),
    (lambda: L.roi_align((2, 2, 2)), "roi_align: size .* has 3 entries for 2 spatial axes"),
    (lambda: L.roi_align(2, scale=0), "roi_align: scale must be above 0, got 0"),
    (lambda: L.recurrent(L.lstm_cell(2), backend="gpu"), "lstm: backend must be xla or cudnn, got 'gpu'"),  # type: ignore[arg-type]
    (lambda: L.attention(2, window=(2, 2)), r"attention: window must be a positive integer, got \(2, 2\)"),  # type: ignore[arg-type]
    (lambda: L.blur_pool(window=(3, 3)), r"blur_pool: window must be a positive integer, got \(3, 3\)"),  # type: ignore[arg-type]
    (lambda: L.conv((4, 4), 3), r"conv: features must be a positive integer, got \(4, 4\)"),  # type: ignore[arg-type]
    (lambda: L.mlp((8, 0)), r"mlp: widths must be a positive integer, got \(8, 0\)"),
    (lambda: L.capsules(0, 4), "capsules: count must be a positive integer, got 0"),
    (lambda: L.capsules(3, 4, routings=0), "capsules: routings must be a positive integer, got 0"),
    (lambda: L.attention(2, backend="flash"), "attention: backend must be auto, xla, chunked or cudnn, got 'flash'"),  # type: ignore[arg-type]
    (lambda: L.attention(2, backend=print, return_weights=True), "attention: a backend over many devices gives no weights"),
    (lambda: L.attention(2, soft_cap=-1), "attention: soft_cap must be above 0, got -1"),
    (lambda: L.layer_norm(axis=()), r"layer_norm: axis must be an integer, or several different ones, got \(\)"),
    (lambda: L.layer_norm(axis=(-3, -1)), r"layer_norm: axis must name trailing axes, .* got \(-3, -1\)"),
    (lambda: L.unit_norm(axis=(0, 0)), r"unit_norm: axis must be an integer, or several different ones, got \(0, 0\)"),
    (lambda: L.dropout(0.5, shared="x"), "dropout: shared must be an integer, or several .* got 'x'"),  # type: ignore[arg-type]
    (lambda: L.generalized_mean_pool(epsilon=0), "generalized_mean_pool: epsilon must be above 0, got 0"),
    (lambda: L.local_response_norm(k=-1), "local_response_norm: k must be above 0, got -1"),
    (lambda: L.local_response_norm(alpha=-1), "local_response_norm: alpha must be at least 0, got -1"),
    (lambda: L.neural_ode(jnp.add, times=(0.0,)), r"neural_ode: times must be two or more real numbers, .* got \(0.0"),
    (lambda: L.neural_ode(jnp.add, steps=0), "neural_ode: steps must be a positive integer, got 0"),
    (lambda: L.neural_ode(jnp.add, method="dopri5"), "neural_ode: method must be euler, .* or dormand_prince, got"),  # type: ignore[arg-type]
    (lambda: L.adaptive_neural_ode(jnp.add, rtol=-1), "adaptive_neural_ode: rtol must be at least 0, got -1"),
    (lambda: L.adaptive_neural_ode(jnp.add, atol=0), "adaptive_neural_ode: atol must be above 0, got 0"),
    (lambda: L.adaptive_neural_ode(jnp.add, max_steps=0), "adaptive_neural_ode: max_steps must be a positive integer"),
])  # fmt: skip
def test_constructors_refuse(make, message):
    with pytest.raises(ValueError, match=message):
        make()


X, HEADS, PLACES = jnp.ones((2, 4, 3)), jnp.ones((1, 2, 1, 2)), jnp.ones((1, 2), int)


@pytest.mark.parametrize("call, message", [
    (lambda: F.attention(HEADS, HEADS, HEADS, soft_cap=0.0), "attention: soft_cap must be above 0, got 0.0"),
    (lambda: F.rope(HEADS, PLACES, interpolate=-2), "rope: interpolate must be at least 1, got -2"),
    (lambda: F.rope(HEADS, PLACES, original_length=0), "rope: original_length must be a positive integer, got 0"),
    (lambda: F.rope(HEADS, PLACES, base=0), "rope: base must be above 0, got 0"),
    (lambda: F.sinusoidal(PLACES, 4, base=-1), "sinusoidal: base must be above 0, got -1"),
    (lambda: F.conv_transpose(X, jnp.ones((3, 3, 2)), padding="X"), 'padding must be "SAME", "VALID", a width'),
    (lambda: F.dropout(jax.random.key(0), X, 0.5, shared=1.0), "dropout: shared must be an integer"),  # type: ignore[arg-type]
    (lambda: F.unit_norm(X, axis=3), r"unit_norm: axis must be axes of x, got 3 for float32\[2, 4, 3\]"),
    (lambda: F.generalized_mean_pool(X, 3.0, epsilon=0), "generalized_mean_pool: epsilon must be above 0"),
    (lambda: F.local_response_norm(X, k=0), "local_response_norm: k must be above 0, got 0"),
    (lambda: F.roi_align(jnp.ones((1, 4, 4, 1)), jnp.ones((1, 1, 4)), 2, scale=-1), "roi_align: scale must be above 0, got -1"),
    (lambda: F.batch_norm(X, X[0, 0], X[0, 0], epsilon=-1), "batch_norm: epsilon must be at least 0, got -1"),
    *((lambda norm=norm: norm(X, epsilon=-1), f"{norm.__name__}: epsilon must be at least 0, got -1") for norm in (
        F.layer_norm, F.rms_norm, F.instance_norm, F.unit_norm, F.weight_standardization,
    )),
    (lambda: F.group_norm(X, groups=3, epsilon=-1), "group_norm: epsilon must be at least 0"),
    (lambda: F.adain(X, X, epsilon=-1), "adain: epsilon must be at least 0"),
])  # fmt: skip
def test_functions_refuse(call, message):
    with pytest.raises(ValueError, match=message):
        call()
