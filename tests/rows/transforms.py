"""Rows of transforms of weights.

`int8` has none: its params are integers, which have no gradient. The vector of `spectral_norm` is a constant for derivatives, which
finite differences can't know, so its row is of one output, where the vector is a sign and does not move.
"""

import jax.numpy as jnp
import numpy as np

from jdl import layers as L
from jdl.layer import Layer
from rows._row import IMAGES, INTEGERS, SCALAR, Row, array


def _chain() -> Layer:
    return L.chain(L.conv(2, 2), jnp.sin, L.flatten, L.batch_norm(), head=L.dense(2))


def _dense(name: str, make, draws: bool = False, often: bool = False) -> Row:
    wrong = ((SCALAR[0], rf"dense: .*{SCALAR[1]}"), (INTEGERS[0], f"dense: x must be a {INTEGERS[1]}"))
    misfits = ((array(4, 5), r"dense: kernel takes 6 features, x is float32\[4, 5\]"),)
    return Row(name, make, (array(4, 6),), wrong, misfits, draws=draws, often=often)


def _triangle(shape: tuple[int, ...]) -> np.ndarray:
    return np.tril(np.ones(shape[-2:]))


def _repeated(net, x):
    for i in range(2):
        x = jnp.sin(net.layer(x, net.embed(jnp.asarray(i))))
    return x


ROWS = (
    _dense("weight_norm", lambda: L.weight_norm(L.dense(3))),
    Row("weight_norm_of_a_chain", lambda: L.weight_norm(_chain()), IMAGES),
    Row("weight_norm_in_repeat", lambda: L.repeat(L.weight_norm(L.dense(6)), 2)),
    _dense("spectral_norm", lambda: L.spectral_norm(L.dense(1), steps=2)),
    _dense("orthogonal", lambda: L.orthogonal(L.dense(3)), often=True),
    Row("orthogonal_wide", lambda: L.orthogonal(L.dense(8))),
    _dense("weight_standardization", lambda: L.weight_standardization(L.dense(3))),
    Row("weight_standardization_of_a_chain", lambda: L.weight_standardization(_chain()), IMAGES),
    _dense("drop_connect", lambda: L.drop_connect(L.dense(3), 0.5), draws=True),
    Row(
        "drop_connect_of_a_chain",
        lambda: L.drop_connect(L.chain(L.dense(6), L.dropout(0.5), jnp.sin, L.repeat(L.dense(6), 2)), 0.5),
        draws=True,
    ),
    _dense("mask_kernel", lambda: L.mask_kernel(L.dense(3), _triangle)),
    _dense("lora", lambda: L.lora(L.dense(3), 2, alpha=3.0)),
    Row("lora_of_a_chain", lambda: L.lora(_chain(), 1), IMAGES),
    Row(
        "transforms_in_transforms",
        lambda: L.lora(L.drop_connect(L.weight_norm(L.weight_standardization(L.dense(3))), 0.5), 2),
        draws=True,
        often=True,
    ),
    _dense("ensemble", lambda: L.chain(L.ensemble(L.chain(L.dense(3), L.dropout(0.3)), 2), lambda y: y.mean(0)), draws=True),
    Row(
        "hypernetwork",
        lambda: L.hypernetwork(L.chain(L.dense(3), L.dropout(0.3)), L.chain(L.dense(2), jnp.tanh)),
        (array(4, 6), array(4, 3)),
        wrong=(((array(4, 6), INTEGERS[0]), f"dense: x must be a {INTEGERS[1]}"),),
        misfits=(((array(4, 5), array(4, 3)), r"dense: kernel takes 6 features, x is float32\[4, 5\]|.*float32\[1, 5\]"),),
        draws=True,
    ),
    Row(
        "hypernetwork_of_repeated_layers",
        lambda: L.chain(L.dense(6), L.compose(embed=L.embedding(2, 3), layer=L.hypernetwork(L.dense(6)))(_repeated)),
    ),
)
