"""A transposed convolution with weights."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.functional._conv_transpose import NAMED, extra_of
from jdl.functional._window import Padding, axes_named, check_geometry, expand
from jdl.layer import Layer, stateless
from jdl.layers._conv import conv_params


def conv_transpose(
    features: int,
    kernel_size: int | Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    output_padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """A transposed convolution in one, two or three dimensions: with a stride, the output is larger than the input.

    Args:
      features: channels of the output.
      kernel_size: size of the window, one for all spatial axes or one each.
      stride: distance between the windows of neighbouring inputs, likewise.
      padding: what is cut off the output: `"SAME"` (output size `size * stride`), `"VALID"` (nothing), a width for all sides, or a
        `(low, high)` pair for each axis.
      output_padding: how much larger the output is at its end, one for all axes or one each.
      dilation: distance between the outputs that neighbouring weights reach, likewise.
      groups: how many groups the channels are split into.
      bias: whether to add one.
      kernel_init: makes the kernel, `(*kernel_size, in // groups, features)`.
      bias_init: makes the bias, `(features,)`.

    Returns:
      A Layer from `(batch, *spatial, in)` to `(batch, *spatial_out, features)` with params `kernel` and `bias`.

    Raises:
      ValueError: if a size is not a positive integer, padding is unknown, `output_padding` out of range, or `groups` does not
        divide `features`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> x, up = jnp.ones((2, 7, 7, 4)), L.conv_transpose(8, 4, stride=2)
      >>> up.apply(*up.init(jax.random.key(0), x), x)[0].shape
      (2, 14, 14, 8)

    Source: Zeiler et al., "Deconvolutional networks", https://doi.org/10.1109/CVPR.2010.5539957.
    """
    _check.positive("conv_transpose", features=features, groups=groups)
    check_geometry("conv_transpose", padding, NAMED, kernel_size=kernel_size, stride=stride, dilation=dilation)
    axes = axes_named(kernel_size, stride, dilation, output_padding)
    extra_of(output_padding, expand("conv_transpose", "stride", stride, axes), expand("conv_transpose", "dilation", dilation, axes))
    if features % groups:
        raise ValueError(f"conv_transpose: {features} features can't be split into {groups} groups")

    def init(key: jax.Array, x: Any) -> dict:
        return conv_params("conv_transpose", key, x, kernel_size, groups, features, bias, kernel_init, bias_init)

    def forward(params: dict, x: jax.Array) -> jax.Array:
        geometry = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
        return functional.conv_transpose(x, params["kernel"], params.get("bias"), **geometry, groups=groups)

    return stateless(init, forward)
