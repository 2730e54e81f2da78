"""Pictures of runs: curves with bands over seeds, confusion matrix, images with captions. Each returns a matplotlib figure."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def curves(history: Mapping[str, Any], names: Sequence[str], *, x: str = "epoch", title: str = "") -> "Figure":
    """Draws one or more metrics of a history: the mean over seeds, and a band from the lowest to the highest seed.

    Args:
      history: from `jdl.fit`.
      names: metrics to draw in one plot.
      x: the history's entry on the horizontal axis.
      title: above the plot.

    Returns:
      A figure.
    """
    figure, axes = _figure(5.6, 3.6)
    for name in names:
        values = np.atleast_2d(np.asarray(history[name], float).T).T  # (epochs, members)
        (line,) = axes.plot(history[x], values.mean(1), label=name)
        if values.shape[1] > 1:
            axes.fill_between(history[x], values.min(1), values.max(1), color=line.get_color(), alpha=0.2, linewidth=0)
    axes.set(xlabel=x, title=title, ylabel=names[0].rsplit("/", 1)[-1])
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def confusion(counts: Any, *, classes: Sequence[Any] | None = None, title: str = "") -> "Figure":
    """Draws a confusion matrix; shades are shares of a row, numbers are counts.

    Args:
      counts: `(true classes, predicted classes)`, or `(members, ...)` of which the mean is shown.
      classes: their names; numbers if not given.
      title: above the plot.

    Returns:
      A figure.
    """
    counts = np.asarray(counts, float)
    counts = counts.mean(0) if counts.ndim == 3 else counts
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure, axes = _figure(5.2, 5.2)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            shade = "white" if share[row, column] > 0.5 else "black"
            axes.text(column, row, f"{count:.3g}", ha="center", va="center", color=shade, fontsize=8)
    names = list(range(len(counts))) if classes is None else list(classes)
    axes.set(xticks=range(len(names)), yticks=range(len(names)), xticklabels=names, yticklabels=names)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    return figure


def images(pictures: Any, captions: Sequence[str], *, columns: int = 8, title: str = "") -> "Figure":
    """Draws pictures in a grid, each with a caption.

    Args:
      pictures: `(count, height, width)` or `(count, height, width, channels)`.
      captions: one for each.
      columns: how many side by side.
      title: above the grid.

    Returns:
      A figure.
    """
    from matplotlib.figure import Figure

    rows = max(1, -(-len(captions) // columns))
    figure = Figure(figsize=(1.25 * columns, 1.6 * rows + 0.4), layout="constrained")
    for place, axes in enumerate(np.ravel(figure.subplots(rows, columns, squeeze=False))):
        axes.set_axis_off()
        if place < len(captions):
            axes.imshow(np.squeeze(pictures[place]), cmap="gray_r")
            axes.set_title(captions[place], fontsize=7)
    figure.suptitle(title)
    return figure


def _figure(width: float, height: float) -> tuple["Figure", Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")  # no pyplot: no display, no global state
    return figure, figure.subplots()
