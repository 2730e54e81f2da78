"""Devices on a grid, from a short description."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
from jax.sharding import AxisType, Mesh


def mesh(axes: str | Mapping[str, int], *, devices: Sequence[Any] | None = None) -> Mesh:
    """Arranges devices on a grid with named axes, near ones along the last axes.

    Args:
      axes: names and sizes, such as `"data=4,model=2"` or `{"data": 4, "model": 2}`; one size may be -1, for all devices that are
        left.
      devices: which; all of them if not given.

    Returns:
      A `jax.sharding.Mesh`, whose axes are left to the compiler (`AxisType.Auto`).

    Raises:
      ValueError: if the description can't be read, or the sizes' product is not the number of devices.

    Example:
      >>> import jax
      >>> from jdl import parallel
      >>> parallel.mesh("data=-1,model=1").shape["data"] == jax.device_count()
      True
    """
    sizes = _parsed(axes) if isinstance(axes, str) else dict(axes)
    devices = jax.devices() if devices is None else list(devices)
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int) or (size < 1 and size != -1):
            raise ValueError(f"mesh: the size of {name} must be a positive integer, or -1 for the rest, got {size!r}")
    if not sizes or list(sizes.values()).count(-1) > 1:
        raise ValueError(f"mesh: there must be axes, and one of them at most may have size -1, got {axes!r}")
    fixed = math.prod(size for size in sizes.values() if size != -1)
    sizes = {name: len(devices) // fixed if size == -1 else size for name, size in sizes.items()}
    if math.prod(sizes.values()) != len(devices):
        mend = "give an axis size -1, or name fewer by devices=jax.devices()[:n]"
        raise ValueError(f"mesh: {axes!r} doesn't fit {len(devices)} devices; {mend}")
    return jax.make_mesh(tuple(sizes.values()), tuple(sizes), axis_types=(AxisType.Auto,) * len(sizes), devices=devices)


def _parsed(text: str) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for part in text.split(","):
        name, equals, size = (word.strip() for word in part.partition("="))
        if not (name.isidentifier() and equals and size.removeprefix("-").isdecimal()) or name in sizes:
            raise ValueError(f"mesh: axes must be like 'data=4,model=2', each name once, got {text!r}")
        sizes[name] = int(size)
    return sizes
