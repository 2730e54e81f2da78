"""Divergences between distributions along an axis other than Kullback and Leibler's."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import divisor, root
from jdl.functional._reduce import Reduction, reduce
from jdl.losses._divergence import checked, log_where_positive, relative_entropy


def jensen_shannon(
    log_probabilities: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Mean divergence of both from their mixture: `(KL(t || m) + KL(q || m)) / 2`, with `m = (t + q) / 2`.

    Symmetric, and at most `log 2`, also where one is 0 and the other is not.

    Args:
      log_probabilities: logarithms of predictions `q`; they may be `-inf`.
      targets: probabilities `t` of the same shape; they may be 0.
      where, weights, reduction: as in every loss, see `jdl.losses`.
      axis: the axis of outcomes.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      ValueError: if shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> f"{losses.jensen_shannon(jnp.array([0.0, -jnp.inf]), jnp.array([0.0, 1.0])):.4f}"
      '0.6931'

    Source: Lin, "Divergence Measures Based on the Shannon Entropy", https://doi.org/10.1109/18.61115.
    """
    log_probabilities, targets = checked("jensen_shannon", targets, log_probabilities=log_probabilities)
    shares = jnp.exp(log_probabilities)
    mixed = log_where_positive((targets + shares) / 2)
    both = relative_entropy(targets, log_where_positive(targets), mixed) + relative_entropy(shares, log_probabilities, mixed)
    return reduce("jensen_shannon", both.sum(axis) / 2, where, weights, reduction)


def renyi(
    log_probabilities: jax.Array,
    targets: jax.Array,
    *,
    alpha: float | jax.Array,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Divergence of order alpha of predictions from targets: `log(sum_c t_c^alpha q_c^(1 - alpha)) / (alpha - 1)`.

    It grows with alpha: at 0 only the support of the targets counts, at 1 it is `kl_divergence` (the limit, which is what it gives
    there), and beyond, outcomes that predictions make too rare weigh more and more.

    Args:
      log_probabilities: logarithms of predictions `q`, finite.
      targets: probabilities `t` of the same shape; they may be 0, and sum to 1 (or are scaled to).
      alpha: the order, at least 0; may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`.
      axis: the axis of outcomes.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      ValueError: if shapes differ or `alpha` is negative.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> half = jnp.log(jnp.array([0.5, 0.5]))
      >>> [f"{losses.renyi(half, jnp.array([0.75, 0.25]), alpha=alpha):.4f}" for alpha in (1.0, 2.0)]
      ['0.1308', '0.2231']

    Source: van Erven and Harremoes, "Renyi Divergence and Kullback-Leibler Divergence", https://arxiv.org/abs/1206.2459.
    """
    _check.within("renyi", 0, float("inf"), alpha=alpha)
    log_probabilities, targets = checked("renyi", targets, log_probabilities=log_probabilities)
    some, total = targets > 0, targets.sum(axis)
    log_targets = log_where_positive(targets)
    excess = jnp.asarray(alpha, targets.dtype) - 1
    tilt = jnp.where(some, excess * (log_targets - log_probabilities), 0)
    near = (jnp.abs(tilt) < 1).all(axis, keepdims=True)  # where the logarithm of the sum is small, this keeps its digits
    small = jnp.log1p((targets * jnp.expm1(jnp.where(near, tilt, 0))).sum(axis) / total)
    large = jax.nn.logsumexp(log_targets + tilt, axis, where=some) - jnp.log(total)
    limit = relative_entropy(targets, log_targets, log_probabilities).sum(axis) / total
    values = jnp.where(excess == 0, limit, jnp.where(near.squeeze(axis), small, large) / divisor(excess))
    return reduce("renyi", values, where, weights, reduction)


def hellinger(
    log_probabilities: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Distance between the roots of distributions: `sqrt(sum_c (sqrt t_c - sqrt q_c)^2 / 2)`, from 0 to 1.

    Args:
      log_probabilities: logarithms of predictions `q`; they may be `-inf`.
      targets: probabilities `t` of the same shape; they may be 0.
      where, weights, reduction: as in every loss, see `jdl.losses`.
      axis: the axis of outcomes.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least. Its gradient is 0 where both agree.

    Raises:
      ValueError: if shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.hellinger(jnp.array([0.0, -jnp.inf]), jnp.array([0.0, 1.0])).item()
      1.0

    Source: Hellinger, "Neue Begründung der Theorie quadratischer Formen von unendlichvielen Veränderlichen",
    https://doi.org/10.1515/crll.1909.136.210.
    """
    log_probabilities, targets = checked("hellinger", targets, log_probabilities=log_probabilities)
    squares = jnp.square(root(targets) - jnp.exp(log_probabilities / 2))
    return reduce("hellinger", root(squares.sum(axis) / 2), where, weights, reduction)


def total_variation_distance(
    log_probabilities: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Largest difference in the probability of any event: `sum_c |t_c - q_c| / 2`, from 0 to 1.

    Args:
      log_probabilities: logarithms of predictions `q`; they may be `-inf`.
      targets: probabilities `t` of the same shape; they may be 0.
      where, weights, reduction: as in every loss, see `jdl.losses`.
      axis: the axis of outcomes.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      ValueError: if shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.total_variation_distance(jnp.log(jnp.array([0.5, 0.5])), jnp.array([0.75, 0.25])).item()
      0.25
    """
    log_probabilities, targets = checked("total_variation_distance", targets, log_probabilities=log_probabilities)
    values = jnp.abs(targets - jnp.exp(log_probabilities)).sum(axis) / 2
    return reduce("total_variation_distance", values, where, weights, reduction)
