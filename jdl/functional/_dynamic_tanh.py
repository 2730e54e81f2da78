"""What can stand in for a norm: a squashing function that learns its steepness."""

import jax
import jax.numpy as jnp

from jdl.functional._standardise import affine, widened


def dynamic_tanh(
    x: jax.Array, alpha: float | jax.Array, scale: jax.Array | None = None, bias: jax.Array | None = None
) -> jax.Array:
    """Squashes every entry by itself, in place of a layer norm: `y = tanh(alpha x) * scale + bias`.

    Args:
      x: input, `(..., features)`, floating point.
      alpha: steepness, a scalar.
      scale: `(features,)`.
      bias: `(features,)`.

    Returns:
      An array like `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `alpha` is not a scalar, or `scale` or `bias` is not as long as the last axis of `x`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.dynamic_tanh(jnp.array([0.0, 100.0]), 0.5, bias=jnp.array([1.0, 2.0])).tolist()
      [1.0, 3.0]

    Source: Zhu et al., "Transformers without Normalization", https://arxiv.org/abs/2503.10622.
    """
    wide = widened("dynamic_tanh", x, scale=scale, bias=bias)
    if jnp.ndim(alpha):
        raise ValueError(f"dynamic_tanh: alpha must be a scalar, got shape {list(jnp.shape(alpha))}")
    return affine(jnp.tanh(wide * jnp.asarray(alpha, wide.dtype)), scale, bias).astype(x.dtype)
