"""Rows of what resizes, moves and regroups the entries of images."""

from collections.abc import Callable

import jax

from jdl import layers as L
from jdl.layer import Layer
from rows._row import IMAGES, RANK, Row, array

LINE, VOLUME = (array(4, 5, 2),), (array(4, 3, 4, 3, 2),)


def _row(name: str, make: Callable[[], Layer], inputs=IMAGES, says: str = "", wrong=(), **rest) -> Row:
    """A row of a layer of images that says its name where the rank is wrong."""
    return Row(name, make, inputs, (((array(4, 2), rf"{says or name}: x must be .*{RANK}"), *wrong)), **rest)


def _sampled(name: str, make: Callable[[], Layer], grid: jax.ShapeDtypeStruct, **rest) -> Row:
    """A row of a layer that reads images at the places of a grid."""
    x = array(4, 4, 3, 2)
    wrong = (
        ((array(4, 2), grid), rf"grid_sample: x must be .*{RANK}"),
        ((x, array(*grid.shape[:-1], 3)), r"grid_sample: for x of .* grid must be \(4, \*places, 2\), got float32.*3\]"),
        ((x, array(3, *grid.shape[1:])), r"grid_sample: for x of .* grid must be \(4, \*places, 2\), got float32\[3"),
        ((x, jax.ShapeDtypeStruct(grid.shape, "int32")), "grid_sample: grid must be a floating-point array, got int32"),
    )
    return Row(name, make, (x, grid), wrong, **rest)


ROWS = (
    _row("unfold", lambda: L.unfold((3, 2), stride=(2, 1), padding=1), wrong=((array(4, 0, 5, 2), "unfold: a window that sp"),)),
    _row(
        "fold",
        lambda: L.fold((5, 6), (3, 2), stride=(2, 1), padding=((1, 0), (0, 1)), dilation=(1, 2)),
        (array(4, 2, 5, 12),),
        wrong=(
            (array(4, 3, 5, 12), r"fold: windows .* got float32\[4, 3, 5, 12\]"),
            (array(4, 2, 5, 7), r"a multiple of 6\), got"),
        ),
    ),
    _row(
        "pixel_shuffle",
        lambda: L.pixel_shuffle((2, 1)),
        (array(4, 2, 3, 4),),
        wrong=((array(4, 2, 3, 5), r"pixel_shuffle: channels must be a multiple of 2, got float32\[4, 2, 3, 5\]"),),
    ),
    _row(
        "pixel_unshuffle",
        lambda: L.pixel_unshuffle((2, 1)),
        wrong=((array(4, 5, 5, 2), r"pixel_unshuffle: spatial axes must be multiples of \(2, 1\), got float32\[4, 5, 5, 2\]"),),
    ),
    Row(
        "channel_shuffle",
        lambda: L.channel_shuffle(3),
        wrong=(
            (array(), r"channel_shuffle: .*float32\[\]"),
            (array(4, 5), r"channel_shuffle: .*\[4, 5\] can't be split into 3 g"),
        ),
    ),
    _row("resize", lambda: L.resize((4, 7)), wrong=((array(4, 6, 5, 2, dtype="int32"), "resize: x must be a floating-point"),)),
    _row("resize_bicubic", lambda: L.resize((8, 3), method="bicubic", antialias=False), says="resize"),
    _row("resize_nearest", lambda: L.resize((4, 10), method="nearest"), says="resize"),
    _row("upsample", lambda: L.upsample((2, 1, 3)), VOLUME),
    _row("pad", lambda: L.pad(((1, 0), (2, 1)), value=0.5)),
    _row("pad_reflect", lambda: L.pad(2, mode="reflect"), LINE, "pad"),
    _row("crop", lambda: L.crop(((1, 0), (2, 1))), wrong=((array(4, 6, 3, 2), r"crop: nothing is left of float32\[4, 6, 3, 2\]"),)),
    _row(
        "center_crop",
        lambda: L.center_crop((3, 4)),
        wrong=((array(4, 6, 3, 2), r"center_crop: float32\[4, 6, 3, 2\] is smaller than \(3, 4\)"),),
    ),
    Row(
        "affine_grid",
        lambda: L.affine_grid((3, 2)),
        (array(4, 2, 3),),
        wrong=((array(4, 2, 2), r"affine_grid: theta must be .* got float32\[4, 2, 2\]"),),
    ),
    _sampled("grid_sample", L.grid_sample, array(4, 2, 3, 2), often=True),
    _sampled("grid_sample_bicubic", lambda: L.grid_sample(method="bicubic", padding_mode="reflection"), array(4, 5, 2)),
    _row("blur_pool", L.blur_pool),
    _row(
        "squeeze_excite",
        lambda: L.squeeze_excite(2),
        (array(4, 3, 2, 4),),
        misfits=((array(4, 3, 2, 5), r"squeeze_excite: kernel takes 4 channels, x is float32\[4, 3, 2, 5\]"),),
    ),
)
