"""Transposed convolution in one, two or three dimensions."""

from collections.abc import Sequence

import jax

from jdl.functional import _check
from jdl.functional._bias import add_bias
from jdl.functional._conv import form, operands
from jdl.functional._window import Padding, Pads, Sizes, check_geometry, resolve

NAMED = "SAME", "VALID"  # of paddings; a causal one is none here


def conv_transpose(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    output_padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> jax.Array:
    """Applies the transpose of a convolution: `y[p * stride + k * dilation - low] += x[p] W[k]`, plus b; it makes `x` larger.

    It is the gradient of `conv` with respect to its input, and what PyTorch calls ConvTranspose with the kernel's axes moved:
    without groups, PyTorch's `(in, out, *window)` is our `(*window, in, out)`. Flax's ConvTranspose turns the window round: its
    kernel is ours flipped along every spatial axis. On a CPU no zeros are multiplied: each phase of the output is a convolution
    of its own.

    Args:
      x: input, `(batch, *spatial, in)` with one to three spatial axes, floating point.
      kernel: weights, `(*window, in // groups, out)`, cast to the dtype of `x`.
      bias: `(out,)`, cast likewise.
      stride: distance between the windows of neighbouring inputs, one for all axes or one each.
      padding: what is cut off the full output. `"SAME"` (output size `size * stride`), `"VALID"` (nothing), a width for all sides,
        or a `(low, high)` pair for each axis: `(size - 1) * stride + dilation * (window - 1) + 1 - low - high` remain.
      output_padding: how much larger the output is at its end, one for all axes or one each, less than stride or dilation.
      dilation: distance between the outputs that neighbouring weights reach, one for all axes or one each.
      groups: how many groups the channels are split into; outputs of a group see inputs of that group alone.

    Returns:
      `(batch, *spatial_out, out)`, of the dtype of `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if ranks or channels don't fit, or padding leaves no output.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.conv_transpose(jnp.ones((1, 4, 4, 3)), jnp.ones((3, 3, 3, 8)), stride=2).shape
      (1, 8, 8, 8)

    Source: Zeiler et al., "Deconvolutional networks", https://doi.org/10.1109/CVPR.2010.5539957; phases: Shi et al., "Is the
    deconvolution layer the same as a convolutional layer?", https://arxiv.org/abs/1609.07009.
    """
    x, stride, dilation = operands("conv_transpose", x, kernel, stride, dilation, groups)
    window = kernel.shape[:-2]
    extra = extra_of(output_padding, stride, dilation)
    pads = _pads(padding, window, stride, dilation)
    reach = [d * (w - 1) + 1 for d, w in zip(dilation, window)]
    pairs = zip(x.shape[1:-1], stride, reach, pads, extra)
    size = tuple((n - 1) * s + r - low - high + e for n, s, r, (low, high), e in pairs)
    if min(size) < 1:
        raise ValueError(f"conv_transpose: padding {pads} leaves an output of {size} for x of {_check.describe(x)}")
    cut = tuple((low, high - e) for (low, high), e in zip(pads, extra))  # so that the convolution of the output ends with `x`
    y = form(size, window, stride, cut, dilation, groups).transposed(_swapped(kernel.astype(x.dtype), groups), x)
    return y if bias is None else add_bias(y, bias)


def _swapped(kernel: jax.Array, groups: int) -> jax.Array:
    """The kernel of the convolution whose transpose is meant: `(*window, out // groups, in)`."""
    *window, channels, features = kernel.shape
    split = kernel.reshape(*window, channels, groups, features // groups)
    return split.swapaxes(-3, -1).reshape(*window, features // groups, groups * channels)


def extra_of(output_padding: int | Sequence[int], stride: Sizes, dilation: Sizes) -> Sizes:
    """`output_padding` for each spatial axis; raises ValueError unless it is less than stride or dilation."""
    extra = tuple(output_padding) if isinstance(output_padding, Sequence) else (output_padding,) * len(stride)
    if len(extra) != len(stride) or not all(isinstance(e, int) and 0 <= e < max(s, d) for e, s, d in zip(extra, stride, dilation)):
        limits = f"stride {stride} or dilation {dilation}"
        raise ValueError(f"conv_transpose: output_padding must be at least 0 and less than {limits}, got {output_padding!r}")
    return extra


def _pads(padding: Padding, window: Sizes, stride: Sizes, dilation: Sizes) -> Pads:
    """What is cut off on each side, or added where negative."""
    if padding == "SAME":
        total = [d * (w - 1) + 1 - s for w, s, d in zip(window, stride, dilation)]
        return tuple((max(t, 0) // 2, t - max(t, 0) // 2) for t in total)
    check_geometry("conv_transpose", padding, NAMED)
    fits_all = [d * (w - 1) + 1 for w, d in zip(window, dilation)]
    return resolve("conv_transpose", padding, fits_all, window, stride, dilation)
