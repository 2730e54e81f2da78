"""Rows of norms, and of what stands in for them or sets their scale and shift."""

from jdl import layers as L
from rows._row import IMAGES, INTEGERS, SCALAR, Row, array


def _norm(name: str, make, says: str, shape=(4, 6), wrong=SCALAR) -> Row:
    """A row of a norm that has weights for each feature."""
    *leading, features = shape
    of = rf"{says}: .* {features} features, x is float32"
    refused = ((wrong[0], rf"{says}: .*{wrong[1]}"), (INTEGERS[0], rf"{says}: x must be a {INTEGERS[1]}"))
    return Row(name, make, (array(*shape),), refused, ((array(*leading, features - 2), of),))


VECTOR = (array(6), r"float32\[6\]")
MATRIX = (array(4, 6), r"float32\[4, 6\]")
X, CONDITION, LABELS = array(4, 3, 6), array(4, 5), array(4, dtype="int32")
CONTENT, STYLE = array(4, 3, 2), array(4, 5, 2)


def _conditioned(name: str, make) -> Row:
    """A row of a layer whose scale and shift are made of a condition."""
    return Row(
        name,
        make,
        (X, CONDITION),
        wrong=(
            ((array(6), CONDITION), rf"{name}: x must be .* got float32\[6\]"),
            ((X, array(3, 5)), rf"{name}: condition must be \(batch, features\) .* got float32\[3, 5\]"),
            ((X, array(4, 5, dtype="int32")), rf"{name}: condition must be a floating-point array, got int32\[4, 5\]"),
        ),
        misfits=(
            ((array(4, 3, 8), CONDITION), rf"{name}: kernel is for 6 features, x is float32\[4, 3, 8\]"),
            ((X, array(4, 7)), r"dense: kernel takes 5 features, x is float32\[4, 7\]"),
        ),
    )


ROWS = (
    _norm(
        "batch_norm_options",
        lambda: L.batch_norm(momentum=0.7, unbiased=True, debias=True, bias=False),
        "batch_norm",
        (4, 3, 6),
        VECTOR,
    ),
    Row("batch_norm_without_weights", lambda: L.batch_norm(scale=False, bias=False)),
    Row("batch_norm_ghosts", lambda: L.batch_norm(ghost_size=2, unbiased=True), IMAGES),
    # Limits that cut off everything: r and d are constants for the gradient, which finite differences would not leave out.
    _norm("batch_renorm", lambda: L.batch_renorm(r_max=1.0, d_max=0.0), "batch_renorm", wrong=VECTOR),
    Row(
        "conditional_batch_norm",
        lambda: L.conditional_batch_norm(5),
        (X, LABELS),
        wrong=(
            ((array(6), LABELS), r"conditional_batch_norm: x must be .* got float32\[6\]"),
            ((X, array(4)), r"conditional_batch_norm: labels must be integers, got float32\[4\]"),
            ((X, array(3, dtype="int32")), r"conditional_batch_norm: scale of labels must be .* got float32\[3, 6\]"),
        ),
        misfits=(((array(4, 3, 7), LABELS), r"conditional_batch_norm: statistics are of 6 features, x is float32\[4, 3, 7\]"),),
    ),
    Row("layer_norm_of_axes", lambda: L.layer_norm(axis=(-2, -1), bias=False), (array(4, 3, 6),)),
    Row("layer_norm_without_weights", lambda: L.layer_norm(scale=False, bias=False)),
    _norm("group_norm", lambda: L.group_norm(2), "group_norm", (4, 3, 2, 6), VECTOR),
    _norm("instance_norm", L.instance_norm, "instance_norm", (4, 3, 2, 6), MATRIX),
    Row(
        "local_response_norm",
        lambda: L.local_response_norm(size=3, alpha=0.3),
        wrong=((VECTOR[0], rf"local_response_norm: .*{VECTOR[1]}"), (INTEGERS[0], f"local_response_norm: .*{INTEGERS[1]}")),
    ),
    Row(
        "unit_norm",
        L.unit_norm,
        wrong=((SCALAR[0], rf"unit_norm: .*{SCALAR[1]}"), (INTEGERS[0], f"unit_norm: .*{INTEGERS[1]}")),
    ),
    _norm("dynamic_tanh", L.dynamic_tanh, "dynamic_tanh"),
    _conditioned("film", L.film),
    _conditioned("adaptive_layer_norm", L.adaptive_layer_norm),
    Row(
        "adain",
        lambda: L.function(L.adain),
        (CONTENT, STYLE),
        wrong=(
            ((array(4, 2), STYLE), r"adain: x must be .* got float32\[4, 2\]"),
            ((CONTENT, array(4, 2)), r"adain: .*style likewise, got float32\[4, 2\]"),
            ((CONTENT, array(4, 5, 3)), r"adain: batch or features differ: .* style is float32\[4, 5, 3\]"),
            ((CONTENT, array(3, 5, 2)), r"adain: batch or features differ: .* style is float32\[3, 5, 2\]"),
            ((CONTENT, array(4, 5, 2, dtype="int32")), "adain: style must be a floating-point array, got int32"),
        ),
    ),
)
