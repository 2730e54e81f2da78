"""A convolutional layer."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.functional._pad import MODES
from jdl.functional._window import Padding, check_geometry, expand, spatial_axes
from jdl.layer import Layer, stateless
from jdl.layers._parameter import parameter


def conv(
    features: int,
    kernel_size: int | Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    padding_mode: str = "zeros",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """A convolution in one, two or three dimensions, by the rank of its input.

    Args:
      features: channels of the output.
      kernel_size: size of the window, one for all spatial axes or one each.
      stride: step of the window, likewise.
      padding: `"SAME"`, `"VALID"`, `"CAUSAL"`, a width for all sides, or a `(low, high)` pair for each axis.
      padding_mode: `"zeros"`, `"circular"`, `"reflect"` or `"replicate"`.
      dilation: distance between the inputs that neighbouring weights see, one for all axes or one each.
      groups: how many groups the channels are split into.
      bias: whether to add one.
      kernel_init: makes the kernel, `(*kernel_size, in // groups, features)`.
      bias_init: makes the bias, `(features,)`.

    Returns:
      A Layer from `(batch, *spatial, in)` to `(batch, *spatial_out, features)` with params `kernel` and `bias`.

    Raises:
      ValueError: if a size is not a positive integer, padding or its mode is unknown, or `groups` does not divide `features`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.conv(8, 3).init(jax.random.key(0), jnp.ones((2, 28, 28, 1)))
      >>> params["kernel"].shape
      (3, 3, 1, 8)

    Source: LeCun et al., "Gradient-based learning applied to document recognition", https://doi.org/10.1109/5.726791.
    """
    _check.positive("conv", features=features, groups=groups)
    check_geometry("conv", padding, kernel_size=kernel_size, stride=stride, dilation=dilation)
    _check.choice("conv", "padding_mode", padding_mode, tuple(MODES))
    if features % groups:
        raise ValueError(f"conv: {features} features can't be split into {groups} groups")

    def init(key: jax.Array, x: Any) -> dict:
        return conv_params("conv", key, x, kernel_size, groups, features, bias, kernel_init, bias_init)

    def forward(params: dict, x: jax.Array) -> jax.Array:
        geometry = {"stride": stride, "padding": padding, "padding_mode": padding_mode, "dilation": dilation, "groups": groups}
        return functional.conv(x, params["kernel"], params.get("bias"), **geometry)

    return stateless(init, forward)


def conv_params(name: str, key, x, kernel_size, groups, features, bias, kernel_init, bias_init) -> dict:
    """A kernel `(*kernel_size, in // groups, features)`, and a bias if there is to be one; raises unless `x` fits."""
    x = _check.floating(name, x)
    spatial_axes(name, x)
    if x.shape[-1] % groups:
        raise ValueError(f"{name}: the channels of {_check.describe(x)} can't be split into {groups} groups")
    window = expand(name, "kernel_size", kernel_size, x.ndim - 2)
    params = {"kernel": parameter(key, "kernel", kernel_init, (*window, x.shape[-1] // groups, features), x)}
    return params | ({"bias": parameter(key, "bias", bias_init, (features,), x)} if bias else {})
