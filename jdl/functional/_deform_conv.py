"""Deformable convolution: a convolution whose taps move."""

import itertools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._conv import add_bias
from jdl.functional._conv_local import places_of
from jdl.functional._window import Padding, pad


def deform_conv(
    x: jax.Array,
    offsets: jax.Array,
    kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    mask: jax.Array | None = None,
    stride: int | Sequence[int] = 1,
    padding: Padding = "SAME",
    dilation: int | Sequence[int] = 1,
) -> jax.Array:
    """Convolves with taps that move at every place: `y[p] = sum_k x(p * stride + k * dilation + offset[p, k]) mask[p, k] W[k] + b`.

    Between pixels `x` is interpolated bilinearly, and it is 0 outside. With offsets of 0 this is `conv`.

    Args:
      x: images, `(batch, height, width, in)`, floating point.
      offsets: how far the taps move, in pixels, `(batch, *places, prod(window) * 2)`: down and right for each tap, in row order.
        `places` are the spatial sizes of the output.
      kernel: weights, `(*window, in, out)`, cast to the dtype of `x`.
      bias: `(out,)`, cast likewise.
      mask: what each tap is multiplied with, `(batch, *places, prod(window))`.
      stride: step of the window, one for both axes or one each.
      padding: `"SAME"`, `"VALID"`, `"CAUSAL"`, a width for all sides, or a `(low, high)` pair for each axis, as in `conv`.
      dilation: distance between neighbouring taps that have not moved, one for both axes or one each.

    Returns:
      `(batch, *places, out)`, of the dtype of `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if ranks, channels or places don't fit, or the window is larger than the padded input.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> x, offsets = jnp.arange(3.0).reshape(1, 1, 3, 1), jnp.array([0, 0.5])
      >>> functional.deform_conv(x, jnp.tile(offsets, (1, 1, 3, 1)), jnp.ones((1, 1, 1, 1))).ravel().tolist()
      [0.5, 1.5, 1.0]

    Source: Dai et al., "Deformable convolutional networks", https://arxiv.org/abs/1703.06211; with a mask: Zhu et al., "Deformable
    ConvNets v2", https://arxiv.org/abs/1811.11168.
    """
    x = _check.floating("deform_conv", x)
    _check.rank("deform_conv", x, (4,), "(batch, height, width, channels)")
    if kernel.ndim != 4 or kernel.shape[-2] != x.shape[-1]:
        wants = f"kernel {_check.describe(kernel)} must be (*window, in, out)"
        raise ValueError(f"deform_conv: {wants} with the channels of x, which is {_check.describe(x)}")
    window, taps = kernel.shape[:2], math.prod(kernel.shape[:2])
    places, stride, dilation, pads = places_of("deform_conv", x, window, stride, padding, dilation)
    for name, array, channels in (("offsets", offsets, 2 * taps), ("mask", mask, taps)):
        if array is not None and array.shape != (len(x), *places, channels):
            shape = [len(x), *places, channels]
            raise ValueError(f"deform_conv: {name} must have shape {shape}, got {_check.describe(array)}")
    wide = jnp.promote_types(offsets.dtype, jnp.float32)
    still = jnp.asarray(_taps(places, window, stride, pads, dilation), wide)
    where = jnp.expand_dims(still, 0) + offsets.astype(wide).reshape(len(x), *places, taps, 2)
    seen = _bilinear(x, where)
    seen = seen if mask is None else seen * jnp.expand_dims(mask.astype(x.dtype), -1)
    seen = seen.reshape(len(x), *places, taps * x.shape[-1])
    return add_bias(jnp.tensordot(seen, kernel.astype(x.dtype).reshape(-1, kernel.shape[-1]), 1), bias)


def _taps(places, window, stride, pads, dilation) -> list:
    """Where taps are before they move: `(*places, taps, 2)`."""

    def one(p: int, k: int, axis: int) -> int:
        return p * stride[axis] + k * dilation[axis] - pads[axis][0]

    taps = list(itertools.product(*map(range, window)))
    return [[[[one(p, i, 0), one(q, j, 1)] for i, j in taps] for q in range(places[1])] for p in range(places[0])]


def _bilinear(x: jax.Array, where: jax.Array) -> jax.Array:
    """`x` at points `(batch, ..., 2)`, in pixels: `(batch, ..., channels)`. It is 0 outside, and so is the gradient there."""
    batch, *size, channels = x.shape
    last = jnp.asarray(size, where.dtype)
    where = jax.lax.clamp(jnp.broadcast_to(-jnp.ones_like(last), where.shape), where, jnp.broadcast_to(last, where.shape))
    first = jnp.clip(jnp.floor(jax.lax.stop_gradient(where)), -1, jnp.broadcast_to(last - 1, where.shape))
    down, right = jnp.unstack(where - first, axis=-1)
    row, column = jnp.unstack(first.astype(int) + 1, axis=-1)
    framed = pad(x, ((1, 1), (1, 1)))
    flat = framed.reshape(batch, -1, channels)

    def corner(i: int, j: int) -> jax.Array:
        index = ((row + i) * framed.shape[2] + column + j).reshape(batch, -1, 1)
        share = (down if i else 1 - down) * (right if j else 1 - right)
        found = jnp.take_along_axis(flat, index, axis=1, mode="clip").reshape(*share.shape, channels)
        return found * jnp.expand_dims(share, -1)

    return (corner(0, 0) + corner(0, 1) + corner(1, 0) + corner(1, 1)).astype(x.dtype)
