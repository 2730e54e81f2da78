"""Convolution in one, two or three dimensions, with gradients that stay fast inside compiled loops and under vmap on a CPU."""

import functools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jdl.functional import _check, _patch_products, _taps
from jdl.functional._bias import add_bias
from jdl.functional._bilinear import Bilinear, Maps, same_axes
from jdl.functional._pad import MODES
from jdl.functional._phases import by_phases
from jdl.functional._window import Padding, Pads, Sizes, expand, pad, resolve

_LAYOUTS = {1: ("NWC", "WIO", "NWC"), 2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}
_TAPS = 64  # of a depthwise kernel; with more, the program would grow too large


def conv(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    padding_mode: str = "zeros",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
) -> jax.Array:
    """Convolves `x` with a kernel (as deep learning does, unflipped): `y[p] = sum_k x[p * stride + k * dilation] W[k] + b`.

    On a CPU, XLA runs the gradients of `lax.conv_general_dilated` many times slower inside a compiled loop than alone, and slower
    still under `vmap` over kernels. Here they are written as the convolutions and matrix products that XLA runs fast, chosen by
    shape; values are those of lax. On other platforms it is lax.

    Args:
      x: input, `(batch, *spatial, in)` with one to three spatial axes, floating point.
      kernel: weights, `(*window, in // groups, out)`, cast to the dtype of `x`.
      bias: `(out,)`, cast likewise.
      stride: step of the window, one for all axes or one each.
      padding: `"SAME"` (output size `ceil(size / stride)`), `"VALID"` (none), `"CAUSAL"` (all of it before the first, so that no
        output sees a later input), a width for all sides, or a `(low, high)` pair for each axis.
      padding_mode: what it is filled with: `"zeros"`, or `x` itself, as if it were periodic (`"circular"`), mirrored at its first
        and last entries (`"reflect"`, which are not repeated), or constant beyond them (`"replicate"`).
      dilation: distance between the inputs that neighbouring weights see, one for all axes or one each.
      groups: how many groups the channels are split into; outputs of a group see inputs of that group alone.

    Returns:
      `(batch, *spatial_out, out)`, of the dtype of `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if ranks or channels don't fit, or the window is larger than the padded input.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.conv(jnp.ones((1, 4, 4, 3)), jnp.ones((3, 3, 3, 8)), stride=2).shape
      (1, 2, 2, 8)

    Source: LeCun et al., "Gradient-based learning applied to document recognition", https://doi.org/10.1109/5.726791.
    """
    return convolve("conv", x, kernel, bias, stride, padding, padding_mode, dilation, groups)


def convolve(name: str, x, kernel, bias, stride, padding, padding_mode, dilation, groups) -> jax.Array:
    """`conv`, by another name in messages."""
    x, stride, dilation = operands(name, x, kernel, stride, dilation, groups)
    _check.choice(name, "padding_mode", padding_mode, tuple(MODES))
    pads = resolve(name, padding, x.shape[1:-1], kernel.shape[:-2], stride, dilation)
    if padding_mode != "zeros":
        x, pads = jnp.pad(x, ((0, 0), *pads, (0, 0)), MODES[padding_mode]), ((0, 0),) * len(pads)
    depthwise = groups > 1 and kernel.shape[-2] == 1 and math.prod(kernel.shape[:-2]) <= _TAPS
    y = form(x.shape[1:-1], kernel.shape[:-2], stride, pads, dilation, groups, depthwise)(x, kernel.astype(x.dtype))
    return y if bias is None else add_bias(y, bias)


def operands(name: str, x, kernel, stride, dilation, groups) -> tuple[jax.Array, Sizes, Sizes]:
    """`x`, and stride and dilation for each axis; raises unless `x` and the kernel fit each other."""
    spatial = kernel.ndim - 2
    x = _check.floating(name, x)
    if spatial not in _LAYOUTS or x.ndim != kernel.ndim:
        axes = ", ".join(
            ["batch", *"dhw"[-spatial:], "channels"] if spatial in _LAYOUTS else ["batch", "1 to 3 spatial axes", "channels"]
        )
        raise ValueError(f"{name}: a kernel of shape {list(kernel.shape)} takes x as ({axes}), got {_check.describe(x)}")
    _check.positive(name, groups=groups)
    if x.shape[-1] != kernel.shape[-2] * groups or kernel.shape[-1] % groups:
        takes = f"takes {kernel.shape[-2] * groups} channels and gives {kernel.shape[-1]}"
        raise ValueError(f"{name}: kernel {takes} in {groups} group{'s' * (groups > 1)}, x is {_check.describe(x)}")
    return x, expand(name, "stride", stride, spatial), expand(name, "dilation", dilation, spatial)


@functools.cache
def form(size: Sizes, window: Sizes, stride: Sizes, pads: Pads, dilation: Sizes, groups: int, depthwise: bool = False) -> Bilinear:
    """The bilinear form of one geometry; padding may be negative. `depthwise`: there is one input channel in each group."""
    spatial = len(size)
    layout = _LAYOUTS[spatial]

    def correlate(x, kernel, stride=stride, pads=pads, dilation=dilation):
        return jax.lax.conv_general_dilated(
            x, kernel, stride, pads, rhs_dilation=dilation, dimension_numbers=layout, feature_group_count=groups
        )

    def to_x(kernel, y):
        y, x = same_axes(y, jnp.zeros((y.shape[0], *size, kernel.shape[-2] * groups), y.dtype))
        if all(low < d * (w - 1) + 1 for (low, _), w, d in zip(pads, window, dilation)):
            return jax.vjp(lambda x: correlate(x, kernel), x)[1](y)[0]
        # XLA's gradient is wrong on a CPU (JAX 0.10.2) where padding reaches past the window, so the padding is a step of its own.
        apart = lambda x: correlate(pad(x, pads), kernel, pads=((0, 0),) * spatial)
        return jax.vjp(apart, x)[1](y)[0]

    def to_kernel(x, y):
        y, kernel = same_axes(y, jnp.zeros((*window, x.shape[-1] // groups, y.shape[-1]), y.dtype))
        return jax.vjp(lambda kernel: correlate(x, kernel), kernel)[1](y)[0]

    def product(x, kernel, stride=stride, pads=pads, dilation=dilation):
        chosen = _patch_products.convolve if _patch_products.pays(kernel, stride) else correlate
        return chosen(x, kernel, stride, pads, dilation)

    def to_x_by_phases(kernel, y):
        turned = jnp.flip(kernel, range(spatial)).swapaxes(-1, -2)
        plain = lambda y, kernel, dilation: product(y, kernel, (1,) * spatial, ((0, 0),) * spatial, dilation)
        return by_phases(plain, turned, y, size, stride, pads, dilation)

    def to_kernel_by_products(x, y):
        if _patch_products.gradient_pays(window, stride):
            return _patch_products.kernel_gradient(x, y, window, stride, pads, dilation)
        # A convolution in which channels are the batch, the batch is the channels, and `y` is the kernel.
        reach = [(o - 1) * s + d * (w - 1) + 1 for o, s, d, w in zip(y.shape[1:-1], stride, dilation, window)]
        seen = pad(x, [(low, r - n - low) for (low, _), r, n in zip(pads, reach, size)])
        turned = correlate(seen.swapaxes(0, -1), jnp.moveaxis(y, 0, -2), dilation, ((0, 0),) * spatial, stride)
        return jnp.moveaxis(turned, 0, -2)

    maps = _batched((to_x, to_kernel, correlate), spatial)
    if depthwise:
        return Bilinear(maps, _batched(_taps.maps(size, window, stride, pads, dilation, groups), spatial))
    if groups > 1:
        return Bilinear(maps)
    return Bilinear(maps, _batched((to_x_by_phases, to_kernel_by_products, product), spatial), in_turn=True)


def _batched(maps: Maps, spatial: int) -> Maps:
    """Lets the maps take any leading axes: they see one, the batch."""

    def flat(a: jax.Array) -> jax.Array:
        return a.reshape(-1, *a.shape[-spatial - 1 :])

    def like(a: jax.Array, result: jax.Array) -> jax.Array:
        return result.reshape(*a.shape[: -spatial - 1], *result.shape[1:])

    to_x, to_kernel, to_y = maps
    return (
        lambda kernel, y: like(y, to_x(kernel, flat(y))),
        lambda x, y: to_kernel(flat(x), flat(y)),
        lambda x, kernel: like(x, to_y(flat(x), kernel)),
    )
