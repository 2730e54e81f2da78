"""The table of all losses: a new one is one row in `loss_rows`, and has every property that test_loss_properties.py tests."""

import importlib
from pathlib import Path

from loss_rows._row import Row

_FAMILIES = sorted(path.stem for path in (Path(__file__).parent / "loss_rows").glob("[a-z]*.py"))
LOSSES: tuple[Row, ...] = tuple(row for family in _FAMILIES for row in importlib.import_module(f"loss_rows.{family}").ROWS)
