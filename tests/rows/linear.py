"""Dense layers of every kind: over several axes, of two inputs, in MLPs, for many classes, and tables of embeddings and codes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jdl import layers as L
from jdl.layer import Layer
from rows._row import INTEGERS, SCALAR, Row, array


def _wrong(name: str) -> tuple[tuple[jax.ShapeDtypeStruct, str], ...]:
    return ((SCALAR[0], rf"{name}: .*{SCALAR[1]}"), (INTEGERS[0], f"{name}: x must be a {INTEGERS[1]}"))


NARROW = ((array(4, 5), r"dense: kernel takes 6 features, x is float32\[4, 5\]"),)
LEFT, RIGHT = array(4, 2, 3), array(4, 2, 2)
IDS, BOOLS = array(4, 3, dtype="int32"), array(4, 3, dtype="bool")
FLOATS = ((array(4, 2), r"embedding.*: ids must be integers, got float32\[4, 2\]"),)


def _gated(name: str, make: Callable[[], Layer]) -> Row:
    return Row(name, make, wrong=_wrong("gated_mlp"), misfits=NARROW)


def _tied() -> Layer:
    @L.compose(embed=L.embedding(5, 3))
    def forward(net, ids):
        return L.attend(jnp.sin(net.embed(ids)), net.params["embed"]["embedding"])

    return forward


def _codes(make: Callable[[], Layer]) -> Layer:
    @L.compose(quantize=make())
    def forward(net, x):
        _, info = net.quantize(x)
        return jnp.sin(x) * info["codes"]  # codes have the gradient of what they are; the other output is made to have another

    return forward


def _quantizer(name: str, make: Callable[[], Layer]) -> Row:
    misfits = ((array(4, 5), rf"{name}: codes have 6 features, x is float32\[4, 5\]"),)
    return Row(name, lambda: _codes(make), (array(4, 3, 6),), _wrong(name), misfits)


ROWS = (
    Row(
        "capsules",
        lambda: L.capsules(3, 4),
        (array(4, 5, 2),),
        wrong=((array(4, 5), r"capsules: x must be \(batch, parts, features\)"), (INTEGERS[0], f"x must be a {INTEGERS[1]}")),
        misfits=((array(4, 6, 2), r"capsules: kernel takes \[5, 2\] of each sample, x is float32\[4, 6, 2\]"),),
    ),
    Row(
        "dense_over_axes",
        lambda: L.dense((2, 3), axis=(-1, 1)),
        (array(4, 3, 2, 2),),
        wrong=(
            (SCALAR[0], rf"dense: .*{SCALAR[1]}"),
            (array(6), r"dense: x must have the axes \[-1, 1\].*|dense: kernel takes .*"),
        ),
        misfits=((array(4, 2, 3, 3), r"dense: kernel takes \[2, 3\] features along \[-1, 1\], x is float32\[4, 2, 3, 3\]"),),
    ),
    Row(
        "einsum",
        lambda: L.einsum("btd,dhk->bthk", (6, 2, 3), bias_axes="hk"),
        (array(4, 2, 6),),
        wrong=(
            (array(4, 6), r"einsum: .* of shape \[6, 2, 3\] takes x as \(b, t, d=6\), got float32\[4, 6\]"),
            (array(4, 2, 5), r"einsum: .* takes x as \(b, t, d=6\), got float32\[4, 2, 5\]"),
            (INTEGERS[0], f"einsum: x must be a {INTEGERS[1]}"),
        ),
    ),
    Row(
        "einsum_of_groups",
        lambda: L.einsum("...gd,gdk->...gk", (2, 3, 2), bias_axes="g"),
        (array(4, 2, 3),),
        wrong=((array(3), r"einsum: .* takes x as \(\.\.\., g=2, d=3\), got float32\[3\]"),),
    ),
    Row(
        "bilinear",
        lambda: L.bilinear(3),
        (LEFT, RIGHT),
        wrong=(
            ((array(), RIGHT), r"bilinear: (x1 must be \(\.\.\., features\)|all axes but the last must be the same).*float32\[\]"),
            ((LEFT, array(4, 5, 2)), r"bilinear: all axes but the last must be the same, .* x2 is float32\[4, 5, 2\]"),
            ((LEFT, array(4, 2, 2, dtype="int32")), "bilinear: x2 must be a floating-point array, got int32"),
        ),
        misfits=(
            ((array(4, 2, 5), RIGHT), r"bilinear: kernel takes 3 and 2 features, x1 is float32\[4, 2, 5\]"),
            ((LEFT, array(4, 2, 4)), r"bilinear: kernel takes 3 and 2 features, .* x2 is float32\[4, 2, 4\]"),
        ),
    ),
    Row("bias", L.bias, wrong=_wrong("bias"), misfits=((array(4, 5), r"add_bias: .*\[6\] does not fit .*\[4, 5\]"),)),
    Row("embedding_with_padding", lambda: L.embedding(6, 3, padding_index=5), (IDS,), wrong=FLOATS),
    Row("embedding_one_hot", lambda: L.embedding(5, 3, one_hot=True), (IDS,), wrong=FLOATS),
    Row("embedding_tied", _tied, (IDS,)),
    Row("embedding_bag", lambda: L.embedding_bag(5, 3), (IDS,), wrong=FLOATS),
    Row(
        "embedding_bag_weighted",
        lambda: L.embedding_bag(5, 3, reduction="sum"),
        (IDS, array(4, 3), BOOLS),
        wrong=(
            ((array(4, 3), array(4, 3), BOOLS), r"embedding_bag: ids must be integers, got float32\[4, 3\]"),
            ((IDS, array(4, 2), BOOLS), r"embedding_bag: shapes differ: .*weights is float32\[4, 2\]"),
            ((IDS, array(4, 3), array(4, 2, dtype="bool")), r"embedding_bag: shapes differ: .*where is bool\[4, 2\]"),
        ),
    ),
    Row("embedding_bag_max", lambda: L.embedding_bag(5, 3, reduction="max"), (IDS,), wrong=FLOATS),
    Row("mlp", lambda: L.mlp((5, 3), activation=jnp.sin), wrong=_wrong("dense"), misfits=NARROW),
    Row("mlp_with_dropout", lambda: L.mlp((5, 4, 3), dropout=0.5, activate_last=True), draws=True),
    _gated("gated_mlp", lambda: L.gated_mlp(5, features=3, activation=jax.nn.sigmoid, bias=True)),
    _gated("swiglu", lambda: L.swiglu(5)),
    _gated("geglu", lambda: L.geglu(5)),
    _gated("reglu", lambda: L.reglu(5)),
    Row("maxout", lambda: L.maxout(3, 2), wrong=_wrong("dense"), misfits=NARROW),
    Row(
        "adaptive_log_softmax",
        lambda: L.adaptive_log_softmax(7, [2, 5], div_value=2.0, bias=True),
        wrong=(*_wrong("adaptive_log_softmax"), (array(4, 3), "no features are left for cluster 1, x is .*|head must be .*")),
        misfits=((array(4, 5), r"head must be \(in, frequent \+ 2 clusters\), got .*, x is float32\[4, 5\]"),),
    ),
    _quantizer("vector_quantizer", lambda: L.vector_quantizer(4)),
    _quantizer("ema_vector_quantizer", lambda: L.ema_vector_quantizer(4)),
)
