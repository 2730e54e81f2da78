"""Results over seeds as a table."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from jdl.metrics._interval import interval


def table(results: Mapping[str, Any], *, title: str = "", lower_is_better: str = "loss") -> Any:
    """A table with a row for every result: mean, standard deviation, 95% interval of the mean, best and worst over members.

    Args:
      results: named numbers, one for each member (seed).
      title: printed above.
      lower_is_better: results whose names contain this are best where they are lowest.

    Returns:
      A `rich.table.Table`, for `rich.print`.

    Example:
      >>> import rich
      >>> from jdl import report
      >>> results = report.table({"accuracy": [0.97, 0.98, 0.99]})
      >>> results.row_count
      1
    """
    from rich.table import Table

    sizes = {np.size(values) for values in results.values()}
    made = Table(
        "", "mean", "deviation", "95% interval", "best", "worst", title=title, caption=_members(sizes), title_justify="left"
    )
    for column in made.columns[1:]:
        column.justify = "right"
    for name, values in results.items():
        found = interval(np.ravel(values))
        ends = [np.min(values), np.max(values)]
        best, worst = ends if lower_is_better in name else ends[::-1]
        spread = (f"{found.deviation:.4f}", f"{found.low:.4f} to {found.high:.4f}") if np.size(values) > 1 else ("", "")
        made.add_row(name, f"{found.mean:.4f}", *spread, f"{best:.4f}", f"{worst:.4f}")
    return made


def _members(sizes: set[int]) -> str:
    return "" if len(sizes) > 1 else f"over {size} seeds" if (size := sizes.pop()) > 1 else "one seed"
