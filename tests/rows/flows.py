"""Rows of normalising flows."""

import jax
import jax.numpy as jnp

from jdl import layers as L
from rows._row import SCALAR, Row, array

VECTORS, PLACES = (array(4, 6),), (array(4, 2, 3, 3),)
FEW, MORE = array(4, 1), array(4, 7)


def row(name, make, inputs=VECTORS, *, inverse=False, **facts):
    def both():
        """The output of each sample, and its determinant beside it."""

        @L.compose(layer=make())
        def forward(net, x):
            y, log_det = net.layer(x, inverse=inverse)
            return jnp.concatenate([y.reshape(len(y), -1), jnp.expand_dims(log_det, 1).astype(y.dtype)], -1)

        return forward

    wrong = ((SCALAR[0], r"x must be \(batch, \.\.\., features\), got float32\[\]"), *facts.pop("wrong", ()))
    return Row(name, both, inputs, wrong=(*wrong, (array(4, 6, dtype="int32"), "x must be a floating-point array")), **facts)


def coupling(**options):
    return L.affine_coupling(L.mlp([5], activation=jnp.tanh, activate_last=True), **options)


ROWS = (
    row(
        "affine_coupling",
        coupling,
        wrong=((FEW, r"two features at least, got float32\[4, 1\]"),),
        misfits=((array(4, 8), r"dense: kernel takes 3 features, x is float32\[4, 4\]"),),
    ),
    row("affine_coupling_of_images", lambda: L.affine_coupling(L.chain(L.conv(4, 2), jax.nn.softplus), swap=True), PLACES),
    row("actnorm", L.actnorm, PLACES, misfits=((MORE, r"actnorm: params are for 3 features, x is float32\[4, 7\]"),)),
    row("invertible_linear", L.invertible_linear, PLACES, misfits=((MORE, "invertible_linear: the matrix takes 3 features, x"),)),
    row(
        "permutation",
        lambda: L.permutation([2, 0, 1, 3, 5, 4]),
        wrong=((MORE, "permutation: order is of 6 features, x is float32"),),
    ),
    row("flow_inverse", lambda: L.flow(L.actnorm(), coupling(), L.permutation(), L.invertible_linear()), inverse=True, often=True),
)
