"""Convolutions of every channel by itself."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.functional._pad import MODES
from jdl.functional._window import Padding, check_geometry
from jdl.layer import Layer, chain, stateless
from jdl.layers._conv import conv, conv_params


def depthwise_conv(
    kernel_size: int | Sequence[int],
    *,
    multiplier: int = 1,
    stride: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    padding_mode: str = "zeros",
    dilation: int | Sequence[int] = 1,
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """Convolves every channel with kernels of its own, in one, two or three dimensions.

    Args:
      kernel_size: size of the window, one for all spatial axes or one each.
      multiplier: how many outputs each channel has.
      stride: step of the window, one for all axes or one each.
      padding: `"SAME"`, `"VALID"`, `"CAUSAL"`, a width for all sides, or a `(low, high)` pair for each axis.
      padding_mode: `"zeros"`, `"circular"`, `"reflect"` or `"replicate"`.
      dilation: distance between the inputs that neighbouring weights see, one for all axes or one each.
      bias: whether to add one.
      kernel_init: makes the kernel, `(*kernel_size, 1, channels * multiplier)`.
      bias_init: makes the bias, `(channels * multiplier,)`.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, *spatial_out, channels * multiplier)` with params `kernel` and `bias`.

    Raises:
      ValueError: if a size is not a positive integer, or padding or its mode is unknown.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.depthwise_conv(3).init(jax.random.key(0), jnp.ones((2, 28, 28, 16)))
      >>> params["kernel"].shape
      (3, 3, 1, 16)

    Source: Howard et al., "MobileNets", https://arxiv.org/abs/1704.04861.
    """
    _check_depthwise("depthwise_conv", kernel_size, multiplier, stride, padding, padding_mode, dilation)

    def init(key: jax.Array, x: Any) -> dict:
        x = _check.floating("depthwise_conv", x)
        channels = x.shape[-1] if x.ndim else 1
        features = channels * multiplier
        return conv_params("depthwise_conv", key, x, kernel_size, channels, features, bias, kernel_init, bias_init)

    def forward(params: dict, x: jax.Array) -> jax.Array:
        x, kernel = _check.floating("depthwise_conv", x), params["kernel"]
        if x.ndim == kernel.ndim and x.shape[-1] * multiplier != kernel.shape[-1]:
            takes = f"kernel takes {kernel.shape[-1] // multiplier} channels"
            raise ValueError(f"depthwise_conv: {takes}, x is {_check.describe(x)}")
        geometry = {"stride": stride, "padding": padding, "padding_mode": padding_mode, "dilation": dilation}
        return functional.depthwise_conv(x, kernel, params.get("bias"), **geometry)

    return stateless(init, forward)


def separable_conv(
    features: int,
    kernel_size: int | Sequence[int],
    *,
    multiplier: int = 1,
    stride: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    padding_mode: str = "zeros",
    dilation: int | Sequence[int] = 1,
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """A depthwise convolution, which mixes places, then a convolution of window 1, which mixes channels.

    Args:
      features: channels of the output.
      kernel_size: size of the window, one for all spatial axes or one each.
      multiplier: how many outputs each channel has in between.
      stride: step of the window, one for all axes or one each.
      padding: `"SAME"`, `"VALID"`, `"CAUSAL"`, a width for all sides, or a `(low, high)` pair for each axis.
      padding_mode: `"zeros"`, `"circular"`, `"reflect"` or `"replicate"`.
      dilation: distance between the inputs that neighbouring weights see, one for all axes or one each.
      bias: whether to add one at the end.
      kernel_init: makes both kernels, `(*kernel_size, 1, in * multiplier)` and `(1, ..., in * multiplier, features)`.
      bias_init: makes the bias, `(features,)`.

    Returns:
      A Layer from `(batch, *spatial, in)` to `(batch, *spatial_out, features)` with params `depthwise` and `pointwise`.

    Raises:
      ValueError: if a size is not a positive integer, or padding or its mode is unknown.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.separable_conv(32, 3).init(jax.random.key(0), jnp.ones((2, 28, 28, 16)))
      >>> params["depthwise"]["kernel"].shape, params["pointwise"]["kernel"].shape
      ((3, 3, 1, 16), (1, 1, 16, 32))

    Source: Chollet, "Xception", https://arxiv.org/abs/1610.02357.
    """
    _check.positive("separable_conv", features=features)
    _check_depthwise("separable_conv", kernel_size, multiplier, stride, padding, padding_mode, dilation)
    geometry = {"stride": stride, "padding": padding, "padding_mode": padding_mode, "dilation": dilation}
    return chain(
        depthwise=depthwise_conv(kernel_size, multiplier=multiplier, **geometry, bias=False, kernel_init=kernel_init),
        pointwise=conv(features, 1, bias=bias, kernel_init=kernel_init, bias_init=bias_init),
    )


def _check_depthwise(name: str, kernel_size, multiplier, stride, padding, padding_mode, dilation) -> None:
    _check.positive(name, multiplier=multiplier)
    check_geometry(name, padding, kernel_size=kernel_size, stride=stride, dilation=dilation)
    _check.choice(name, "padding_mode", padding_mode, tuple(MODES))
