"""Rows of layers that solve differential equations."""

import jax.numpy as jnp

from jdl import layers as L
from rows._row import INTEGERS, Row, array


@L.compose(norm=L.batch_norm(), inner=L.dense(3), drop=L.dropout(0.3), out=L.dense(3))
def field(net, y, t):
    return net.out(net.drop(jnp.sin(net.inner(net.norm(y)) + t.astype(y.dtype))))


@L.compose(inner=L.dense(3))
def smooth(net, y, t):
    return jnp.sin(net.inner(y) - t.astype(y.dtype))


def row(name, make, *, draws=False):
    wrong = ((INTEGERS[0], f"y0 must be a {INTEGERS[1]}"),)
    misfits = ((array(4, 2), r"takes 3 features|statistics are of 3 features"),)
    return Row(name, make, (array(4, 3),), wrong, misfits, draws=draws)


ROWS = (
    row("neural_ode", lambda: L.neural_ode(field, steps=2, times=(0.0, -0.5)), draws=True),
    row(
        "adaptive_neural_ode",
        lambda: L.chain(
            L.adaptive_neural_ode(smooth, times=(0.0, 0.2, 0.5), rtol=1e-7, atol=1e-7, max_steps=24, all_times=True),
            lambda y: y[-1],
        ),
    ),
)
