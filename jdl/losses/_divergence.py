"""Kullback-Leibler divergences between distributions along an axis."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._reduce import Reduction, reduce
from jdl.losses._probabilities import bounded_log


def relative_entropy(p: jax.Array, log_p: jax.Array, log_q: jax.Array) -> jax.Array:
    """Gives `p (log p - log q)`, and where `p` is 0, value and gradient 0, whatever the logarithms are there."""
    some = p > 0
    return jnp.where(some, p * (jnp.where(some, log_p, 0) - jnp.where(some, log_q, 0)), 0)


def log_where_positive(x: jax.Array) -> jax.Array:
    """The logarithm, and 0 where that would be infinite: for terms that don't count there."""
    return jnp.log(jnp.where(x > 0, x, 1))


def checked(name: str, targets: Any, **predictions: Any) -> tuple[jax.Array, jax.Array]:
    """The named predictions in float32 at least, and targets of that dtype; raises unless both have one shape."""
    targets = _check.array(targets)
    _check.same_shape(name, **predictions, targets=targets)
    (given,) = predictions.values()
    wide = widen(given)
    return wide, jnp.asarray(targets, wide.dtype)


def kl_divergence(
    log_probabilities: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Kullback-Leibler divergence of predictions from targets, `KL(targets || predictions) = sum_c t_c (log t_c - log q_c)`.

    It is cross-entropy less the entropy of the targets: 0 where both agree. Predictions cover all that targets do.

    Args:
      log_probabilities: logarithms of predictions `q`; where one is `-inf` and the target is not 0, the divergence is infinite.
      targets: probabilities of the same shape; they may be 0. For their logarithms, see `kl_divergence_with_log_targets`.
      where, weights, reduction: as in every loss, see `jdl.losses`; a mean is over samples (`"batchmean"` of PyTorch).
      axis: the axis of outcomes.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      ValueError: if shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> f"{losses.kl_divergence(jnp.log(jnp.array([0.5, 0.5])), jnp.array([1.0, 0.0])):.4f}"
      '0.6931'

    Source: Kullback and Leibler, "On Information and Sufficiency", https://doi.org/10.1214/aoms/1177729694.
    """
    log_probabilities, targets = checked("kl_divergence", targets, log_probabilities=log_probabilities)
    values = relative_entropy(targets, log_where_positive(targets), log_probabilities).sum(axis)
    return reduce("kl_divergence", values, where, weights, reduction)


def kl_divergence_with_log_targets(
    log_probabilities: jax.Array,
    log_targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Kullback-Leibler divergence from targets given as logarithms: `sum_c t_c (log t_c - log q_c)`.

    Args:
      log_probabilities: logarithms of predictions `q`; where one is `-inf` and the target is not 0, the divergence is infinite.
      log_targets: logarithms of targets `t`, of the same shape; they may be `-inf`.
      where, weights, reduction: as in every loss, see `jdl.losses`; a mean is over samples (`"batchmean"` of PyTorch).
      axis: the axis of outcomes.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      ValueError: if shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> certain = jnp.array([0.0, -jnp.inf])
      >>> f"{losses.kl_divergence_with_log_targets(jnp.log(jnp.array([0.5, 0.5])), certain):.4f}"
      '0.6931'
    """
    name = "kl_divergence_with_log_targets"
    log_probabilities, log_targets = checked(name, log_targets, log_probabilities=log_probabilities)
    values = relative_entropy(jnp.exp(log_targets), log_targets, log_probabilities).sum(axis)
    return reduce(name, values, where, weights, reduction)


def kl_divergence_from_logits(
    logits: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Kullback-Leibler divergence of the softmax of logits from targets: `sum_c t_c (log t_c - log softmax(logits)_c)`.

    Its gradient is that of `cross_entropy`, and its value is 0 where both agree. Where the targets are logits too, see
    `distillation`.

    Args:
      logits: unnormalised scores, with classes along `axis`.
      targets: probabilities of the same shape; they may be 0.
      where, weights, reduction: as in every loss, see `jdl.losses`.
      axis: the axis of classes.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      ValueError: if shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> f"{losses.kl_divergence_from_logits(jnp.zeros(2), jnp.array([1.0, 0.0])):.4f}"
      '0.6931'
    """
    logits, targets = checked("kl_divergence_from_logits", targets, logits=logits)
    values = relative_entropy(targets, log_where_positive(targets), jax.nn.log_softmax(logits, axis)).sum(axis)
    return reduce("kl_divergence_from_logits", values, where, weights, reduction)


def generalized_kl_divergence(
    log_predictions: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Kullback-Leibler divergence of measures that need not sum to 1: `sum_c t_c (log t_c - log q_c) - t_c + q_c`.

    For counts, intensities and spectra, also known as I-divergence; it is at least 0, and 0 only where both agree.

    Args:
      log_predictions: logarithms of predictions `q`; where one is `-inf` and the target is not 0, the divergence is infinite.
      targets: at least 0, of the same shape.
      where, weights, reduction: as in every loss, see `jdl.losses`.
      axis: the axis that is summed over.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      ValueError: if shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.generalized_kl_divergence(jnp.zeros(2), jnp.array([1.0, 0.0])).item()
      1.0
    """
    log_predictions, targets = checked("generalized_kl_divergence", targets, log_predictions=log_predictions)
    shared = relative_entropy(targets, log_where_positive(targets), log_predictions)
    return reduce("generalized_kl_divergence", (shared - targets + jnp.exp(log_predictions)).sum(axis), where, weights, reduction)


def reverse_kl(
    log_probabilities: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Kullback-Leibler divergence of targets from predictions, `KL(predictions || targets) = sum_c q_c (log q_c - log t_c)`.

    Predictions settle on one of the modes of the targets, and keep off what has no probability there. Below 1e-12 the logarithm of
    targets is continued along its tangent, so that a target of 0 costs 28.6 for each unit of probability, and not infinitely much.

    Args:
      log_probabilities: logarithms of predictions `q`; they may be `-inf`.
      targets: probabilities of the same shape.
      where, weights, reduction: as in every loss, see `jdl.losses`.
      axis: the axis of outcomes.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      ValueError: if shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> f"{losses.reverse_kl(jnp.array([0.0, -jnp.inf]), jnp.array([0.5, 0.5])):.4f}"
      '0.6931'
    """
    log_probabilities, targets = checked("reverse_kl", targets, log_probabilities=log_probabilities)
    values = relative_entropy(jnp.exp(log_probabilities), log_probabilities, bounded_log(targets)).sum(axis)
    return reduce("reverse_kl", values, where, weights, reduction)


def gaussian_kl(
    predictions: tuple[jax.Array, jax.Array],
    targets: tuple[jax.Array, jax.Array] | None = None,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Kullback-Leibler divergence `KL(predictions || targets)` between normal distributions with independent entries.

    For each entry, with means `m`, `n` and log-variances `a`, `b`: `(exp(a - b) - 1 - (a - b) + (m - n)^2 exp(-b)) / 2`, summed
    along `axis`. Without targets, from the standard normal distribution, as in a variational autoencoder.

    Args:
      predictions: mean and logarithm of the variance (below 88, or its exponential is too large for float32), of one shape.
      targets: the same of the other distribution; the standard normal if not given.
      where, weights, reduction: as in every loss, see `jdl.losses`.
      axis: the axis of entries.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      ValueError: if shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.gaussian_kl((jnp.array([1.0, -1.0]), jnp.zeros(2))).item()
      1.0
      >>> losses.gaussian_kl((jnp.array([1.0, -1.0]), jnp.zeros(2)), (jnp.array([1.0, 1.0]), jnp.zeros(2))).item()
      2.0

    Source: Kingma and Welling, "Auto-Encoding Variational Bayes", https://arxiv.org/abs/1312.6114.
    """
    mean, log_variance = predictions
    other, other_log_variance = (jnp.zeros_like(mean), jnp.zeros_like(log_variance)) if targets is None else targets
    arrays = {"mean": mean, "log_variance": log_variance, "target mean": other, "target log_variance": other_log_variance}
    _check.same_shape("gaussian_kl", **arrays)
    mean, log_variance, other, other_log_variance = (widen(jnp.asarray(x)) for x in arrays.values())
    ratio = log_variance - other_log_variance
    values = (jnp.expm1(ratio) - ratio + jnp.square(mean - other) * jnp.exp(-other_log_variance)) / 2
    return reduce("gaussian_kl", values.sum(axis), where, weights, reduction)
