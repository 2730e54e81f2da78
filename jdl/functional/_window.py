"""Geometry of windows over spatial axes: sizes for each axis, padding in numbers, and what windows see."""

import itertools
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check

Padding = str | int | Sequence[tuple[int, int]]
Sizes = tuple[int, ...]
Pads = tuple[tuple[int, int], ...]
NAMED = ("SAME", "VALID", "CAUSAL")


def spatial_axes(name: str, x: Any) -> int:
    """How many spatial axes `x` has; raises ValueError unless it is `(batch, *spatial, channels)` with one to three."""
    _check.rank(name, x, range(3, 6), "(batch, 1 to 3 spatial axes, channels)")
    return x.ndim - 2


def expand(name: str, what: str, size: int | Sequence[int], spatial: int) -> tuple[int, ...]:
    """One size for each spatial axis, from one for all or one each."""
    _check.all_positive(name, **{what: size})
    sizes = tuple(size) if isinstance(size, Sequence) else (size,) * spatial
    if len(sizes) != spatial:
        raise ValueError(f"{name}: {what} {sizes} has {len(sizes)} entries for {spatial} spatial axes")
    return sizes


def check_sizes(name: str, **sizes: Any) -> None:
    """Raises ValueError unless each is a positive integer, or there is one for each of 1 to 3 axes, for all the same number."""
    _check.all_positive(name, **sizes)
    _same_axes(name, sizes)


def check_geometry(name: str, padding: Padding, named: Sequence[str] = NAMED, **sizes: Any) -> None:
    """`check_sizes`, and the same for padding, which may have one of these names."""
    check_sizes(name, **sizes)
    if not isinstance(padding, str) or padding not in named:
        widths(name, padding, None, named)
        _same_axes(name, sizes | {"padding": padding})


def axes_named(*sizes: Any) -> int:
    """How many spatial axes these sizes are for; 1 where all are one for all axes."""
    return max((len(size) for size in sizes if _is_each(size)), default=1)


def _same_axes(name: str, sizes: dict[str, Any]) -> None:
    each = {what: size for what, size in sizes.items() if _is_each(size)}
    if len({len(size) for size in each.values()}) > 1 or not all(1 <= len(size) <= 3 for size in each.values()):
        given = " and ".join(f"{what}={size!r}" for what, size in each.items())
        raise ValueError(f"{name}: sizes must be one for all spatial axes, or one for each of 1 to 3, got {given}")


def _is_each(size: Any) -> bool:
    return isinstance(size, Sequence) and not isinstance(size, str)


def widths(name: str, padding: Any, spatial: int | None, named: Sequence[str] = ()) -> Pads:
    """A `(low, high)` pair for each spatial axis, from a width for all sides or such pairs.

    `spatial` is None where the number of axes is not known yet; `named` are the names that would do, too.
    """
    if isinstance(padding, int) and not isinstance(padding, bool) and padding >= 0:
        return ((padding, padding),) * (spatial or 1)
    try:
        pairs = tuple((operator.index(low), operator.index(high)) for low, high in padding)  # type: ignore[union-attr]
    except (TypeError, ValueError):
        pairs = ()
    if not pairs or len(pairs) != (spatial or len(pairs)) or min(min(pair) for pair in pairs) < 0:
        wants = "".join(f'"{one}", ' for one in named) + "a width of at least 0, or "
        wants += "a (low, high) pair for each axis" if spatial is None else f"{spatial} (low, high) pairs"
        raise ValueError(f"{name}: padding must be {wants}, got {padding!r}")
    return pairs


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
    else:
        pads = widths(name, padding, len(size), NAMED)
    for n, r, (low, high) in zip(size, reach, pads):
        if n + low + high < r:
            raise ValueError(f"{name}: a window that spans {r} does not fit an axis of {n} padded by {(low, high)}")
    return pads


def places_of(size: Sequence[int], window: Sizes, stride: Sizes, dilation: Sizes) -> Sizes:
    """At how many places along each axis the window fits."""
    return tuple((n - d * (w - 1) - 1) // s + 1 for n, w, s, d in zip(size, window, stride, dilation))


def starts(window: Sizes, dilation: Sizes) -> Iterator[Sizes]:
    """Where each entry of the window, in row order, lies when the window is at the first place."""
    return itertools.product(*(range(0, w * d, d) for w, d in zip(window, dilation)))


def pad(x: jax.Array, pads: Sequence[tuple[int, int]], value: Any = 0) -> jax.Array:
    """Puts a value around the spatial axes, or cuts them where the padding is negative."""
    return jax.lax.pad(x, jnp.asarray(value, x.dtype), [(0, 0, 0), *((low, high, 0) for low, high in pads), (0, 0, 0)])


def shifts(x: jax.Array, window: Sizes, stride: Sizes, dilation: Sizes) -> list[jax.Array]:
    """For every entry of the window, in row order, what it sees at every place: `(batch, *places, channels)`."""
    places = places_of(x.shape[1:-1], window, stride, dilation)

    def shifted(start: Sizes) -> jax.Array:
        stop = [b + (n - 1) * s + 1 for b, n, s in zip(start, places, stride)]
        return jax.lax.slice(x, (0, *start, 0), (x.shape[0], *stop, x.shape[-1]), (1, *stride, 1))

    return [shifted(start) for start in starts(window, dilation)]


def patches(x: jax.Array, window: Sizes, stride: Sizes, dilation: Sizes) -> jax.Array:
    """What the window sees at every place, side by side: `(batch, *places, prod(window) * channels)`."""
    return jnp.concatenate(shifts(x, window, stride, dilation), axis=-1)
