"""Rows of norms, and of what stands in for them or sets their scale and shift."""

from jdl import layers as L
from rows._row import IMAGES, INTEGERS, SCALAR, Row, array


def _norm(name: str, make, says: str, shape=(4, 6), wrong=SCALAR, often: bool = False) -> Row:
    """A row of a norm that has weights for each feature."""
    *leading, features = shape
    of = rf"{says}: .* {features} features, x is float32"
    refused = ((wrong[0], rf"{says}: .*{wrong[1]}"), (INTEGERS[0], rf"{says}: x must be a {INTEGERS[1]}"))
    return Row(name, make, (array(*shape),), refused, ((array(*leading, features - 2), of),), often=often)


VECTOR = (array(6), r"float32\[6\]")
MATRIX = (array(4, 6), r"float32\[4, 6\]")
CONDITIONED = (array(4, 3, 6), array(4, 5))

ROWS = (
    _norm(
        "batch_norm_options",
        lambda: L.batch_norm(momentum=0.7, unbiased=True, debias=True, bias=False),
        "batch_norm",
        (4, 3, 6),
        VECTOR,
    ),
    Row("batch_norm_without_weights", lambda: L.batch_norm(scale=False, bias=False), often=False),
    Row("batch_norm_ghosts", lambda: L.batch_norm(ghost_size=2, unbiased=True), IMAGES),
    # Limits that cut off everything: r and d are constants for the gradient, which finite differences would not leave out.
    _norm("batch_renorm", lambda: L.batch_renorm(r_max=1.0, d_max=0.0), "batch_renorm", wrong=VECTOR),
    Row("conditional_batch_norm", lambda: L.conditional_batch_norm(5), (array(4, 3, 6), array(4, dtype="int32")), often=False),
    Row("layer_norm_of_axes", lambda: L.layer_norm(axis=(-2, -1), bias=False), (array(4, 3, 6),), often=False),
    Row("layer_norm_without_weights", lambda: L.layer_norm(scale=False, bias=False), often=False),
    _norm("group_norm", lambda: L.group_norm(2), "group_norm", (4, 3, 2, 6), VECTOR, often=True),
    _norm("instance_norm", L.instance_norm, "instance_norm", (4, 3, 2, 6), MATRIX),
    Row(
        "local_response_norm",
        lambda: L.local_response_norm(size=3, alpha=0.3),
        wrong=((VECTOR[0], rf"local_response_norm: .*{VECTOR[1]}"), (INTEGERS[0], f"local_response_norm: .*{INTEGERS[1]}")),
        often=False,
    ),
    Row(
        "unit_norm",
        L.unit_norm,
        wrong=((SCALAR[0], rf"unit_norm: .*{SCALAR[1]}"), (INTEGERS[0], f"unit_norm: .*{INTEGERS[1]}")),
        often=False,
    ),
    _norm("dynamic_tanh", L.dynamic_tanh, "dynamic_tanh"),
    Row("film", L.film, CONDITIONED, often=False),
    Row("adaptive_layer_norm", L.adaptive_layer_norm, CONDITIONED, often=False),
    Row("adain", lambda: L.function(L.adain), (array(4, 3, 2), array(4, 5, 2)), often=False),
)
