"""Rows of models."""

from jax.nn import initializers

from jdl import layers as L
from jdl import models
from rows._row import Row, array


def translator():
    """Kernels start constant, as tests move them, so that no time goes into compiling what draws them."""
    constant = initializers.constant(0.1)
    options = {"kernel_init": constant, "bias": False}
    table = {"embedding_init": constant}
    parts = {"embedding": L.embedding(7, 4, **table), "positions": L.embedding(8, 4, **table), "entry": L.dropout(0.1)}
    mlp = L.swiglu(6, kernel_init=constant)
    reading = L.transformer_block(L.attention(2, **options), mlp)
    writing = L.remat(L.transformer_block(L.attention(2, causal=True, **options), mlp, cross=L.attention(2, **options)))
    head = L.dense(3, kernel_init=constant)
    return models.encoder_decoder(
        models.transformer_encoder(2, reading, **parts), models.transformer_decoder(2, writing, **parts, head=head)
    )


SOURCE, TARGET = array(4, 5, dtype="int32"), array(4, 3, dtype="int32")
ROWS = (
    Row(
        "encoder_decoder",
        translator,
        (SOURCE, TARGET),
        wrong=(
            ((array(4, 5), TARGET), r"embedding: ids must be integers, got float32\[4, 5\]"),
            ((array(4, dtype="int32"), TARGET), r"transformer_encoder: x must be .* got float32\[4, 4\]"),
            ((SOURCE, array(4, dtype="int32")), r"transformer_decoder: x must be .* got float32\[4, 4\]"),
            ((SOURCE, array(3, 3, dtype="int32")), r"attention: batch and width must be equal, .*query is float32\[3, 3, 2, 2\]"),
        ),
        draws=True,
    ),
)
