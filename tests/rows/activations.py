"""Rows of activations, and of what makes residual branches start small."""

from collections.abc import Callable

from jdl import layers as L
from jdl.layer import Layer
from rows._row import INTEGERS, SCALAR, Row, array


def _row(name: str, make: Callable[[], Layer], says: str, *wrong, misfits=(), draws=False, often=False) -> Row:
    return Row(
        name, make, wrong=((INTEGERS[0], f"{says}: x must be a {INTEGERS[1]}"), *wrong), misfits=misfits, draws=draws, often=often
    )


def _scalar(says: str):
    return SCALAR[0], rf"{says}: x must be .*{SCALAR[1]}"


def _misfit(weight: str):
    return ((array(4, 5), rf"{weight} is for 6 channels, x is float32\[4, 5\]"),)


SCALAR_PER_CHANNEL = SCALAR[0], rf"prelu: (x must be|slope is for 6 channels).*{SCALAR[1]}"

ROWS = (
    _row("prelu", L.prelu, "prelu"),
    _row("prelu_per_channel", lambda: L.prelu(per_channel=True), "prelu", SCALAR_PER_CHANNEL, misfits=_misfit("prelu: slope")),
    _row("parametric_swish", L.parametric_swish, "parametric_swish"),
    _row("parametric_swish_per_channel", lambda: L.parametric_swish(per_channel=True), "parametric_swish", misfits=_misfit("beta")),
    _row("snake", L.snake, "snake"),
    _row("snake_per_channel", lambda: L.snake(per_channel=True), "snake", misfits=_misfit("snake: frequency")),
    _row("rrelu", L.rrelu, "rrelu", draws=True),
    _row("threshold", lambda: L.threshold(0.1, -0.5), "threshold"),
    _row(
        "k_winners",
        lambda: L.k_winners(2),
        "k_winners",
        _scalar("k_winners"),
        (array(4, 1), r"k_winners: 2 winners among the 1 features of float32\[4, 1\]"),
    ),
    _row("squared_relu", lambda: L.function(L.squared_relu), "squared_relu"),
    _row("crelu", lambda: L.function(L.crelu), "crelu", _scalar("crelu")),
    _row("hard_shrink", lambda: L.function(L.hard_shrink), "hard_shrink"),
    _row("soft_shrink", lambda: L.function(L.soft_shrink), "soft_shrink"),
    _row("tanh_shrink", lambda: L.function(L.tanh_shrink), "tanh_shrink"),
    _row("softmin", lambda: L.function(L.softmin), "softmin"),
    _row("sparsemax", lambda: L.function(L.sparsemax), "sparsemax", _scalar("sparsemax")),
    _row("entmax15", lambda: L.function(L.entmax15), "entmax15", _scalar("entmax15"), often=True),
    Row(
        "rezero",
        lambda: L.rezero(L.dense(6)),
        wrong=((array(4, 5), r"rezero: shapes differ: x is float32\[4, 5\], layer is float32\[4, 6\]|dense: kernel takes 6"),),
        misfits=((array(4, 5), "dense: kernel takes 6 features"),),
        often=False,
    ),
)
