"""A term that keeps logits near 0."""

import jax

from jdl.functional._numbers import widen
from jdl.functional._reduce import Reduction, reduce


def z_loss(
    logits: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Squares the logarithm of softmax's normaliser: `log(sum_c exp(z_c))^2`.

    Added to cross-entropy times 1e-4 or so, it keeps logits from drifting away, which low precision suffers from. It has no
    targets.

    Args:
      logits: unnormalised scores, with classes along `axis`.
      where, weights, reduction: as in every loss, see `jdl.losses`.
      axis: the axis of classes.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> f"{losses.z_loss(jnp.zeros((1, 4))) / jnp.log(4.0) ** 2:.4f}"
      '1.0000'

    Source: Zoph et al., "ST-MoE: Designing Stable and Transferable Sparse Expert Models", https://arxiv.org/abs/2202.08906.
    """
    return reduce("z_loss", jax.nn.logsumexp(widen(logits), axis) ** 2, where, weights, reduction)
