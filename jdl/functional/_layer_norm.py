"""Normalisation of every sample by its own features."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._standardise import affine, standardise, widened


def layer_norm(
    x: jax.Array,
    scale: jax.Array | None = None,
    bias: jax.Array | None = None,
    *,
    axis: int | Sequence[int] = -1,
    epsilon: float = 1e-5,
) -> jax.Array:
    """Normalises the last axis to mean 0 and variance 1: `y = (x - mean(x)) / sqrt(var(x) + epsilon) * scale + bias`.

    Args:
      x: input, `(..., features)`, floating point.
      scale: `(features,)`, or of the shape of the axes that are normalised.
      bias: likewise.
      axis: the last axis, or several trailing ones together, such as `(-2, -1)`.
      epsilon: what keeps the root away from zero.

    Returns:
      An array like `x`; computed in float32 at least, the variance in two passes.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `scale` or `bias` has another shape than the axes, or these are not the trailing ones.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.layer_norm(jnp.array([1.0, 3.0]), epsilon=0).tolist()
      [-1.0, 1.0]

    Source: Ba, Kiros and Hinton, "Layer Normalization", https://arxiv.org/abs/1607.06450.
    """
    axes = trailing("layer_norm", x, axis)
    wide = widened("layer_norm", x, len(axes), epsilon=epsilon, scale=scale, bias=bias)
    return affine(standardise(wide, axes, epsilon), scale, bias).astype(x.dtype)


def rms_norm(x: jax.Array, scale: jax.Array | None = None, *, epsilon: float = 1e-6) -> jax.Array:
    """Divides the last axis by its root mean square: `y = x / sqrt(mean(x^2) + epsilon) * scale`.

    Args:
      x: input, `(..., features)`, floating point.
      scale: `(features,)`.
      epsilon: what keeps the root away from zero.

    Returns:
      An array like `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `scale` is not as long as the last axis of `x`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.rms_norm(jnp.array([-3.0, 3.0]), epsilon=0).round(5).tolist()
      [-1.0, 1.0]

    Source: Zhang and Sennrich, "Root Mean Square Layer Normalization", https://arxiv.org/abs/1910.07467.
    """
    wide = widened("rms_norm", x, epsilon=epsilon, scale=scale)
    y = wide * jax.lax.rsqrt(jnp.square(wide).mean(-1, keepdims=True) + epsilon)
    return affine(y, scale, None).astype(x.dtype)


def check_axis(name: str, axis: int | Sequence[int]) -> None:
    """Raises ValueError unless an input may have these as its trailing axes."""
    axes = _check.axes(name, axis=axis)
    if max(axes) < 0 and min(axes) != -len(axes):
        raise ValueError(f"{name}: axis must name trailing axes, such as -1 or (-2, -1), got {axis!r}")


def trailing(name: str, x: jax.Array, axis: int | Sequence[int]) -> tuple[int, ...]:
    """The axes as negative numbers, in order; raises ValueError unless they are the last of `x`."""
    ndim = len(x.shape)
    given = tuple(axis) if isinstance(axis, Sequence) else (axis,)
    axes = tuple(range(-len(given), 0))
    if sorted(a - ndim if a >= 0 else a for a in given) != list(axes) or not 0 < len(given) <= max(ndim, 1):
        raise ValueError(f"{name}: axis must name trailing axes, such as -1 or (-2, -1), got {axis} for {_check.describe(x)}")
    return axes
