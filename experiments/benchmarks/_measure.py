"""Timing side by side: contestants take turns in one process, so that a noisy machine is noisy for all of them.

A turn is a pause, calls to warm up for as long, and a call that is timed. Without the pause, whoever follows PyTorch would share
cores with it: threads of OpenMP spin for some 20 ms after their work, in case there is more.
"""

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

import jax
import numpy as np
import rich
from rich.table import Table

_PAUSE = 0.05  # seconds until the threads of the contestant before have gone to sleep


def side_by_side(contestants: Mapping[str, Callable[[], Any]], *, rounds: int = 7) -> dict[str, np.ndarray]:
    """Seconds of each in every round, in which all take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, call in contestants.items():
            time.sleep(_PAUSE)
            warm = time.perf_counter() + _PAUSE
            while time.perf_counter() < warm:
                jax.block_until_ready(call())
            start = time.perf_counter()
            jax.block_until_ready(call())
            seconds[name].append(time.perf_counter() - start)
    return {name: np.array(taken) for name, taken in seconds.items()}


def show(title: str, rows: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Prints milliseconds, medians, and the median over rounds of the first's time over the last's."""
    names = list(next(iter(rows.values())))
    table = Table(title, *names, f"{names[0]} / {names[-1]}")
    for column in table.columns[1:]:
        column.justify = "right"
    for row, seconds in rows.items():
        ratio = np.median(seconds[names[0]] / seconds[names[-1]])
        table.add_row(row, *(f"{1e3 * np.median(seconds[name]):.1f}" for name in names), f"{ratio:.2f}")
    rich.print(table)


def environment(figures: str = "medians") -> None:
    """Prints what the figures depend on, and what they are."""
    versions = " ".join(f"{name} {importlib.metadata.version(name)}" for name in ("jax", "jaxlib", "jdl"))
    device = jax.devices()[0].device_kind
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(f"{date.today()}, {versions}, Python {platform.python_version()}, {device}, {cores} cores; milliseconds, {figures}")
