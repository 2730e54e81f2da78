"""Rows of mixtures of experts, and of attention with one head or without logits."""

import jax.numpy as jnp

from jdl import layers as L
from rows._row import Row, array
from rows.attention import INTEGERS, MEMORY, OTHER, RANK, SEQUENCES, TO_MEMORY, first


def expert(**options):
    return L.mlp([7, 6], activation=jnp.tanh, **options)


def _decoding(name, make):
    """A row of attention with one head."""
    return Row(
        name,
        make,
        (*SEQUENCES, *MEMORY),
        wrong=(
            ((array(8), *MEMORY), rf"{name}: x must be \(batch, features\) or \(batch, time, features\), got float32\[8\]"),
            ((*SEQUENCES, array(4, 6)), rf"{name}: memory must be \(batch, time, features\), got float32\[4, 6\]"),
            ((*SEQUENCES, array(3, 3, 6)), rf"{name}: batches differ: .* memory is float32\[3, 3, 6\]"),
            ((*SEQUENCES, array(4, 3, 6, dtype="int32")), f"{name}: memory must be a floating-point array, got int32"),
        ),
        misfits=TO_MEMORY,
    )


ROWS = (
    Row(
        "mixture_of_experts",
        lambda: first(L.mixture_of_experts(expert(), 5)),
        SEQUENCES,
        wrong=(RANK, INTEGERS),
        misfits=(OTHER,),
    ),
    Row(
        "mixture_of_experts_with_capacity",
        lambda: first(
            L.mixture_of_experts(expert(dropout=0.2), 3, k=1, capacity_factor=0.8, shared=L.dense(6), jitter=0.1, noise=True)
        ),
        SEQUENCES,
        draws=True,
    ),
    _decoding("additive_attention", lambda: L.additive_attention(7)),
    _decoding("luong_attention", L.luong_attention),
    Row(
        "linear_attention",
        lambda: first(L.linear_attention(2, causal=True)),
        SEQUENCES,
        wrong=(RANK, INTEGERS, (array(4, 5, 7), "2 heads don't divide the features of float32")),
        misfits=(OTHER,),
    ),
    Row(
        "position_embedding",
        lambda: L.position_embedding(6),
        SEQUENCES,
        wrong=(RANK, INTEGERS, (array(4, 7, 8), "there are 6 positions, x is float32")),
        misfits=((array(4, 5, 12), "vectors have 8 features, x is float32"),),
    ),
)
