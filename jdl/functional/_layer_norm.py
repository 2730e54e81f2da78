"""Normalisation of every sample by its own features."""

import jax
import jax.numpy as jnp

from jdl.functional import _check


def layer_norm(x: jax.Array, scale: jax.Array | None = None, bias: jax.Array | None = None, *, epsilon: float = 1e-5) -> jax.Array:
    """Normalises the last axis to mean 0 and variance 1: `y = (x - mean(x)) / sqrt(var(x) + epsilon) * scale + bias`.

    Args:
      x: input, `(..., features)`, floating point.
      scale: `(features,)`.
      bias: `(features,)`.
      epsilon: what keeps the root away from zero.

    Returns:
      An array like `x`; computed in float32 at least, the variance in two passes.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `scale` or `bias` is not as long as the last axis of `x`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.layer_norm(jnp.array([1.0, 3.0]), epsilon=0).tolist()
      [-1.0, 1.0]

    Source: Ba, Kiros and Hinton, "Layer Normalization", https://arxiv.org/abs/1607.06450.
    """
    wide = _widened("layer_norm", x, scale=scale, bias=bias)
    centred = wide - wide.mean(-1, keepdims=True)
    y = centred * jax.lax.rsqrt(jnp.square(centred).mean(-1, keepdims=True) + epsilon)
    return _affine(y, scale, bias).astype(x.dtype)


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
    wide = _widened("rms_norm", x, scale=scale)
    y = wide * jax.lax.rsqrt(jnp.square(wide).mean(-1, keepdims=True) + epsilon)
    return _affine(y, scale, None).astype(x.dtype)


def _widened(name: str, x: jax.Array, **weights: jax.Array | None) -> jax.Array:
    x = _check.floating(name, x)
    _check.rank(name, x, range(1, 65), "(..., features)")
    for key, weight in weights.items():
        if weight is not None and weight.shape != x.shape[-1:]:
            raise ValueError(f"{name}: {key} is for {weight.size} features, x is {_check.describe(x)}")
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _affine(y: jax.Array, scale: jax.Array | None, bias: jax.Array | None) -> jax.Array:
    leading = range(y.ndim - 1)
    if scale is not None:
        y = y * jnp.expand_dims(scale.astype(y.dtype), leading)
    return y if bias is None else y + jnp.expand_dims(bias.astype(y.dtype), leading)
