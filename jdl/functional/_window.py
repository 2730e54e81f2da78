"""Geometry that convolution and pooling share: sizes for each spatial axis, padding in numbers, and what windows see."""

import itertools
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jdl.functional import _check

Padding = str | int | Sequence[tuple[int, int]]
Sizes = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]


def expand(name: str, what: str, size: int | Sequence[int], spatial: int) -> tuple[int, ...]:
    """One size for each spatial axis, from one for all or one each."""
    sizes = tuple(size) if isinstance(size, Sequence) else (size,) * spatial
    _check.positive(name, **{what: sizes})
    if len(sizes) != spatial:
        raise ValueError(f"{name}: {what} {sizes} has {len(sizes)} entries for {spatial} spatial axes")
    return sizes


def resolve(
    name: str,
    padding: Padding,
    size: Sequence[int],
    window: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> tuple[tuple[int, int], ...]:
    """Padding as a `(low, high)` pair for each spatial axis; raises ValueError where the window does not fit."""
    reach = [d * (w - 1) + 1 for w, d in zip(window, dilation)]
    if padding == "SAME":
        total = [max((-(-n // s) - 1) * s + r - n, 0) for n, s, r in zip(size, stride, reach)]
        return tuple((t // 2, t - t // 2) for t in total)
    if padding == "CAUSAL":
        return tuple((r - 1, 0) for r in reach)
    if padding == "VALID":
        pads = ((0, 0),) * len(size)
    elif isinstance(padding, int) and not isinstance(padding, bool) and padding >= 0:
        pads = ((padding, padding),) * len(size)
    else:
        try:
            pads = tuple((int(low), int(high)) for low, high in padding)  # type: ignore[union-attr]
        except (TypeError, ValueError):
            pads = ()
        if isinstance(padding, str) or len(pads) != len(size) or min(min(pair) for pair in pads) < 0:
            wants = f'"SAME", "VALID", "CAUSAL", a width of at least 0, or {len(size)} (low, high) pairs'
            raise ValueError(f"{name}: padding must be {wants}, got {padding!r}")
    for n, r, (low, high) in zip(size, reach, pads):
        if n + low + high < r:
            raise ValueError(f"{name}: a window that spans {r} does not fit an axis of {n} padded by {(low, high)}")
    return pads


def pad(x: jax.Array, pads: Sequence[tuple[int, int]]) -> jax.Array:
    """Pads the spatial axes with zeros, or cuts them where the padding is negative."""
    return jax.lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *((low, high, 0) for low, high in pads), (0, 0, 0)])


def shifts(x: jax.Array, window: Sizes, stride: Sizes, dilation: Sizes) -> list[jax.Array]:
    """For every place of the window in row order, what it sees there: `(batch, *places, channels)`."""
    sizes = [(n - d * (w - 1) - 1) // s + 1 for n, w, s, d in zip(x.shape[1:-1], window, stride, dilation)]

    def shifted(offsets: Sizes) -> jax.Array:
        start = [o * d for o, d in zip(offsets, dilation)]
        stop = [b + (n - 1) * s + 1 for b, n, s in zip(start, sizes, stride)]
        return jax.lax.slice(x, (0, *start, 0), (x.shape[0], *stop, x.shape[-1]), (1, *stride, 1))

    return [shifted(offsets) for offsets in itertools.product(*map(range, window))]


def patches(x: jax.Array, window: Sizes, stride: Sizes, dilation: Sizes) -> jax.Array:
    """What the window sees at every place, side by side: `(batch, *places, prod(window) * channels)`."""
    return jnp.concatenate(shifts(x, window, stride, dilation), axis=-1)
