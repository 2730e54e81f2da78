"""Convolution and its kernel's gradient as matrix products over patches, which XLA runs fast on a CPU, inside compiled loops too.

Patches need not span the whole window. Where they span all axes but the first, one product gives what every row of the kernel makes
of every row of `x`, and the rows of `y` are sums of these, shifted: far less is copied than for patches of the whole window.
"""

import functools
import math
import operator
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jdl.functional._bilinear import same_axes
from jdl.functional._window import Pads, Sizes, pad, patches, places_of

CHUNK = 5 * 2**20  # bytes of patches and products worked on at a time: they stay in the cache
_COPY, _ADD = 40, 20  # multiplications in the time that it takes to copy an entry of a patch, and to add one of a product
_CHANNELS, _FEATURES = 32, 16  # with fewer, XLA's own convolution is faster
_SLICES = 49  # that patches are put together from; with more, the program would grow too large


class Rows(NamedTuple):
    """Every stride-th row of `x`: those that some rows of the kernel, `taps`, see."""

    start: int
    count: int
    taps: list[int]
    starts: list[int]  # for each tap, which row of `y` sees the first of these rows; it may lie outside

    @staticmethod
    def along(size: int, window: int, stride: int, low: int, dilation: int) -> Iterator["Rows"]:
        """Those of one axis, padded by `low`."""
        for phase in range(stride):
            start = (phase - low) % stride
            taps = [tap for tap in range(window) if tap * dilation % stride == phase]
            if taps and start < size:
                yield Rows(start, -(-(size - start) // stride), taps, [(start + low - tap * dilation) // stride for tap in taps])


class Geometry(NamedTuple):
    """A convolution without padding but along the first axis, where its products are shifted."""

    window: Sizes
    stride: Sizes
    dilation: Sizes
    places: Sizes
    rows: list[Rows]

    def patches(self, x: jax.Array, rows: Rows) -> jax.Array:
        """Of these rows, along the other axes: `(batch, rows, *places, window * channels)`."""
        x = jax.lax.slice_in_dim(x, rows.start, None, self.stride[0], axis=1)
        return patches(x, *((1, *sizes[1:]) for sizes in (self.window, self.stride, self.dilation)))

    def entries(self, channels: int, features: int) -> tuple[int, int]:
        """Of patches and of products, for one sample."""
        seen, made = math.prod(self.window[1:]) * channels, sum(rows.count * len(rows.taps) for rows in self.rows) * features
        across = math.prod(self.places[1:])
        return sum(rows.count for rows in self.rows) * seen * across, made * across

    def work(self, channels: int, features: int) -> int:
        """Time for one sample, in multiplications."""
        copied, made = self.entries(channels, features)
        return copied * _COPY + made * (_ADD + math.prod(self.window[1:]) * channels)


def pays(kernel: jax.Array, stride: Sizes) -> bool:
    """Whether `convolve` is faster than XLA's own, which reads the patches of a window along the last axis where they are."""
    *window, channels, features = kernel.shape
    in_place = math.prod(window) == window[-1] > 1
    return fits(tuple(window), stride) and not in_place and channels >= _CHANNELS and features >= _FEATURES


def gradient_pays(window: Sizes, stride: Sizes) -> bool:
    """Whether `kernel_gradient` is faster than a convolution with `y`, which reads long patches of a single axis where they are."""
    return fits(window, stride) and not (len(window) == 1 and window[0] > 4 * stride[0])


def fits(window: Sizes, stride: Sizes) -> bool:
    """Whether such patches are made of few slices."""
    return min(_slices(window, stride)) <= _SLICES


def convolve(x: jax.Array, kernel: jax.Array, stride: Sizes, pads: Pads, dilation: Sizes) -> jax.Array:
    """The convolution, with one group."""
    *window, channels, features = kernel.shape
    x, geometry = _arranged(x, tuple(window), stride, pads, dilation, features)
    kernel = kernel.reshape(*geometry.window, channels, features)

    def products(x: jax.Array) -> jax.Array:
        parts = []
        for rows in geometry.rows:
            seen = geometry.patches(x, rows)
            matrix = jnp.stack([kernel[tap].reshape(-1, features) for tap in rows.taps], 1).reshape(seen.shape[-1], -1)
            made = _product(_flat(seen), matrix, 1).reshape(*seen.shape[:-1], -1, features)
            parts += [_shifted(made[..., i, :], start, geometry.places[0]) for i, start in enumerate(rows.starts)]
        return functools.reduce(operator.add, parts or [jnp.zeros((len(x), *geometry.places, features))]).astype(x.dtype)

    def put(y: jax.Array, i: Any, x: jax.Array) -> jax.Array:
        return jax.lax.dynamic_update_index_in_dim(y, products(x), i, 1)

    chunk = _chunk(x, sum(geometry.entries(channels, features)))
    nothing = jnp.zeros((chunk, len(x) // chunk, *geometry.places, features), x.dtype)
    return _over_chunks(put, nothing, chunk, x).reshape(len(x), *geometry.places[-len(window) :], features)


def kernel_gradient(x: jax.Array, y: jax.Array, window: Sizes, stride: Sizes, pads: Pads, dilation: Sizes) -> jax.Array:
    """The gradient of its kernel, from the cotangent `y`."""
    channels, features = x.shape[-1], y.shape[-1]
    x, geometry = _arranged(x, window, stride, pads, dilation, features)
    y = y.reshape(len(y), *geometry.places, features)

    chunk = _chunk(x, sum(geometry.entries(channels, features)))
    nothing = jnp.zeros((math.prod(geometry.window[1:]) * channels, features), jnp.promote_types(y.dtype, jnp.float32))

    def add(total: jax.Array, i: Any, x: jax.Array, y: jax.Array) -> jax.Array:
        found = [nothing] * geometry.window[0]
        for rows in geometry.rows:
            seen = jnp.concatenate([_shifted(y, -start, rows.count) for start in rows.starts], -1)
            made = _product(_flat(geometry.patches(x, rows)), _flat(seen), 0).reshape(-1, len(rows.taps), features)
            for tap, gradient in zip(rows.taps, made.swapaxes(0, 1)):
                found[tap] = gradient
        return total + jnp.stack(found)

    total = _over_chunks(add, jnp.stack([nothing] * geometry.window[0]), chunk, x, y)
    return total.reshape(*window, channels, features).astype(y.dtype)


def _arranged(x, window, stride, pads, dilation, features) -> tuple[jax.Array, Geometry]:
    """`x`, padded but for its rows, or with an axis of length one in front if patches had better span the whole window."""
    reach = [n + low + high for n, (low, high) in zip(x.shape[1:-1], pads)]
    places = places_of(reach, window, stride, dilation)
    rows = [*Rows.along(x.shape[1], window[0], stride[0], pads[0][0], dilation[0])]
    by_rows = Geometry(window, stride, dilation, places, rows)
    whole = Geometry((1, *window), (1, *stride), (1, *dilation), (1, *places), [Rows(0, 1, [0], [0])])
    choices = zip(_slices(window, stride), (whole, by_rows))
    if min(choices, key=lambda choice: (choice[0] > _SLICES, choice[1].work(x.shape[-1], features)))[1] is by_rows:
        return pad(x, ((0, 0), *pads[1:])), by_rows
    return jnp.expand_dims(pad(x, pads), 1), whole


def _slices(window: Sizes, stride: Sizes) -> tuple[int, int]:
    """Of how many patches of the whole window are made, and those but for its rows, with what is shifted."""
    return math.prod(window), math.prod(window[1:]) * min(window[0], stride[0]) + window[0]


def _shifted(a: jax.Array, start: int, count: int) -> jax.Array:
    """So many rows, of which the first of `a` is the one at `start`; zeros where there are none."""
    return pad(a, ((start, count - start - a.shape[1]), *[(0, 0)] * (a.ndim - 3)))


def _flat(a: jax.Array) -> jax.Array:  # XLA's CPU code would write out transposed what is contracted over several axes
    return a.reshape(-1, a.shape[-1])


def _product(a: jax.Array, b: jax.Array, axis: int) -> jax.Array:
    """Of two matrices, over this axis of the first and the rows of the second, in float32 at least."""
    wide = jnp.promote_types(a.dtype, jnp.float32)
    return jax.lax.dot_general(a, b, (((axis,), (0,)), ((), ())), preferred_element_type=wide)


def _chunk(x: jax.Array, size: int) -> int:
    """How many samples at a time, each with so many entries of patches and products."""
    most = max(1, min(len(x), CHUNK // max(1, size * x.dtype.itemsize)))
    return next(n for n in range(most, 0, -1) if len(x) % n == 0)


def _over_chunks(step: Callable[..., jax.Array], result: jax.Array, chunk: int, *arrays: jax.Array) -> jax.Array:
    """Runs `result = step(result, i, *samples)` for every chunk, each of samples from all over the batch.

    Devices that share a batch share every chunk then.
    """
    chunks = len(arrays[0]) // chunk
    split = [a.reshape(chunk, chunks, *a.shape[1:]) for a in arrays]
    seen = lambda i: (jax.lax.dynamic_index_in_dim(a, i, 1, keepdims=False) for a in split)
    result, *_ = same_axes(result, *arrays)
    return jax.lax.fori_loop(0, chunks, lambda i, result: step(result, i, *seen(i)), result) if chunks else result
