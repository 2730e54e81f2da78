"""What norms of single samples share: widening, standardising over axes, and the affine map that follows."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen


def widened(name: str, x: jax.Array, axes: int = 1, *, epsilon: float = 0.0, **weights: jax.Array | None) -> jax.Array:
    """`x` in float32 at least; raises unless it is floating point and each weight has the shape of its last `axes` axes."""
    x = _check.floating(name, x)
    _check.rank(name, x, range(1, 65), "(..., features)")
    _check.within(name, 0, float("inf"), epsilon=epsilon)
    for key, weight in weights.items():
        if weight is not None and weight.shape != x.shape[-axes:]:
            raise ValueError(f"{name}: {key} is for {weight.size} features, x is {_check.describe(x)}")
    return widen(x)


def standardise(x: jax.Array, axes: Sequence[int], epsilon: float) -> jax.Array:
    """`(x - mean) / sqrt(variance + epsilon)` over `axes`, the variance in two passes."""
    centred = x - x.mean(axes, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.square(centred).mean(axes, keepdims=True) + epsilon)


def affine(y: jax.Array, scale: jax.Array | None, bias: jax.Array | None) -> jax.Array:
    """`y * scale + bias` with weights of the trailing axes of `y`."""
    if scale is not None:
        y = y * jnp.expand_dims(scale.astype(y.dtype), range(y.ndim - scale.ndim))
    return y if bias is None else y + jnp.expand_dims(bias.astype(y.dtype), range(y.ndim - bias.ndim))
