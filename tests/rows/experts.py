"""Rows of mixtures of experts, and of attention with one head or without logits."""

import jax.numpy as jnp

from jdl import layers as L
from rows._row import Row, array
from rows.attention import INTEGERS, OTHER, RANK, SEQUENCES, TO_MEMORY, first


def expert(**options):
    return L.mlp([7, 6], activation=jnp.tanh, **options)


def _decoding(name, make, *, width=6, misfits=TO_MEMORY):
    """A row of attention with one head, to a memory of this width."""
    memory, says = (array(4, 3, width),), name.removesuffix("_dot").removesuffix("_concat")
    return Row(
        name,
        make,
        (*SEQUENCES, *memory),
        wrong=(
            ((array(8), *memory), rf"{says}: x must be \(batch, features\) or \(batch, time, features\), got float32\[8\]"),
            ((*SEQUENCES, array(4, width)), rf"{says}: memory must be \(batch, time, features\), got float32\[4, {width}\]"),
            ((*SEQUENCES, array(3, 3, width)), rf"{says}: batches differ: .* memory is float32\[3, 3, {width}\]"),
            ((*SEQUENCES, array(4, 3, width, dtype="int32")), f"{says}: memory must be a floating-point array, got int32"),
        ),
        misfits=misfits,
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
    _decoding("luong_attention_dot", lambda: L.luong_attention("dot"), width=8, misfits=()),
    _decoding("luong_attention_concat", lambda: L.luong_attention("concat")),
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
