"""What a run's folder says about how the run was made: `config.json` and `environment.json`."""

import contextlib
import importlib.metadata
import json
import os
import platform
import resource
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jax

from jdl.checkpoint import _files
from jdl.checkpoint._together import first, largest
from jdl.loop._described import described
from jdl.loop._programs import Programs, bytes_planned

_PACKAGES = ("jdl", "jax", "jaxlib", "numpy", "optax", "flax", "orbax-checkpoint")
_FLAGS = (
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_disable_jit",
    "jax_enable_x64",
    "jax_numpy_dtype_promotion",
    "jax_numpy_rank_promotion",
    "jax_threefry_partitionable",
)


def write_about(folder: Path, config: Mapping[str, Any], step: int, *, starts: bool) -> None:
    """Writes what the run was called with, and adds this start to those before, if it starts. Files of somebody else stay."""
    os.makedirs(folder, exist_ok=True)
    path = folder / "config.json"
    if not path.exists() or "called with" in _read(path):
        _write(path, {"called with": config})
    path = folder / "environment.json"
    if starts and (before := _starts(path)) is not None:
        _write(path, {"starts": [*before, {"step": step} | environment()]})


def write_end(folder: Path, programs: Programs, compile_seconds: float) -> None:
    """Adds to this start what it took; a full disk is no reason to lose a run that is over."""
    path, device = folder / "environment.json", jax.local_devices()[0].memory_stats() or {}
    end = {
        "time": _now(),
        "compile_seconds": round(compile_seconds, 3),
        "planned_bytes": bytes_planned(programs),
        "device_peak_bytes": device.get("peak_bytes_in_use"),
        "host_peak_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }
    with contextlib.suppress(OSError):
        if there := _starts(path):
            _write(path, {"starts": [*there[:-1], there[-1] | {"end": end}]})


def write_sweep(folder: Path, settings: Mapping[str, Sequence[Any]], seeds: int, groups: Sequence[Sequence[int]]) -> None:
    """Writes which member of which block has which setting: `group-0/members-0` and so on hold settings in this order.

    The first process does. Raises FileExistsError if the folder is another sweep's, or the file somebody else's.
    """
    if not first():
        return
    os.makedirs(folder, exist_ok=True)
    shown = {name: [described(value) for value in values] for name, values in settings.items()}
    ours, path = {"settings": shown, "seeds": seeds, "groups": groups}, folder / "sweep.json"
    if path.exists():
        there, ours = _read(path), json.loads(_dumped(ours))
        if differs := [name for name in ours if _dumped({"": there.get(name)}) != _dumped({"": ours[name]})]:  # NaN is not NaN
            raise FileExistsError(f"sweep: {path} is of other {differs[0]}; give another folder, nothing was overwritten")
    else:
        _write(path, ours)


def block_of(folder: Path | None, given: int | None, choose: Callable[[], int]) -> int:
    """How many members a group of a sweep trains at once: as many as when it was begun, or else as given, or chosen.

    What is chosen follows the memory that is free, and the folders of blocks follow from it: so `sweep.json` keeps it. Processes
    take what the first one reads. Raises FileExistsError if another number is given.
    """
    if folder is None:
        return given or choose()
    path = folder.parent / "sweep.json"
    about = _read(path) if first() else {}
    blocks = about.get("blocks", {})
    begun = largest(blocks.get(folder.name, 0))
    if begun and given and begun != given:
        raise FileExistsError(f"sweep: {path} is of blocks of {begun}; give block={begun}, or another folder")
    size = begun or given or choose()
    if first() and not begun and not folder.exists():  # a folder from before this was kept doesn't say how it was begun
        _write(path, about | {"blocks": blocks | {folder.name: size}})
    return size


def environment() -> dict[str, Any]:
    """What results and times depend on besides the code that is run."""
    devices = jax.devices()
    return {
        "time": _now(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "packages": {name: _version(name) for name in _PACKAGES},
        "devices": f"{len(devices)} x {devices[0].device_kind}",
        "platform": jax.default_backend(),
        "processes": jax.process_count(),
        "XLA_FLAGS": os.environ.get("XLA_FLAGS", ""),
        "flags": {name: getattr(jax.config, name) for name in _FLAGS},
        "git": _git(),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _git() -> dict[str, Any] | None:
    """Commit of the working directory, and whether files differ from it; None outside a repository."""
    ask = lambda *words: subprocess.run(["git", *words], capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.SubprocessError):
        return None


def _version(name: str) -> str:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):  # imported from its folder, not installed
        return importlib.metadata.version(name)
    return "unknown"


def _starts(path: Path) -> list[dict[str, Any]] | None:
    """The starts so far; None if the file is somebody else's."""
    if not path.exists():
        return []
    found = _read(path).get("starts")
    return found if isinstance(found, list) and all(isinstance(start, dict) for start in found) else None


def _read(path: Path) -> dict[str, Any]:
    """An older file; nothing where there is none, or what is not JSON's object."""
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, IsADirectoryError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, content: Mapping[str, Any]) -> None:
    _files.write(path, _dumped(content).encode() + b"\n")


def _dumped(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, default=str)
