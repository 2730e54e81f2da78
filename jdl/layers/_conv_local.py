"""A locally connected layer."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.functional._conv_local import places_of
from jdl.functional._window import Padding, check_geometry, expand, spatial_axes
from jdl.layer import Layer, stateless
from jdl.layers._parameter import parameter


def conv_local(
    features: int,
    kernel_size: int | Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "VALID",
    dilation: int | Sequence[int] = 1,
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """A convolution with weights of its own at every place, in one, two or three dimensions. Its input has one size for ever.

    Args:
      features: channels of the output.
      kernel_size: size of the window, one for all spatial axes or one each.
      stride: step of the window, likewise.
      padding: `"SAME"`, `"VALID"`, `"CAUSAL"`, a width for all sides, or a `(low, high)` pair for each axis.
      dilation: distance between the inputs that neighbouring weights see, one for all axes or one each.
      bias: whether to add one.
      kernel_init: makes the kernel of one place, `(*kernel_size, in, features)`.
      bias_init: makes the bias, `(*places, features)`.

    Returns:
      A Layer from `(batch, *spatial, in)` to `(batch, *places, features)` with params `kernel`,
      `(*places, *kernel_size, in, features)`, and `bias`.

    Raises:
      ValueError: if a size is not a positive integer, or padding is unknown.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.conv_local(8, 3).init(jax.random.key(0), jnp.ones((2, 6, 6, 4)))
      >>> params["kernel"].shape
      (4, 4, 3, 3, 4, 8)

    Source: Taigman et al., "DeepFace", https://doi.org/10.1109/CVPR.2014.220.
    """
    _check.positive("conv_local", features=features)
    check_geometry("conv_local", padding, kernel_size=kernel_size, stride=stride, dilation=dilation)

    def init(key: jax.Array, x: Any) -> dict:
        x = _check.floating("conv_local", x)
        spatial_axes("conv_local", x)
        window = expand("conv_local", "kernel_size", kernel_size, x.ndim - 2)
        places, *_ = places_of("conv_local", x, window, stride, padding, dilation)

        def everywhere(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
            make = lambda key: kernel_init(key, shape, dtype)
            for size in reversed(places):
                make = lambda key, make=make, size=size: jax.vmap(make)(jax.random.split(key, size))
            return make(key)

        params = {"kernel": parameter(key, "kernel", everywhere, (*window, x.shape[-1], features), x)}
        return params | ({"bias": parameter(key, "bias", bias_init, (*places, features), x)} if bias else {})

    def forward(params: dict, x: jax.Array) -> jax.Array:
        geometry = {"stride": stride, "padding": padding, "dilation": dilation}
        return functional.conv_local(x, params["kernel"], params.get("bias"), **geometry)

    return stateless(init, forward)
