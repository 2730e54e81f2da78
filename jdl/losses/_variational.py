"""What a variational autoencoder minimises."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._reduce import Reduction, reduce


def negative_elbo(
    reconstruction: jax.Array,
    latents: tuple[jax.Array, jax.Array],
    *,
    beta: float | jax.Array = 1.0,
    free_bits: float | jax.Array = 0.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Minus the evidence lower bound: `reconstruction + beta sum_j max(free_bits, KL_j)`, the loss of a variational autoencoder.

    `KL_j = (mean_j^2 + exp(log_variance_j) - 1 - log_variance_j) / 2` is the divergence of a latent's normal distribution from the
    standard one.

    Args:
      reconstruction: what each sample's reconstruction costs, (batch, ...): minus its log-likelihood, summed over all it is made
        of, such as `binary_cross_entropy(logits, images, reduction="none").sum((1, 2, 3))`.
      latents: `(mean, log_variance)` of the encoder's distribution, both (batch, ..., latents). A log-variance above 88 overflows
        float32.
      beta: what the divergence counts, at least 0; may be traced.
      free_bits: nats that each latent of each sample may cost before it is pressed, at least 0; may be traced. (The paper
        averages over the batch first.)
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if an array is not floating point.
      ValueError: if shapes don't fit, or `beta` or `free_bits` is a negative number.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.negative_elbo(jnp.array([5.0]), (jnp.array([[0.0, 2.0]]), jnp.zeros((1, 2)))).item()
      7.0

    Source: Kingma and Welling, "Auto-Encoding Variational Bayes", https://arxiv.org/abs/1312.6114; beta, Higgins et al.,
    "beta-VAE", https://openreview.net/forum?id=Sy2fzU9gl; free bits, Kingma et al., "Improving Variational Inference with Inverse
    Autoregressive Flow", https://arxiv.org/abs/1606.04934.
    """
    _check.within("negative_elbo", 0, float("inf"), beta=beta, free_bits=free_bits)
    cost = widen(_check.floating("negative_elbo", reconstruction, "reconstruction"))
    mean, log_variance = (widen(_check.floating("negative_elbo", x, "latents")) for x in latents)
    _check.same_shape("negative_elbo", mean=mean, log_variance=log_variance)
    if mean.shape[:-1] != cost.shape or not mean.ndim:
        takes = f"latents must be {list(cost.shape)} with an axis of latents"
        raise ValueError(f"negative_elbo: {takes}, got {_check.describe(mean)}")
    divergence = jnp.maximum(_to_standard_normal(mean, log_variance), free_bits).sum(-1)
    return reduce("negative_elbo", cost + beta * divergence, where, weights, reduction)


def _to_standard_normal(mean: jax.Array, log_variance: jax.Array) -> jax.Array:
    """The Kullback-Leibler divergence of a normal distribution to the standard one."""
    return (jnp.square(mean) + jnp.expm1(log_variance) - log_variance) / 2
