"""Weight normalisation."""

import jax
import jax.numpy as jnp

from jdl.functional import _kernel
from jdl.functional._numbers import root


def weight_norm(direction: jax.Array, scale: jax.Array) -> jax.Array:
    """Makes a kernel whose weights into output `o` have the norm `scale[o]`: `w = scale * v / |v|`.

    Norms are over all axes but the last. A direction of zeros gives zeros, with gradients of zero.

    Args:
      direction: v, `(..., out)`, floating point.
      scale: `(out,)`, g in the paper.

    Returns:
      An array like `direction`; computed in float32 at least.

    Raises:
      TypeError: if `direction` is not floating point.
      ValueError: if `scale` has another size than the last axis of `direction`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.weight_norm(jnp.array([[3.0], [4.0]]), jnp.array([10.0])).ravel().round(4).tolist()
      [6.0, 8.0]

    Source: Salimans and Kingma, "Weight Normalization", https://arxiv.org/abs/1602.07868.
    """
    v = _kernel.matrix("weight_norm", direction, "direction")
    scale = _kernel.per_output("weight_norm", "scale", scale, direction)
    norm = output_norm(direction)
    factor = jnp.where(norm > 0, scale / jnp.where(norm > 0, norm, 1), 0)
    return _kernel.like(direction, v * factor)


def output_norm(kernel: jax.Array) -> jax.Array:
    """The norm of the weights into each output, `(1, out)`; its gradient at 0 is 0."""
    return root(jnp.square(_kernel.matrix("weight_norm", kernel)).sum(0, keepdims=True))
