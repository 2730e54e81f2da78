"""Drawings as SVG text whose colours are those of the page, so that they are readable in the light and in the dark."""

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

COLOURS = 8  # var(--c0) to var(--c7)
_STOPS = np.array([[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]], float)


class Scale(NamedTuple):
    """From numbers in [low, high] to pixels from `start` to `stop`; of `whole` numbers, such as epochs, there are no parts."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False
    whole: bool = False

    def __call__(self, values: Any) -> np.ndarray:
        shape = np.log10 if self.log else np.asarray
        low, high = shape(self.low), shape(self.high)
        return self.start + (shape(np.asarray(values, float)) - low) / (high - low) * (self.stop - self.start)

    def ticks(self) -> list[float]:
        """Round numbers, about five."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            stride = max(1, (last - first) // 5)
            digits = (1,) if last - first > 3 else (1, 2, 5) if last - first > 1 else (1, 1.5, 2, 3, 5, 7)
            found = [digit * 10.0**power for power in range(first, last + 1, stride) for digit in digits]
        else:
            rough = (self.high - self.low) / 5
            unit = 10.0 ** math.floor(math.log10(rough))
            step = max(min((1, 2, 5, 10), key=lambda n: abs(n * unit - rough)) * unit, float(self.whole))
            found = [float(f"{i * step:.15g}") for i in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        return [tick for tick in found if self.low <= tick * (1 + 1e-9) and tick <= self.high * (1 + 1e-9)]

    def labels(self) -> list[str]:
        """The ticks in few letters, with as many digits as they have."""
        ticks = self.ticks()
        exact = lambda labels: all(math.isclose(tick, float(label), rel_tol=1e-14) for tick, label in zip(ticks, labels))
        return next(labels for digits in range(4, 18) if exact(labels := [number(tick, digits) for tick in ticks]))


def fitted(values: Iterable[Any], start: float, stop: float, *, log: bool = False) -> Scale:
    """A scale on which all finite values have room."""
    flat = np.concatenate([np.ravel(np.asarray(value, float)) for value in values] or [np.zeros(0)])
    flat = flat[np.isfinite(flat) & ((flat > 0) | (not log))]
    low, high = (flat.min(), flat.max()) if flat.size else (0.1, 1.0)
    if log:
        room = max((high / low) ** 0.04, 1.02)
        return Scale(low / room, high * room, start, stop, log=True)
    room = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
    return Scale(low - room, high + room, start, stop)


def wide(values: Any) -> bool:
    """Whether positive numbers span so much that only their logarithms can be told apart."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    return bool(values.size and values.min() > 0 and values.max() > 20 * values.min())


def drawing(width: float, height: float, *parts: str, name: str) -> str:
    """A picture, which scales with its place."""
    return f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(name)}">{"".join(parts)}</svg>'


def axes(x: Scale, y: Scale, *, x_label: str, x_ticks: Sequence[tuple[float, str]] | None = None) -> str:
    """Grid and numbers; `x_ticks` are places, in pixels, and what stands there."""
    parts = []
    for label, place in zip(y.labels(), y(y.ticks())):
        parts.append(f'<path class="grid" d="M{x.start:g} {place:.1f}H{x.stop:g}"/>')
        parts.append(text(x.start - 6, place + 4, label, "end"))
    ticks = [(float(x(tick)), label) for tick, label in zip(x.ticks(), x.labels())] if x_ticks is None else x_ticks
    parts += [text(place, y.start + 16, label, "middle") for place, label in ticks]
    parts.append(f'<path class="axis" d="M{x.start:g} {y.start:g}H{x.stop:g}"/>')
    return "".join(parts) + text((x.start + x.stop) / 2, y.start + 33, x_label, "middle")


def line(x: np.ndarray, y: np.ndarray, colour: str, *, style: str = "", title: str = "") -> str:
    """A line through points in pixels, broken where one is not finite, and a dot where it is only one."""
    finite = np.isfinite(x) & np.isfinite(y)
    path = "".join(f"{'L' if i and finite[i - 1] else 'M'}{x[i]:.1f} {y[i]:.1f}" for i in np.flatnonzero(finite))
    alone = [i for i in np.flatnonzero(finite) if not finite[i - 1 : i].any() and not finite[i + 1 : i + 2].any()]
    dots = "".join(dot(x[i], y[i], colour, 2.5) for i in alone)
    return f'<path class="line {style}" style="stroke:{colour}" d="{path}"><title>{escape(title)}</title></path>{dots}'


def band(x: np.ndarray, low: np.ndarray, high: np.ndarray, colour: str) -> str:
    """What lies between two lines."""
    finite = np.isfinite(x) & np.isfinite(low) & np.isfinite(high)
    there = [f"{a:.1f} {b:.1f}" for a, b in zip(x[finite], high[finite])]
    back = [f"{a:.1f} {b:.1f}" for a, b in zip(x[finite][::-1], low[finite][::-1])]
    return f'<path class="band" style="fill:{colour}" d="M{"L".join(there + back)}Z"/>' if there else ""


def dot(x: float, y: float, colour: str, radius: float = 3, *, title: str = "", style: str = "") -> str:
    """A dot."""
    shown = f"<title>{escape(title)}</title>" if title else ""
    return f'<circle class="{style}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" style="fill:{colour}">{shown}</circle>'


def text(x: float, y: float, content: str, anchor: str = "start", *, style: str = "", colour: str = "") -> str:
    """Words."""
    fill = f' style="fill:{colour}"' if colour else ""
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{fill}>{escape(content)}</text>'


def cell(x: float, y: float, width: float, height: float, share: float, content: str, *, title: str = "") -> str:
    """A box whose colour says a share of 0 to 1, with words in it; without colour where the share is not finite."""
    if not math.isfinite(share):
        return f'<rect class="empty" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'
    box = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" style="fill:{shade(share)}"'
    ink = "#111" if share > 0.55 else "#fff"
    return (
        f"<rect {box}><title>{escape(title)}</title></rect>{text(x + width / 2, y + height / 2 + 4, content, 'middle', colour=ink)}"
    )


def shade(share: float) -> str:
    """A colour from dark violet, at 0, to yellow, at 1."""
    place = min(max(share, 0.0), 1.0) * (len(_STOPS) - 1)
    rgb = [np.interp(place, range(len(_STOPS)), channel) for channel in _STOPS.T]
    return f"rgb({','.join(f'{value:.0f}' for value in rgb)})"


def number(value: Any, digits: int = 4) -> str:
    """A number in few letters; anything else as it is."""
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        return f"{value:.{digits}g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    return str(value)


def escape(content: Any) -> str:
    """Words as HTML."""
    return html.escape(str(content))
