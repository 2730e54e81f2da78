"""Losses of generative adversarial networks whose scores are no probabilities: a critic's.

Discriminator losses take scores of real and of generated samples, generator losses scores of generated samples: there are no other
targets. The networks are the caller's business, and so is which of the two a gradient is taken for.
"""

import jax

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._reduce import Reduction, reduce
from jdl.losses._gan import both


def hinge_discriminator(
    real: jax.Array,
    fake: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Wants real scores above 1 and generated ones under -1: `max(0, 1 - real) + max(0, 1 + fake)`.

    Args:
      real: scores of real samples, of any shape, floating point.
      fake: scores of generated samples, of the same shape: the loss is of one real and one generated sample each.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `real`; of float32 at least.

    Raises:
      TypeError: if scores are not floating point.
      ValueError: if shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.hinge_discriminator(jnp.array([2.0, 0.5]), jnp.array([-2.0, 1.0])).item()
      1.25

    Source: Miyato et al., "Spectral Normalization for Generative Adversarial Networks", https://arxiv.org/abs/1802.05957.
    """
    real, fake = both("hinge_discriminator", real, fake)
    return reduce("hinge_discriminator", jax.nn.relu(1 - real) + jax.nn.relu(1 + fake), where, weights, reduction)


def hinge_generator(
    fake: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Raises the scores of generated samples: `-fake`.

    Args:
      fake: scores of generated samples, of any shape, floating point.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `fake`; of float32 at least.

    Raises:
      TypeError: if scores are not floating point.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.hinge_generator(jnp.array([3.0])).item()
      -3.0

    Source: Miyato et al., "Spectral Normalization for Generative Adversarial Networks", https://arxiv.org/abs/1802.05957.
    """
    fake = widen(_check.floating("hinge_generator", fake, "fake"))
    return reduce("hinge_generator", -fake, where, weights, reduction)


def wasserstein_discriminator(
    real: jax.Array,
    fake: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Raises real scores over generated ones: `fake - real`, whose mean is minus a lower bound of the Wasserstein distance.

    That holds for a critic whose slope is at most 1, which `gradient_penalty` or `functional.spectral_norm` sees to.

    Args:
      real: scores of real samples, of any shape, floating point.
      fake: scores of generated samples, of the same shape: the loss is of one real and one generated sample each.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `real`; of float32 at least.

    Raises:
      TypeError: if scores are not floating point.
      ValueError: if shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.wasserstein_discriminator(jnp.array([3.0]), jnp.array([1.0])).item()
      -2.0

    Source: Arjovsky et al., "Wasserstein GAN", https://arxiv.org/abs/1701.07875.
    """
    real, fake = both("wasserstein_discriminator", real, fake)
    return reduce("wasserstein_discriminator", fake - real, where, weights, reduction)


def wasserstein_generator(
    fake: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Raises the scores of generated samples: `-fake`.

    Args:
      fake: scores of generated samples, of any shape, floating point.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `fake`; of float32 at least.

    Raises:
      TypeError: if scores are not floating point.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.wasserstein_generator(jnp.array([3.0])).item()
      -3.0

    Source: Arjovsky et al., "Wasserstein GAN", https://arxiv.org/abs/1701.07875.
    """
    fake = widen(_check.floating("wasserstein_generator", fake, "fake"))
    return reduce("wasserstein_generator", -fake, where, weights, reduction)
