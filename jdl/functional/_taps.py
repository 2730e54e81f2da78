"""Depthwise convolution as a sum over taps of shifted products, which XLA fuses into one loop: its own is slow on a CPU."""

import functools
import math
import operator

import jax
import jax.numpy as jnp

from jdl.functional._bilinear import Maps, same_axes
from jdl.functional._phases import by_phases
from jdl.functional._window import Pads, Sizes, pad, shifts


def maps(size: Sizes, window: Sizes, stride: Sizes, pads: Pads, dilation: Sizes, channels: int) -> Maps:
    """The three maps of one geometry, where every channel is a group of its own."""
    spatial = len(size)

    def correlate(x, kernel, dilation, stride=(1,) * spatial):
        x = jax.lax.optimization_barrier(_repeat(x, kernel.shape[-1]))  # or what makes x would be computed for every tap
        wide = jnp.promote_types(x.dtype, jnp.float32)
        weights = kernel.reshape(-1, *(1,) * (spatial + 1), kernel.shape[-1]).astype(wide)
        seen = shifts(x, kernel.shape[:spatial], stride, dilation)
        products = [a.astype(wide) * jnp.broadcast_to(weights[i], a.shape) for i, a in enumerate(seen)]
        return functools.reduce(operator.add, products).astype(x.dtype)

    def to_y(x, kernel):
        return correlate(pad(x, pads), kernel, dilation, stride)

    def to_x(kernel, y):
        x = by_phases(correlate, jnp.flip(kernel, range(spatial)), y, size, stride, pads, dilation)
        return x if x.shape[-1] == channels else x.reshape(*x.shape[:-1], channels, -1).sum(-1)

    def to_kernel(x, y):
        wide = jnp.promote_types(y.dtype, jnp.float32)
        x = _repeat(pad(x, pads), y.shape[-1])

        def add(totals, sample):  # in place, for all taps while the sample is in the cache
            x, y = sample
            seen = shifts(jnp.expand_dims(x, 0), window, stride, dilation)
            return [total + a[0].astype(wide) * y.astype(wide) for total, a in zip(totals, seen)], None

        y, zero = same_axes(y, jnp.zeros(y.shape[1:], wide))
        totals, _ = jax.lax.scan(add, [zero] * math.prod(window), (x, y))
        sums = [total.sum(range(spatial)) for total in totals]
        return jnp.stack(sums).reshape(*window, 1, y.shape[-1]).astype(y.dtype)

    return to_x, to_kernel, to_y


def _repeat(x: jax.Array, channels: int) -> jax.Array:
    return x if x.shape[-1] == channels else jnp.repeat(x, channels // x.shape[-1], -1)
