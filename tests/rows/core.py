"""Rows of the core, and one of each of its first layers."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jdl import layers as L
from jdl.layer import Layer
from rows._row import IMAGES, INTEGERS, RANK, SCALAR, Row, array


def _composed() -> Layer:
    @L.compose(inner=L.dense(6), norm=L.batch_norm(), drop=L.dropout(0.5), out=L.dense(3))
    def forward(net, x):
        x = net.drop(net.norm(net.inner(x)))
        x = net.drop(net.norm(net.inner(x)))  # the same parameters, the next state, another mask
        return jnp.sin(net.out(x)) @ net.params["out"]["kernel"].T.astype(x.dtype)

    return forward


def _block() -> Layer:
    return L.residual(L.chain(L.batch_norm(), L.dense(6), jnp.sin, L.dropout(0.5)))


def _conv(name: str, make: Callable[[], Layer], x: jax.ShapeDtypeStruct = IMAGES[0], often: bool = False) -> Row:
    wrong = ((array(4, 2), "conv: .*"), (jax.ShapeDtypeStruct(x.shape, "int32"), "conv: x must be a floating-point array"))
    wider = array(*x.shape[:-1], x.shape[-1] + 2)
    return Row(name, make, (x,), wrong, ((wider, rf"conv: kernel takes {x.shape[-1]} channels"),), often=often)


def _pool(name: str, make: Callable[[], Layer], says: str, often: bool = False) -> Row:
    return Row(name, make, IMAGES, ((array(4, 2), rf"{says}: x must be .*{RANK}"),), often=often)


ROWS = (
    Row(
        "dense",
        lambda: L.dense(3),
        (array(4, 2, 6),),
        wrong=((SCALAR[0], rf"dense: .*{SCALAR[1]}"), (INTEGERS[0], f"dense: x must be a {INTEGERS[1]}")),
        misfits=((array(4, 5), r"dense: kernel takes 6 features, x is float32\[4, 5\]"),),
        often=True,
    ),
    Row("dense_without_bias", lambda: L.dense(3, bias=False)),
    _conv("conv_1d", lambda: L.conv(3, 3), array(4, 6, 2)),
    _conv("conv_2d", lambda: L.conv(3, (3, 2)), often=True),
    _conv("conv_3d", lambda: L.conv(3, 2), array(4, 3, 4, 3, 2)),
    _conv("conv_valid_strided", lambda: L.conv(3, 3, stride=(2, 1), padding="VALID")),
    _conv("conv_dilated", lambda: L.conv(3, 2, dilation=(2, 1))),
    _conv("conv_grouped", lambda: L.conv(4, 2, groups=2, bias=False)),
    _conv("conv_padded", lambda: L.conv(3, 3, stride=2, padding=((2, 1), (0, 3)))),
    _pool("max_pool", lambda: L.max_pool(2), "max_pool"),
    _pool("max_pool_overlapping", lambda: L.max_pool((3, 2), stride=(2, 1), padding="SAME"), "max_pool", often=True),
    _pool("avg_pool", lambda: L.avg_pool(2), "avg_pool"),
    _pool("avg_pool_overlapping", lambda: L.avg_pool(3, stride=2, padding=1), "avg_pool"),
    _pool("global_max_pool", lambda: L.function(L.global_max_pool), "global_max_pool"),
    _pool("global_avg_pool", lambda: L.function(L.global_avg_pool), "global_avg_pool"),
    Row(
        "batch_norm",
        L.batch_norm,
        wrong=((array(6), r"batch_norm: .*float32\[6\]"), (INTEGERS[0], f"batch_norm: x must be a {INTEGERS[1]}")),
        misfits=((array(4, 5), r"batch_norm: .* 6 features, x is float32\[4, 5\]"),),
        often=True,
    ),
    Row("batch_norm_images", lambda: L.batch_norm(momentum=0.5), IMAGES),
    Row(
        "layer_norm",
        L.layer_norm,
        wrong=((SCALAR[0], rf"layer_norm: .*{SCALAR[1]}"), (INTEGERS[0], f"layer_norm: x must be a {INTEGERS[1]}")),
        misfits=((array(4, 5), r"layer_norm: .*6 features, x is float32\[4, 5\]"),),
    ),
    Row(
        "rms_norm",
        L.rms_norm,
        wrong=((SCALAR[0], rf"rms_norm: .*{SCALAR[1]}"), (INTEGERS[0], f"rms_norm: x must be a {INTEGERS[1]}")),
        misfits=((array(4, 5), r"rms_norm: .*6 features, x is float32\[4, 5\]"),),
    ),
    Row("dropout", lambda: L.dropout(0.5), wrong=((INTEGERS[0], f"dropout: x must be a {INTEGERS[1]}"),), draws=True, often=True),
    Row(
        "embedding",
        lambda: L.embedding(5, 3),
        (array(4, 2, dtype="int32"),),
        wrong=((array(4, 2), r"embedding: ids must be integers, got float32\[4, 2\]"),),
        below=5,
        often=True,
    ),
    Row("flatten", lambda: L.function(L.flatten), IMAGES, wrong=((SCALAR[0], rf"flatten: .*{SCALAR[1]}"),), often=True),
    Row("function", lambda: L.function(jnp.tanh)),
    Row("chain", lambda: L.chain(L.dense(5), L.batch_norm(), jnp.sin, L.dropout(0.5), head=L.dense(3)), draws=True),
    Row("chain_of_images", lambda: L.chain(L.conv(3, 2), L.max_pool(2), L.flatten, L.dense(2)), IMAGES),
    Row("compose", _composed, draws=True, often=True),
    Row("residual", lambda: L.residual(L.dense(6)), misfits=((array(4, 5), "dense: kernel takes 6 features"),)),
    Row(
        "residual_with_skip",
        lambda: L.residual(L.dense(3), skip=L.function(lambda x: x[:, :3])),
        wrong=((array(4, 2), r"skip is float32\[4, 2\], layer is float32\[4, 3\]|dense: kernel takes 6"),),
    ),
    Row("parallel", lambda: L.parallel(jnp.hstack, L.dense(2), jnp.tanh, norm=L.batch_norm()), often=True),
    Row("repeat", lambda: L.repeat(L.residual(L.dense(6)), 2)),
    Row("repeat_in_repeat", lambda: L.repeat(L.repeat(_block(), 2), 3), draws=True, often=True),
)
