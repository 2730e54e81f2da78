"""Charts of sweeps: heat map, parallel coordinates, the effect of one hyperparameter."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from jdl.metrics._interval import interval
from jdl.report import _svg as svg
from jdl.report._charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, cells, mean

_LEVELS = 10  # more values are shown in ranges

Settings = Mapping[str, Sequence[Any]]


class Column(NamedTuple):
    """A hyperparameter on an axis from 0 to 1.

    Attributes:
      places: of each setting.
      ticks: places, and what stands there.
      groups: settings with one value, or a range of values.
      middles: the places of the groups.
    """

    places: np.ndarray
    ticks: list[tuple[float, str]]
    groups: list[np.ndarray]
    middles: list[float]


def heat_map(settings: Settings, names: tuple[str, str], values: np.ndarray, *, lower: bool) -> str:
    """The mean of a metric, `values` with one for each setting, for each pair of values of two hyperparameters; yellow is best."""
    (rows, row_of), (columns, column_of) = (_levels(settings[name]) for name in names)
    table = np.full((len(rows), len(columns)), np.nan)
    for i, j in np.ndindex(*table.shape):
        table[i, j] = mean(values[(row_of == i) & (column_of == j)])
    return cells(rows, columns, table, _goodness(table, lower=lower), x_label=names[1], y_label=names[0])


def parallel(settings: Settings, metric: str, values: np.ndarray, *, lower: bool) -> str:
    """A line for each setting over axes of hyperparameters and, last, the metric; the stronger its colour, the better."""
    columns = {**settings, metric: values.tolist()}
    width, bottom, top = max(2 * WIDTH, 120.0 * len(columns)), HEIGHT - 16, 42.0
    across, up = np.linspace(60, width - 76, len(columns)), svg.Scale(0, 1, bottom, top)
    drawn = [_column(column) if name != metric else _continuous(column) for name, column in columns.items()]
    good = _goodness(values, lower=lower)
    lines, frame = [], []
    for i in np.argsort(np.nan_to_num(good, nan=-1)):  # the best on top
        shown = ", ".join(f"{name} {svg.number(column[i])}" for name, column in columns.items())
        colour = f"color-mix(in oklab, var(--c1) {100 * np.nan_to_num(good[i]):.0f}%, var(--faint))"
        heights = up([column.places[i] for column in drawn])
        lines.append(svg.line(across, heights, colour, style="setting", title=shown))
    for place, name, column in zip(across, columns, drawn):
        frame.append(f'<path class="axis" d="M{place:.1f} {bottom:g}V{top:g}"/>')
        frame.append(svg.text(place, top - 20, name, "middle", style="strong"))
        frame += [svg.text(place + 6, float(up(at)) + 4, label, style="halo") for at, label in column.ticks]
    return svg.drawing(width, HEIGHT, *lines, *frame, name=f"{metric} over {', '.join(settings)}")


def effect(name: str, column: Sequence[Any], values: np.ndarray) -> str:
    """What one hyperparameter does to a metric, `values` of `(settings, seeds)`, whatever the others: means, with 95% intervals.

    A faint dot is a setting, its mean over seeds. Intervals are over settings with this value, or over seeds where it is only one.
    """
    drawn = _column(column)
    means = mean(values)
    samples = [means[chosen] if len(chosen) > 1 else values[chosen].ravel() for chosen in drawn.groups]
    found = [interval(kept) if (kept := sample[np.isfinite(sample)]).size else None for sample in samples]
    ends = [[one.low, one.mean, one.high] if one else [] for one in found]
    log = svg.wide(means) and all(end > 0 for three in ends for end in three if np.isfinite(end))
    y = svg.fitted([means, *ends], HEIGHT - BOTTOM, TOP, log=log)
    x = svg.Scale(0, 1, LEFT, WIDTH - RIGHT)
    parts = [svg.axes(x, y, x_label=name, x_ticks=[(float(x(at)), label) for at, label in drawn.ticks])]
    dots = [(float(x(at)), float(y(one)), one) for at, one in zip(drawn.places, means) if np.isfinite(one)]
    parts += [svg.dot(at, height, "var(--c0)", 2.5, title=svg.number(one), style="faint") for at, height, one in dots]
    parts.append(svg.line(x(drawn.middles), y([one.mean if one else np.nan for one in found]), "var(--c0)"))
    for at, one in zip(x(drawn.middles), found):
        if one and np.isfinite(one.low):
            ends_ = "".join(f"M{at - 4:.1f} {y(end):.1f}h8" for end in (one.low, one.high))
            parts.append(f'<path class="whisker" d="M{at:.1f} {y(one.low):.1f}V{y(one.high):.1f}{ends_}"/>')
        if one:
            parts.append(svg.dot(float(at), float(y(one.mean)), "var(--c0)", 4, title=svg.number(one.mean)))
    return svg.drawing(WIDTH, HEIGHT, *parts, name=f"effect of {name}")


def _goodness(values: np.ndarray, *, lower: bool) -> np.ndarray:
    """Shares from 0, the worst, to 1, the best, by logarithms where values span much."""
    values = np.log10(values) if svg.wide(values) else np.asarray(values, float)
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 1.0)
    share = (values - low) / ((high - low) or 1.0)
    return 1 - share if lower else share


def _numbers(column: Sequence[Any]) -> bool:
    return all(isinstance(value, int | float | np.number) and not isinstance(value, bool) for value in column)


def _levels(column: Sequence[Any]) -> tuple[list[str], np.ndarray]:
    """The values in order, in ranges if there are many, and which one each setting has."""
    if not _numbers(column):
        names = list(dict.fromkeys(map(str, column)))
        return names, np.array([names.index(str(value)) for value in column])
    values = np.asarray(column, float)
    known = np.unique(values)
    if len(known) <= _LEVELS:
        return [svg.number(value) for value in known], np.searchsorted(known, values)
    edges = np.quantile(values, np.linspace(0, 1, min(max(len(values) // 4, 2), 6) + 1))
    level = np.clip(np.searchsorted(edges, values, "right") - 1, 0, len(edges) - 2)
    return [f"{svg.number(low, 2)} to {svg.number(high, 2)}" for low, high in itertools.pairwise(edges)], level


def _column(column: Sequence[Any]) -> Column:
    """A hyperparameter: its values side by side if they are few, else where they lie."""
    names, level = _levels(column)
    if _numbers(column) and len(set(column)) > _LEVELS:
        return _continuous(column)
    middles = [(i + 0.5) / len(names) for i in range(len(names))]
    groups = [np.flatnonzero(level == i) for i in range(len(names))]
    return Column(np.array(middles)[level], list(zip(middles, names)), groups, middles)


def _continuous(column: Sequence[float]) -> Column:
    scale = svg.fitted([column], 0, 1, log=svg.wide(column))
    places, (names, level) = scale(column), _levels(column)
    groups = [group for i in range(len(names)) if len(group := np.flatnonzero(level == i))]
    ticks = [(float(scale(tick)), label) for tick, label in zip(scale.ticks(), scale.labels())]
    return Column(places, ticks, groups, [float(places[group].mean()) for group in groups])
