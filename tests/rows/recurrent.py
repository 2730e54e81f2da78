"""Rows of recurrent layers."""

import jax
import jax.numpy as jnp

from jdl import initializers
from jdl import layers as L
from rows._row import Row, array
from rows.attention import INTEGERS, RANK, SEQUENCES, first

OTHER = (array(4, 5, 12), "kernel takes 8 features, x is float32")
WRONG = {"wrong": (RANK, INTEGERS), "misfits": (OTHER,)}


def row(name, cell, inputs=SEQUENCES, *, draws=False, wrong=(), misfits=(), often=False, **options):
    make = lambda: first(L.recurrent(cell(), **options))
    return Row(name, make, inputs, wrong=wrong, misfits=misfits, draws=draws, often=often)


def both_ways():
    ahead, back = (L.recurrent(L.gru_cell(3), reverse=reverse) for reverse in (False, True))
    return first(L.recurrent_stack(L.bidirectional(ahead, back), L.recurrent(L.mgu_cell(6)), rate=0.2))


def residual():
    layer = L.recurrent(L.rnn_cell(3))
    return first(L.recurrent_stack(layer, layer, residual=True))


ROWS = (
    row("rnn", lambda: L.rnn_cell(3, activation=jax.nn.softplus, recurrent_init=initializers.identity()), reverse=True, **WRONG),
    row("lstm", lambda: L.lstm_cell(3, bias_init=initializers.forget_bias()), often=True, **WRONG),
    row(
        "lstm_of_all_kinds",
        lambda: L.lstm_cell(3, peephole=True, projection=2, layer_norm=True),
        draws=True,
        carry_init=initializers.normal(1.0),
        rate=0.3,
        zoneout=(0.1, 0.4),
    ),
    row("lstm_coupled", lambda: L.lstm_cell(3, peephole=True, coupled=True, bias=False), remat=2),
    row("gru", lambda: L.gru_cell(3, reset_after=False), zoneout=jnp.float32(0.2), draws=True, **WRONG),
    row("min_gru", lambda: L.min_gru_cell(3), wrong=(RANK, INTEGERS), misfits=((OTHER[0], r"kernel must be \(in, 2"),)),
    row(
        "lru",
        lambda: L.lru_cell(3, radius=(0.3, 0.9)),
        wrong=(RANK, INTEGERS),
        misfits=((OTHER[0], r"lru: kernel must be \[12, 6\]"),),
    ),
    row(
        "selective_ssm",
        lambda: L.selective_ssm_cell(3, rank=2, step=(0.1, 1.0)),
        wrong=(RANK, INTEGERS),
        misfits=((OTHER[0], r"selective_ssm: kernel must be \[12, 3\]"),),
    ),
    row(
        "slstm",
        lambda: L.slstm_cell(4, heads=2, bias_init=initializers.forget_bias()),
        wrong=(RANK, INTEGERS),
        misfits=((OTHER[0], r"slstm: kernel must be \[12, 16\]"),),
    ),
    row(
        "slstm_of_all_kinds",
        lambda: L.slstm_cell(3, forget="exp", bias=False),
        draws=True,
        carry_init=initializers.normal(1.0),
        rate=0.3,
        zoneout=(jnp.float32(0.2), 0.0, 0.0),
        reverse=True,
    ),
    row(
        "mlstm",
        lambda: L.mlstm_cell(4, heads=2),
        wrong=(RANK, INTEGERS),
        misfits=((OTHER[0], r"mlstm: kernel must be \[12, 16\]"),),
    ),
    row("mlstm_exp", lambda: L.mlstm_cell(3, forget="exp", bias=False), carry_init=initializers.normal(1.0), remat=2),
    row(
        "conv_lstm",
        lambda: L.conv_lstm_cell(2, 3, peephole=True),
        (array(4, 3, 4, 3, 2),),
        wrong=((array(4, 5, 8), r"spatial axes, channels\), got float32\[4, 5, 8\]"),),
        misfits=((array(4, 3, 4, 3, 5), "kernel takes 2 features, x is float32"),),
    ),
    row("conv_lstm_1d", lambda: L.conv_lstm_cell(1, 2), (array(4, 2, 3, 2),)),
    row("conv_lstm_3d", lambda: L.conv_lstm_cell(1, (2, 1, 2)), (array(4, 2, 2, 1, 2, 1),)),
    Row("recurrent_stack_residual", residual, (array(4, 2, 3),)),
    Row("bidirectional", both_ways, SEQUENCES, wrong=(RANK,), draws=True),
)
