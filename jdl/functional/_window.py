"""Geometry that convolution and pooling share: sizes for each spatial axis, and padding in numbers."""

from collections.abc import Sequence

from jdl.functional import _check

Padding = str | int | Sequence[tuple[int, int]]


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
            wants = f'"SAME", "VALID", a width of at least 0, or {len(size)} (low, high) pairs'
            raise ValueError(f"{name}: padding must be {wants}, got {padding!r}")
    for n, r, (low, high) in zip(size, reach, pads):
        if n + low + high < r:
            raise ValueError(f"{name}: a window that spans {r} does not fit an axis of {n} padded by {(low, high)}")
    return pads
