"""Penalties on how steep a critic is, which keep adversarial training stable."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import root, widen
from jdl.functional._reduce import Reduction, reduce


def gradient_penalty(
    key: jax.Array,
    critic: Callable[[jax.Array], jax.Array],
    real: jax.Array,
    fake: jax.Array,
    *,
    target: float | jax.Array = 1.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Wants a slope of `target` between real and generated samples: `(|d critic(x) / dx| - target)^2` at random points between.

    The paper adds 10 times this to `wasserstein_discriminator`. The critic must score each sample by itself: no batch norm.

    Args:
      key: of the points, one for each pair of samples, uniform on the line between.
      critic: from samples, in float32 at least, to scores, (batch,) or (batch, ...).
      real: samples (batch, ...), floating point.
      fake: generated samples of the same shape.
      target: the length that gradients should have, at least 0; may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` one number for each pair of samples; of float32 at least.

    Raises:
      TypeError: if samples are not floating point.
      ValueError: if shapes differ, the critic does not score each sample, or `target` is a negative number.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> critic = lambda x: 3 * x.sum(1)
      >>> losses.gradient_penalty(jax.random.key(0), critic, jnp.ones((2, 1)), jnp.zeros((2, 1))).item()
      4.0

    Source: Gulrajani et al., "Improved Training of Wasserstein GANs", https://arxiv.org/abs/1704.00028.
    """
    _check.within("gradient_penalty", 0, float("inf"), target=target)
    real, fake = _check.floating("gradient_penalty", real, "real"), _check.floating("gradient_penalty", fake, "fake")
    _check.same_shape("gradient_penalty", real=real, fake=fake)
    real, fake = widen(real), widen(fake)
    share = jax.random.uniform(key, (*real.shape[:1], *(1,) * (real.ndim - 1)), real.dtype)
    slopes = root(_squared_slopes("gradient_penalty", critic, share * real + (1 - share) * fake))
    return reduce("gradient_penalty", jnp.square(slopes - target), where, weights, reduction)


def r1_penalty(
    critic: Callable[[jax.Array], jax.Array],
    real: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Wants no slope at real samples: `|d critic(x) / dx|^2`, which the paper adds `gamma / 2` times, such as 5.

    The critic must score each sample by itself: no batch norm.

    Args:
      critic: from samples, in float32 at least, to scores, (batch,) or (batch, ...).
      real: samples (batch, ...), floating point.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if samples are not floating point.
      ValueError: if the critic does not score each sample.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.r1_penalty(lambda x: 3 * x.sum(1), jnp.ones((2, 1))).item()
      9.0

    Source: Mescheder et al., "Which Training Methods for GANs do actually Converge?", https://arxiv.org/abs/1801.04406.
    """
    real = widen(_check.floating("r1_penalty", real, "real"))
    return reduce("r1_penalty", _squared_slopes("r1_penalty", critic, real), where, weights, reduction)


def _squared_slopes(name: str, critic: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
    """The squared length of the gradient of each sample's score by the sample."""

    def total(x: jax.Array) -> jax.Array:
        scores = critic(x)
        if not x.ndim or scores.shape[:1] != x.shape[:1]:
            raise ValueError(f"{name}: critic must score each sample of {_check.describe(x)}, got {_check.describe(scores)}")
        return widen(scores).sum()

    return jnp.square(jax.grad(total)(x)).sum(range(1, x.ndim))
