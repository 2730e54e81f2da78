"""Scale and shift that come from elsewhere, as a condition gives them."""

import jax
import jax.numpy as jnp

from jdl.functional import _check


def modulate(x: jax.Array, scale: jax.Array, shift: jax.Array) -> jax.Array:
    """Scales and shifts features, sample by sample: `y = x * (1 + scale) + shift`. Zeros leave `x` as it is.

    Args:
      x: input, `(batch, ..., features)`, floating point.
      scale: `(batch, features)`, the same at all places of a sample; or with more of the leading axes of `x`.
      shift: likewise.

    Returns:
      An array like `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if the features or leading axes of `scale` or `shift` are not those of `x`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.modulate(jnp.array([[1.0, 2.0]]), jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 5.0]])).tolist()
      [[2.0, 7.0]]

    Source: Perez et al., "FiLM: Visual Reasoning with a General Conditioning Layer", https://arxiv.org/abs/1709.07871.
    """
    x = _check.floating("modulate", x)
    return x * (1 + per_sample("modulate", "scale", scale, x)) + per_sample("modulate", "shift", shift, x)


def per_sample(name: str, what: str, weight: jax.Array, x: jax.Array) -> jax.Array:
    """`(batch, ..., features)` of fewer axes than `x` has, made to fit it, in its dtype."""
    leading = weight.ndim - 1
    if not 1 <= leading < x.ndim or weight.shape != (*x.shape[:leading], x.shape[-1]):
        raise ValueError(f"{name}: {what} must be (batch, features) of {_check.describe(x)}, got {_check.describe(weight)}")
    return jnp.expand_dims(weight.astype(x.dtype), range(leading, x.ndim - 1))
