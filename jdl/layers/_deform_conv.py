"""A deformable convolution that finds out by a convolution where its taps go."""

import math
from collections.abc import Sequence
from typing import Any

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.functional._window import Padding, check_geometry, expand
from jdl.layer import Layer, derive, stateless
from jdl.layers._conv import conv, conv_params


def deform_conv(
    features: int,
    kernel_size: int | Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    dilation: int | Sequence[int] = 1,
    modulated: bool = False,
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """A convolution of images whose taps move at every place, by offsets that a second convolution computes, which begins at zero.

    Args:
      features: channels of the output.
      kernel_size: size of the window, one for both axes or one each.
      stride: step of the window, likewise.
      padding: `"SAME"`, `"VALID"`, `"CAUSAL"`, a width for all sides, or a `(low, high)` pair for each axis.
      dilation: distance between neighbouring taps that have not moved, one for both axes or one each.
      modulated: whether each tap is also multiplied with a sigmoid of a third output of that convolution (1/2 at the beginning).
      bias: whether to add one.
      kernel_init: makes the kernel, `(*kernel_size, in, features)`.
      bias_init: makes the bias, `(features,)`.

    Returns:
      A Layer from `(batch, height, width, in)` to `(batch, *places, features)` with params `kernel`, `bias` and `offsets`, the
      params of the second convolution.

    Raises:
      ValueError: if a size is not a positive integer, or padding is unknown.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.deform_conv(8, 3).init(jax.random.key(0), jnp.ones((2, 28, 28, 1)))
      >>> params["offsets"]["kernel"].shape
      (3, 3, 1, 18)

    Source: Dai et al., "Deformable convolutional networks", https://arxiv.org/abs/1703.06211; modulated: Zhu et al., "Deformable
    ConvNets v2", https://arxiv.org/abs/1811.11168.
    """
    _check.positive("deform_conv", features=features)
    sizes: dict[str, Any] = {"kernel_size": kernel_size, "stride": stride, "dilation": dilation}
    check_geometry("deform_conv", padding, **sizes)
    window, stride, dilation = (expand("deform_conv", what, size, 2) for what, size in sizes.items())
    geometry = {"stride": stride, "padding": padding, "dilation": dilation}
    taps = math.prod(window)
    mover = conv(taps * (3 if modulated else 2), window, **geometry, kernel_init=initializers.zeros)

    def init(key: jax.Array, x: Any) -> dict:
        x = _check.floating("deform_conv", x)
        _check.rank("deform_conv", x, (4,), "(batch, height, width, channels)")
        params = conv_params("deform_conv", key, x, window, 1, features, bias, kernel_init, bias_init)
        return params | {"offsets": mover.init(derive(key, "offsets"), x)[0]}

    def forward(params: dict, x: jax.Array) -> jax.Array:
        x, kernel = _check.floating("deform_conv", x), params["kernel"]
        if x.ndim != 4 or x.shape[-1] != kernel.shape[-2]:
            takes = f"kernel takes (batch, height, width, {kernel.shape[-2]})"
            raise ValueError(f"deform_conv: {takes}, x is {_check.describe(x)}")
        moves, _ = mover.apply(params["offsets"], {}, x)
        offsets, logits = moves[..., : 2 * taps], moves[..., 2 * taps :]
        mask = jax.nn.sigmoid(logits) if modulated else None
        return functional.deform_conv(x, offsets, kernel, params.get("bias"), mask=mask, **geometry)

    return stateless(init, forward)
