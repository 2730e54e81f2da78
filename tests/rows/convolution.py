"""Rows of convolutions beyond the core's."""

from jdl import layers as L
from rows._row import Row, array

IMAGES = array(4, 5, 4, 2)
LINES = array(4, 6, 2)
SOLIDS = array(4, 3, 2, 3, 2)


def _wrong(name: str, rank: str = r"(batch.*)?got float32\[4, 2\]|x is float32\[4, 2\]"):
    return (array(4, 2), f"{name}: .*({rank})"), (array(4, 6, 2, dtype="int32"), f"{name}: x must be a floating-point array")


def _fits(name: str):
    return ((array(4, 5, 4, 4), f"{name}: kernel takes .*2.*, x is"),)


ROWS = (
    Row("conv_causal", lambda: L.conv(3, 3, padding="CAUSAL", dilation=2), (LINES,)),
    Row("conv_circular", lambda: L.conv(3, 3, padding_mode="circular"), (IMAGES,)),
    Row("conv_reflect", lambda: L.conv(3, 3, stride=2, padding_mode="reflect"), (IMAGES,)),
    Row("conv_replicate", lambda: L.conv(3, 2, padding=2, padding_mode="replicate"), (LINES,)),
    Row("conv_transpose_1d", lambda: L.conv_transpose(3, 3, stride=2), (LINES,)),
    Row(
        "conv_transpose_2d",
        lambda: L.conv_transpose(3, 3, stride=2, padding=1, output_padding=(1, 0)),
        (array(4, 3, 2, 2),),
        wrong=_wrong("conv_transpose"),
        misfits=_fits("conv_transpose"),
    ),
    Row("conv_transpose_3d", lambda: L.conv_transpose(3, 2, stride=(1, 2, 3), padding="VALID"), (SOLIDS,)),
    Row("conv_transpose_grouped", lambda: L.conv_transpose(4, 3, stride=2, groups=2, bias=False), (LINES,)),
    Row("conv_transpose_dilated", lambda: L.conv_transpose(3, 2, stride=2, dilation=2), (LINES,)),
    Row("depthwise_conv_1d", lambda: L.depthwise_conv(3, padding="CAUSAL"), (LINES,)),
    Row(
        "depthwise_conv_2d",
        lambda: L.depthwise_conv(3, multiplier=2, stride=2),
        (IMAGES,),
        wrong=_wrong("depthwise_conv"),
        misfits=_fits("depthwise_conv"),
    ),
    Row("depthwise_conv_3d", lambda: L.depthwise_conv(2, bias=False), (SOLIDS,)),
    Row(
        "separable_conv",
        lambda: L.separable_conv(3, 3, dilation=2),
        (IMAGES,),
        wrong=_wrong("depthwise_conv"),
        misfits=_fits("depthwise_conv"),
    ),
    Row("conv_local_1d", lambda: L.conv_local(3, 3, stride=2, padding="SAME"), (LINES,)),
    Row(
        "conv_local_2d",
        lambda: L.conv_local(3, (3, 2)),
        (IMAGES,),
        wrong=_wrong("conv_local"),
        misfits=_fits("conv_local"),
    ),
    Row(
        "deform_conv",
        lambda: L.deform_conv(3, 2, stride=(2, 1)),
        (IMAGES,),
        wrong=_wrong("deform_conv"),
        misfits=_fits("deform_conv"),
    ),
    Row("deform_conv_modulated", lambda: L.deform_conv(3, 2, modulated=True, padding="VALID"), (IMAGES,)),
)
