"""The scale and the bias that norms have."""

from typing import Any

import jax

from jdl.layers._parameter import parameter


def affine(key: jax.Array, shape: tuple[int, ...], x: Any, *, scale_init: Any, bias_init: Any) -> dict:
    """Params `scale` and `bias`; what has no initialiser is left out."""
    made = {"scale": scale_init, "bias": bias_init}
    return {name: parameter(key, name, init, shape, x) for name, init in made.items() if init is not None}
