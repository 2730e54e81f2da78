"""The gradient of a convolution with respect to its kernel, in forms that XLA runs fast on a CPU, inside compiled loops too."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jdl.functional._bilinear import same_axes
from jdl.functional._window import Pads, Sizes, pad, patches

CHUNK = 2**20  # bytes of patches worked on at a time: they stay in the cache


def by_size(
    correlate: Callable[..., jax.Array], x: jax.Array, y: jax.Array, window: Sizes, stride: Sizes, pads: Pads, dilation: Sizes
) -> jax.Array:
    """The gradient from `x` and the cotangent `y`; `correlate` takes `(x, kernel, stride, pads, dilation)`."""
    size = math.prod(window) * x.shape[-1] * y.size // y.shape[-1] * x.dtype.itemsize
    if size <= CHUNK:
        return _turned(correlate, x, y, window, stride, pads, dilation)
    return _by_rows(x, y, window, stride, pads, dilation)


def _turned(correlate, x, y, window, stride, pads, dilation):
    """A convolution in which channels are the batch, the batch is the channels, and `y` is the kernel."""
    reach = [(o - 1) * s + d * (w - 1) + 1 for o, s, d, w in zip(y.shape[1:-1], stride, dilation, window)]
    seen = pad(x, [(low, r - n - low) for (low, _), r, n in zip(pads, reach, x.shape[1:-1])])
    turned = correlate(seen.swapaxes(0, -1), jnp.moveaxis(y, 0, -2), dilation, ((0, 0),) * len(window), stride)
    return jnp.moveaxis(turned, 0, -2)


def _by_rows(x, y, window, stride, pads, dilation):
    """A product for each row of the window, over patches one row high: a fraction of the memory of whole patches."""
    rest = window[1:], stride[1:], dilation[1:]
    starts = [i * dilation[0] for i in range(window[0])]
    reach = (y.shape[1] - 1) * stride[0] + 1
    contract = functools.partial(
        jax.lax.dot_general,  # of two matrices: over several axes, XLA's CPU code would write one out transposed
        dimension_numbers=(((0,), (0,)), ((), ())),
        preferred_element_type=jnp.promote_types(y.dtype, jnp.float32),
    )

    def products(x, y):
        seen = patches(x, *((1, *sizes) for sizes in rest))
        rows = (jax.lax.slice_in_dim(seen, start, start + reach, stride[0], axis=1) for start in starts)
        return jnp.stack([contract(row.reshape(-1, row.shape[-1]), y.reshape(-1, y.shape[-1])) for row in rows])

    x = pad(x, pads)
    size = x.shape[1] * math.prod(y.shape[2:-1]) * math.prod(window[1:]) * x.shape[-1] * x.dtype.itemsize
    return _sum_in_chunks(products, x, y, size).reshape(*window, x.shape[-1], y.shape[-1]).astype(y.dtype)


def _sum_in_chunks(function: Callable[..., jax.Array], x: jax.Array, y: jax.Array, size: int) -> jax.Array:
    """Sums `function` over the batch, in chunks whose patches, `size` bytes for each sample, stay in the cache."""
    most = max(1, CHUNK // size)
    chunk = next(n for n in range(min(most, len(x)), 0, -1) if len(x) % n == 0)
    if chunk == len(x):
        return function(x, y)
    chunks = tuple(a.reshape(-1, chunk, *a.shape[1:]) for a in (x, y))
    shape = jax.eval_shape(function, x[:chunk], y[:chunk])
    _, zero = same_axes(y, jnp.zeros(shape.shape, shape.dtype))
    return jax.lax.scan(lambda total, pair: (total + function(*pair), None), zero, chunks)[0]
