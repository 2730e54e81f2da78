"""Rows of attention and transformers."""

import functools

import jax.numpy as jnp

from jdl import functional
from jdl import layers as L
from rows._row import Row, array

SEQUENCES = (array(4, 5, 8),)
RANK = (array(4, 8), r"\(batch, time, features\), got float32\[4, 8\]")
INTEGERS = (array(4, 5, 8, dtype="int32"), "floating-point array, got int32")
MEMORY = (array(4, 3, 6),)
OTHER = (array(4, 5, 12), "8 features, x is float32")
TO_MEMORY = (
    ((array(4, 5, 12), *MEMORY), "kernel takes 8 features, x is float32"),
    ((*SEQUENCES, array(4, 3, 7)), "kernel takes 6 features, x is float32|keys float32.*7"),
)


def first(layer):
    """The layer without the cache that it returns beside its output."""

    @L.compose(layer=layer)
    def forward(net, *inputs):
        return net.layer(*inputs)[0]

    return forward


def block(**options):
    return L.transformer_block(L.attention(2), L.mlp([12, 8], activation=jnp.tanh), **options)


ROWS = (
    Row(
        "attention",
        lambda: first(L.attention(2)),
        SEQUENCES,
        wrong=(RANK, INTEGERS, (array(4, 5, 7), "2 heads don't divide the features of float32")),
        misfits=(OTHER,),
    ),
    Row(
        "attention_of_groups",
        lambda: first(L.attention(4, kv_heads=2, causal=True, qk_norm=L.rms_norm(), rope=functional.rope)),
        SEQUENCES,
    ),
    Row(
        "attention_of_all_kinds",
        lambda: first(
            L.attention(
                2,
                width=3,
                features=6,
                window=2,
                soft_cap=5.0,
                sinks=True,
                position_bias=L.relative_position_bias(2, buckets=8, longest=16),
                rate=0.3,
                bias=False,
            )
        ),
        SEQUENCES,
        draws=True,
    ),
    Row(
        "attention_with_alibi",
        lambda: first(L.attention(2, position_bias=functools.partial(functional.alibi, heads=2), backend="chunked")),
        SEQUENCES,
    ),
    Row(
        "attention_to_memory",
        lambda: first(L.attention(2)),
        (*SEQUENCES, *MEMORY),
        wrong=(
            ((array(4, 8), *MEMORY), rf"attention: x must be {RANK[1]}"),
            ((*SEQUENCES, array(4, 6)), r"attention: memory must be \(batch, time, features\), got float32\[4, 6\]"),
            ((*SEQUENCES, array(3, 3, 6)), r"attention: batch and width must be equal, .*keys float32\[3, 3, 2, 4\]"),
            ((*SEQUENCES, array(4, 3, 6, dtype="int32")), "attention: memory must be a floating-point array, got int32"),
        ),
        misfits=TO_MEMORY,
    ),
    Row("transformer_block", lambda: first(block(rate=0.1)), SEQUENCES, wrong=(RANK,), misfits=(OTHER,), draws=True, often=True),
    Row("transformer_block_post", lambda: first(block(order="post")), SEQUENCES),
    Row("transformer_block_parallel", lambda: first(block(order="parallel", norm=L.rms_norm())), SEQUENCES),
    Row(
        "transformer_block_to_memory",
        lambda: first(block(cross=L.attention(2))),
        (*SEQUENCES, array(4, 3, 8)),
        wrong=(((*SEQUENCES, array(4, 8)), r"attention: memory must be \(batch, time, features\), got float32\[4, 8\]"),),
        misfits=(
            ((array(4, 5, 12), array(4, 3, 8)), OTHER[1]),
            ((*SEQUENCES, array(4, 3, 12)), OTHER[1]),
        ),
    ),
    Row("remat", lambda: L.remat(L.chain(L.dense(5), jnp.tanh, L.dropout(0.2)), policy="dots"), draws=True),
)
