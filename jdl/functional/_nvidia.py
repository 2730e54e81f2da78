"""The NVIDIA GPU that programs run on."""

import jax


def compute_capability() -> tuple[int, ...]:
    """Such as (9, 0); (0, 0) if programs don't run on one."""
    version = getattr(jax.devices()[0], "compute_capability", "")
    return tuple(map(int, version.split("."))) if version.replace(".", "").isdigit() else (0, 0)
