"""Rows of mixtures of experts, and of attention with one head or without logits."""

import jax.numpy as jnp

from jdl import layers as L
from rows._row import Row, array
from rows.attention import INTEGERS, OTHER, RANK, SEQUENCES, first

MEMORY = (array(4, 3, 6),)


def expert(**options):
    return L.mlp([7, 6], activation=jnp.tanh, **options)


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
    Row("additive_attention", lambda: L.additive_attention(7), (*SEQUENCES, *MEMORY)),
    Row("luong_attention", lambda: L.luong_attention(), (*SEQUENCES, *MEMORY)),
    Row("luong_attention_dot", lambda: L.luong_attention("dot"), (array(4, 2, 3), array(4, 3, 3))),
    Row("luong_attention_concat", lambda: L.luong_attention("concat"), (array(4, 2, 3), array(4, 3, 2))),
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
