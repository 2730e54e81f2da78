"""Weight standardisation."""

import jax

from jdl.functional import _check, _kernel
from jdl.functional._batch_norm import batch_norm, moments


def weight_standardization(kernel: jax.Array, *, epsilon: float = 1e-5) -> jax.Array:
    """Brings the weights into every output to mean 0 and variance 1: `(w - mean(w)) / sqrt(var(w) + epsilon)`.

    Moments are over all axes but the last.

    Args:
      kernel: `(..., out)`, floating point.
      epsilon: what keeps the root away from zero.

    Returns:
      An array like `kernel`; computed in float32 at least.

    Raises:
      TypeError: if `kernel` is not floating point.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.weight_standardization(jnp.array([[1.0], [3.0]]), epsilon=0).ravel().tolist()
      [-1.0, 1.0]

    Source: Qiao et al., "Micro-Batch Training with Batch-Channel Normalization and Weight Standardization",
    https://arxiv.org/abs/1903.10520.
    """
    _check.within("weight_standardization", 0, float("inf"), epsilon=epsilon)
    w = _kernel.matrix("weight_standardization", kernel)
    return _kernel.like(kernel, batch_norm(w, *moments(w), epsilon=epsilon))
