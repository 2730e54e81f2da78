"""Depthwise convolution: every channel by itself."""

from collections.abc import Sequence

import jax

from jdl.functional import _check
from jdl.functional._conv import convolve
from jdl.functional._window import Padding


def depthwise_conv(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    padding_mode: str = "zeros",
    dilation: int | Sequence[int] = 1,
) -> jax.Array:
    """Convolves every channel with kernels of its own: `conv` with as many groups as channels.

    On a CPU it is a sum over taps of shifted products in one fused loop, and so are its gradients, where XLA's grouped convolution
    is many times slower. Windows of more than 64 entries, and other platforms, have lax's.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes, floating point.
      kernel: weights, `(*window, 1, channels * multiplier)`, cast to the dtype of `x`; outputs `c * multiplier` and the next
        `multiplier - 1` see channel c.
      bias: `(channels * multiplier,)`, cast likewise.
      stride: step of the window, one for all axes or one each.
      padding: `"SAME"`, `"VALID"`, `"CAUSAL"`, a width for all sides, or a `(low, high)` pair for each axis, as in `conv`.
      padding_mode: `"zeros"`, `"circular"`, `"reflect"` or `"replicate"`, as in `conv`.
      dilation: distance between the inputs that neighbouring weights see, one for all axes or one each.

    Returns:
      `(batch, *spatial_out, channels * multiplier)`, of the dtype of `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if ranks or channels don't fit, or the window is larger than the padded input.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.depthwise_conv(jnp.ones((1, 4, 4, 3)), jnp.ones((3, 3, 1, 6))).shape
      (1, 4, 4, 6)

    Source: Howard et al., "MobileNets", https://arxiv.org/abs/1704.04861.
    """
    x = _check.floating("depthwise_conv", x)
    groups = x.shape[-1] if x.ndim else 1
    return convolve("depthwise_conv", x, kernel, bias, stride, padding, padding_mode, dilation, groups)
