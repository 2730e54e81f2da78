"""Smooth activations with a parameter."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen


def parametric_swish(x: jax.Array, beta: float | jax.Array) -> jax.Array:
    """Multiplies by a gate of given steepness: `y = x * sigmoid(beta * x)`; between x / 2 at `beta = 0` and relu at infinity.

    Args:
      x: input, `(..., channels)`, floating point.
      beta: a scalar, or `(channels,)`.

    Returns:
      An array like `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `beta` is neither a scalar nor as long as the last axis of `x`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.parametric_swish(jnp.array([-4.0, 4.0]), jnp.array(0.0)).tolist()
      [-2.0, 2.0]

    Source: Ramachandran, Zoph and Le, "Searching for Activation Functions", https://arxiv.org/abs/1710.05941.
    """
    x = _check.floating("parametric_swish", x)
    wide = widen(x)
    beta = _check.per_channel("parametric_swish", x, beta=beta).astype(wide.dtype)
    return (wide * jax.nn.sigmoid(beta * wide)).astype(x.dtype)


def snake(x: jax.Array, frequency: float | jax.Array) -> jax.Array:
    """Adds a wave, for periodic targets: `y = x + sin(frequency * x)^2 / frequency`.

    Args:
      x: input, `(..., channels)`, floating point.
      frequency: a scalar, or `(channels,)`; `a` in the paper. 0 returns `x`.

    Returns:
      An array like `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `frequency` is neither a scalar nor as long as the last axis of `x`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> f"{functional.snake(jnp.array(jnp.pi / 2), jnp.array(1.0)):.4f}"
      '2.5708'

    Source: Ziyin, Hartwig and Ueda, "Neural Networks Fail to Learn Periodic Functions and How to Fix It",
    https://arxiv.org/abs/2006.08195.
    """
    x = _check.floating("snake", x)
    wide = widen(x)
    phase = _check.per_channel("snake", x, frequency=frequency).astype(wide.dtype) * wide
    return (wide + wide * jnp.sin(phase) * jnp.sinc(phase / jnp.pi)).astype(x.dtype)  # sinc: no 0 / 0 where the frequency is 0
