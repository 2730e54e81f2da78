"""Charts of runs: curves with bands, and tables of numbers in colours."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from jdl.report import _svg as svg

WIDTH, HEIGHT = 460.0, 270.0
LEFT, RIGHT, TOP, BOTTOM = 56.0, 12.0, 10.0, 42.0


class Curve(NamedTuple):
    """Values `(epochs, members)` over x `(epochs,)`."""

    label: str
    x: np.ndarray
    values: np.ndarray
    colour: str
    style: str = ""


def curves(name: str, drawn: Sequence[Curve], *, x_label: str = "epoch") -> str:
    """The mean of each curve over its members, and a band from the lowest to the highest."""
    if not any(np.isfinite(curve.values).any() for curve in drawn):
        return svg.drawing(WIDTH, HEIGHT, svg.text(WIDTH / 2, HEIGHT / 2, "not finite", "middle", style="strong"), name=name)
    log = svg.wide(np.concatenate([np.ravel(curve.values) for curve in drawn]))
    x = svg.fitted([curve.x for curve in drawn], LEFT, WIDTH - RIGHT)._replace(whole=x_label == "epoch")
    y = svg.fitted([curve.values for curve in drawn], HEIGHT - BOTTOM, TOP, log=log)
    parts = [svg.axes(x, y, x_label=x_label)]
    for curve in drawn:
        finite, middle = np.isfinite(curve.values), mean(curve.values)
        if curve.values.shape[1] > 1:
            low, high = (np.where(finite, curve.values, end) for end in (np.inf, -np.inf))
            parts.append(svg.band(x(curve.x), y(_or_nan(low.min(1))), y(_or_nan(high.max(1))), curve.colour))
        title = f"{curve.label}: {svg.number(middle[-1])} at the end"
        parts.append(svg.line(x(curve.x), y(middle), curve.colour, style=curve.style, title=title))
    return svg.drawing(WIDTH, HEIGHT, *parts, name=name)


def mean(values: np.ndarray) -> np.ndarray:
    """Over the last axis, of what is finite; NaN where nothing is."""
    finite = np.isfinite(values)
    counts = finite.sum(-1)
    return np.where(counts > 0, np.where(finite, values, 0).sum(-1) / np.maximum(counts, 1), np.nan)


def _or_nan(values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(values), values, np.nan)


def confusion(counts: np.ndarray, classes: Sequence[str] | None = None) -> str:
    """Counts `(true, predicted)`; colours are shares of a row."""
    names = [str(i) for i in range(len(counts))] if classes is None else list(classes)
    return cells(
        names, names, counts, counts / np.maximum(counts.sum(1, keepdims=True), 1), x_label="predicted", y_label="true class"
    )


def cells(
    rows: Sequence[str], columns: Sequence[str], values: np.ndarray, shares: np.ndarray, *, x_label: str, y_label: str
) -> str:
    """A table of numbers whose colours are shares of 0 to 1."""
    left, top, height = 24 + 7.0 * max(map(len, rows)), 8.0, 34.0
    width = max(min(90.0, (WIDTH - left - 8) / len(columns)), 7.0 * max(map(len, columns)))
    parts = []
    for i, row in enumerate(rows):
        parts.append(svg.text(left - 6, top + height * (i + 0.5) + 4, row, "end"))
        for j, column in enumerate(columns):
            shown = svg.number(round(float(values[i, j]), 6)) if values[i, j] else ""
            title = f"{y_label} {row}, {x_label} {column}: {shown}"
            parts.append(
                svg.cell(left + j * width, top + i * height, width - 1.5, height - 1.5, float(shares[i, j]), shown, title=title)
            )
    bottom = top + height * len(rows)
    parts += [svg.text(left + (j + 0.5) * width, bottom + 16, column, "middle") for j, column in enumerate(columns)]
    parts.append(svg.text(left + len(columns) * width / 2, bottom + 34, x_label, "middle", style="strong"))
    middle = (top + bottom) / 2
    label = (
        f'<text class="strong" transform="translate(11 {middle:.1f}) rotate(-90)" text-anchor="middle">{svg.escape(y_label)}</text>'
    )
    return svg.drawing(max(left + len(columns) * width + 8, WIDTH), bottom + 44, *parts, label, name=f"{y_label} by {x_label}")
