"""Rows of the layers that draw noise. Shapes are such that two draws are never equal."""

import jax.numpy as jnp

from jdl import layers as L
from rows._row import INTEGERS, RANK, SCALAR, Row, array

CHANNELS = (array(4, 3, 2, 10),)
SEQUENCE = (array(4, 3, 10),)


def _integers(name: str):
    return INTEGERS[0], f"{name}: x must be a {INTEGERS[1]}"


def _images(name: str):
    return (array(4, 2), f"{name}: x must be .*{RANK}"), _integers(name)


def _tokens(name: str, axis: str):
    return (array(4, 2), rf"{name}: x must be \(batch, {axis}, features\), got float32\[4, 2\]"), _integers(name)


ROWS = (
    Row(
        "dropout_shared",
        lambda: L.dropout(0.5, shared=(-1,)),
        (array(4, 10, 3),),
        wrong=((SCALAR[0], r"dropout: shared must be axes of x, got \(-1,\) for float32\[\]"), _integers("dropout")),
        draws=True,
        often=False,
    ),
    Row(
        "spatial_dropout",
        lambda: L.spatial_dropout(0.5),
        CHANNELS,
        wrong=_images("spatial_dropout"),
        draws=True,
        often=False,
    ),
    Row(
        "locked_dropout",
        lambda: L.locked_dropout(0.5),
        SEQUENCE,
        wrong=_tokens("locked_dropout", "time"),
        draws=True,
        often=False,
    ),
    Row("alpha_dropout", lambda: L.alpha_dropout(0.5), wrong=(_integers("alpha_dropout"),), draws=True, often=False),
    Row(
        "feature_alpha_dropout",
        lambda: L.feature_alpha_dropout(0.5),
        CHANNELS,
        wrong=_images("feature_alpha_dropout"),
        draws=True,
        often=False,
    ),
    Row("gaussian_dropout", lambda: L.gaussian_dropout(0.2), wrong=(_integers("gaussian_dropout"),), draws=True, often=False),
    Row("gaussian_noise", lambda: L.gaussian_noise(0.5), wrong=(_integers("gaussian_noise"),), draws=True, often=False),
    Row(
        "drop_path",
        lambda: L.parallel(jnp.hstack, *(L.drop_path(0.5) for _ in range(10))),
        (array(4, 3),),
        wrong=((SCALAR[0], rf"drop_path: x must be \(batch, ...\), got {SCALAR[1]}"), _integers("drop_path")),
        draws=True,
        often=False,
    ),
    Row(
        "drop_block",
        lambda: L.drop_block(0.5, (2, 1)),
        (array(4, 6, 4, 3),),
        wrong=(
            *_images("drop_block"),
            (array(4, 1, 4, 3), r"drop_block: a block of \(2, 1\) does not fit x, float32\[4, 1, 4, 3\]"),
        ),
        draws=True,
    ),
    Row(
        "token_drop",
        lambda: L.token_drop(8, prefix=1),
        (array(4, 16, 2),),
        wrong=(
            *_tokens("token_drop", "tokens"),
            (array(4, 8, 2), r"token_drop: 9 tokens are to be kept, x is float32\[4, 8, 2\]"),
        ),
        draws=True,
    ),
)
