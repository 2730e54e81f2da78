"""What losses of real values take: arrays of one shape, brought to one dtype, and kept where a density is defined."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen

FLOOR = 1e-6  # what scales and rates count as that are smaller


def pair(name: str, predictions: Any, targets: Any) -> tuple[jax.Array, jax.Array]:
    """Predictions and targets of one shape, both in the dtype of predictions and float32 at least."""
    (wide,), targets = outputs(name, ("predictions",), (predictions,), targets)
    return wide, targets


def outputs(name: str, names: tuple[str, ...], given: Any, targets: Any) -> tuple[list[jax.Array], jax.Array]:
    """The outputs of which a loss takes a tuple, and targets, as `pair` does."""
    arrays = floating(name, names, given)
    targets = _check.array(targets)
    _check.same_shape(name, **arrays, targets=targets)
    return align(*arrays.values(), targets=targets)


def floating(name: str, names: tuple[str, ...], given: Any) -> dict[str, jax.Array]:
    """The outputs by name; raises TypeError unless there is a floating-point array for each name."""
    if not isinstance(given, tuple | list) or len(given) != len(names):
        raise TypeError(f"{name}: takes a tuple ({', '.join(names)}) and targets, got {_check.describe(given)}")
    return {key: _check.floating(name, x, key) for key, x in zip(names, given)}


def align(*arrays: jax.Array, targets: Any) -> tuple[list[jax.Array], jax.Array]:
    """All in the dtype of `arrays`, float32 at least."""
    dtype = jnp.result_type(*(widen(x).dtype for x in arrays))
    return [x.astype(dtype) for x in arrays], jnp.asarray(targets, dtype)


def not_negative(name: str, targets: Any) -> None:
    """Raises ValueError if the host can see a target below 0."""
    _check.report(name, "targets must be at least 0", _check.array(targets), lambda targets: targets < 0)


@jax.custom_jvp
def at_least(x: jax.Array, low: float | jax.Array) -> jax.Array:
    """`x`, or `low` where it is smaller, and there with the gradient of `low`: what is out of range finds its way back."""
    return jnp.maximum(x, low)


at_least.defjvps(lambda tangent, y, x, low: tangent, None)
