"""Locally connected layers: a convolution whose kernel differs from place to place."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._bias import add_bias
from jdl.functional._window import Padding, expand, pad, patches, resolve


def conv_local(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "VALID",
    dilation: int | Sequence[int] = 1,
) -> jax.Array:
    """Applies at every place a kernel of its own: `y[p] = sum_k x[p * stride + k * dilation] W[p, k] + b[p]`.

    Args:
      x: input, `(batch, *spatial, in)` with one to three spatial axes, floating point.
      kernel: weights, `(*places, *window, in, out)`, cast to the dtype of `x`; `places` are the spatial sizes of the output.
      bias: `(*places, out)`, cast likewise.
      stride: step of the window, one for all axes or one each.
      padding: `"SAME"`, `"VALID"`, `"CAUSAL"`, a width for all sides, or a `(low, high)` pair for each axis, as in `conv`.
      dilation: distance between the inputs that neighbouring weights see, one for all axes or one each.

    Returns:
      `(batch, *places, out)`, of the dtype of `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if ranks, channels or places don't fit, or the window is larger than the padded input.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.conv_local(jnp.ones((1, 6, 3)), jnp.ones((4, 3, 3, 8))).shape
      (1, 4, 8)

    Source: Taigman et al., "DeepFace", https://doi.org/10.1109/CVPR.2014.220.
    """
    x = _check.floating("conv_local", x)
    spatial = x.ndim - 2
    if spatial not in (1, 2, 3) or kernel.ndim != 2 * spatial + 2:
        wants = f"conv_local: a kernel of shape {list(kernel.shape)} takes x of {max(kernel.ndim // 2 - 1, 1)} spatial axes"
        raise ValueError(f"{wants}, (batch, 1 to 3 spatial axes, channels), got {_check.describe(x)}")
    window = kernel.shape[spatial:-2]
    places, stride, dilation, pads = places_of("conv_local", x, window, stride, padding, dilation)
    if kernel.shape[-2] != x.shape[-1] or kernel.shape[:spatial] != places:
        takes = f"kernel takes {kernel.shape[-2]} channels and gives {kernel.shape[:spatial]} places"
        raise ValueError(f"conv_local: {takes}, x is {_check.describe(x)} with {places} places")
    seen = patches(pad(x, pads), window, stride, dilation)
    rows = kernel.astype(x.dtype).reshape(*places, math.prod(window) * x.shape[-1], kernel.shape[-1])
    y = jnp.einsum("n...i,...io->n...o", seen, rows)
    return y if bias is None else add_bias(y, bias)


def places_of(name: str, x, window, stride, padding, dilation):
    """Sizes of the output, and stride, dilation and padding for each axis."""
    stride, dilation = expand(name, "stride", stride, x.ndim - 2), expand(name, "dilation", dilation, x.ndim - 2)
    pads = resolve(name, padding, x.shape[1:-1], window, stride, dilation)
    axes = zip(x.shape[1:-1], window, stride, pads, dilation)
    places = tuple((n + low + high - d * (w - 1) - 1) // s + 1 for n, w, s, (low, high), d in axes)
    return places, stride, dilation, pads
