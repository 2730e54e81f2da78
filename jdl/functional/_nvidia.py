"""The NVIDIA GPU that programs run on."""

import jax


def compute_capability() -> tuple[int, ...]:
    """Such as (9, 0), of the device that programs run on unless they are told otherwise; (0, 0) if it is none of NVIDIA's."""
    chosen = jax.config.jax_default_device  # type: ignore[attr-defined]
    device = jax.devices(chosen)[0] if chosen is None or isinstance(chosen, str) else chosen
    version = getattr(device, "compute_capability", None) or ""
    return tuple(map(int, version.split("."))) if version.replace(".", "").isdigit() else (0, 0)
