"""Losses of generative adversarial networks whose discriminator tells real from generated.

Discriminator losses take scores of real and of generated samples, generator losses scores of generated samples: there are no other
targets. The networks are the caller's business, and so is which of the two a gradient is taken for.
"""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._reduce import Reduction, reduce


def minimax_discriminator(
    real: jax.Array,
    fake: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Cross-entropy of telling real from generated: `-log sigmoid(real) - log sigmoid(-fake)`.

    Args:
      real: unnormalised scores of real samples, of any shape, floating point.
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
      >>> losses.minimax_discriminator(jnp.array([100.0]), jnp.array([-100.0])).item()
      0.0

    Source: Goodfellow et al., "Generative Adversarial Networks", https://arxiv.org/abs/1406.2661.
    """
    real, fake = both("minimax_discriminator", real, fake)
    return reduce("minimax_discriminator", _tell(real, fake), where, weights, reduction)


def minimax_generator(
    fake: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """What the discriminator gains, as a loss: `log sigmoid(-fake)`.

    Where the discriminator is sure, its slope vanishes: use `non_saturating_generator` to train.

    Args:
      fake: unnormalised scores of generated samples, of any shape, floating point.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `fake`; of float32 at least.

    Raises:
      TypeError: if scores are not floating point.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.minimax_generator(jnp.array([100.0])).item()
      -100.0

    Source: Goodfellow et al., "Generative Adversarial Networks", https://arxiv.org/abs/1406.2661.
    """
    fake = widen(_check.floating("minimax_generator", fake, "fake"))
    return reduce("minimax_generator", -jax.nn.softplus(fake), where, weights, reduction)


def non_saturating_discriminator(
    real: jax.Array,
    fake: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Cross-entropy of telling real from generated, as `minimax_discriminator`: `-log sigmoid(real) - log sigmoid(-fake)`.

    Args:
      real: unnormalised scores of real samples, of any shape, floating point.
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
      >>> losses.non_saturating_discriminator(jnp.array([100.0]), jnp.array([-100.0])).item()
      0.0

    Source: Goodfellow et al., "Generative Adversarial Networks", https://arxiv.org/abs/1406.2661.
    """
    real, fake = both("non_saturating_discriminator", real, fake)
    return reduce("non_saturating_discriminator", _tell(real, fake), where, weights, reduction)


def non_saturating_generator(
    fake: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Cross-entropy of passing for real: `-log sigmoid(fake)`, steep where the discriminator is sure.

    Args:
      fake: unnormalised scores of generated samples, of any shape, floating point.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `fake`; of float32 at least.

    Raises:
      TypeError: if scores are not floating point.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.non_saturating_generator(jnp.array([-100.0])).item()
      100.0

    Source: Goodfellow et al., "Generative Adversarial Networks", https://arxiv.org/abs/1406.2661.
    """
    fake = widen(_check.floating("non_saturating_generator", fake, "fake"))
    return reduce("non_saturating_generator", jax.nn.softplus(-fake), where, weights, reduction)


def least_squares_discriminator(
    real: jax.Array,
    fake: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Squared distance to 1 for real and to 0 for generated: `(real - 1)^2 / 2 + fake^2 / 2`.

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
      >>> losses.least_squares_discriminator(jnp.array([1.0]), jnp.array([2.0])).item()
      2.0

    Source: Mao et al., "Least Squares Generative Adversarial Networks", https://arxiv.org/abs/1611.04076.
    """
    real, fake = both("least_squares_discriminator", real, fake)
    return reduce("least_squares_discriminator", (jnp.square(real - 1) + jnp.square(fake)) / 2, where, weights, reduction)


def least_squares_generator(
    fake: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Squared distance to 1, the score of what is real: `(fake - 1)^2 / 2`.

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
      >>> losses.least_squares_generator(jnp.array([3.0])).item()
      2.0

    Source: Mao et al., "Least Squares Generative Adversarial Networks", https://arxiv.org/abs/1611.04076.
    """
    fake = widen(_check.floating("least_squares_generator", fake, "fake"))
    return reduce("least_squares_generator", jnp.square(fake - 1) / 2, where, weights, reduction)


def both(name: str, real: jax.Array, fake: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Scores of both kinds in float32 at least."""
    real, fake = _check.floating(name, real, "real"), _check.floating(name, fake, "fake")
    _check.same_shape(name, real=real, fake=fake)
    return widen(real), widen(fake)


def _tell(real: jax.Array, fake: jax.Array) -> jax.Array:
    return jax.nn.softplus(-real) + jax.nn.softplus(fake)
