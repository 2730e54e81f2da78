"""Losses that wrong labels spoil less than cross-entropy."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import divisor, widen
from jdl.functional._reduce import Reduction, reduce
from jdl.losses._labels import at_labels, class_labels, integer_labels


def generalized_cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    *,
    q: float | jax.Array = 0.7,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Goes from cross-entropy to absolute error: `sum_c t_c (1 - p_c^q) / q`, with `p = softmax(logits)` and labels `t`.

    For labels of which some are wrong: it is bounded, so none of them weighs much.

    Args:
      logits: unnormalised scores, with classes along `axis`.
      labels: integers or probabilities, as in `cross_entropy`.
      q: in [0, 1]; 0 is cross-entropy (the limit), 1 is `1 - p_label`; may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`.
      axis: the axis of classes.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if labels are neither integers of the shape of samples nor floats of the shape of logits.
      ValueError: if shapes don't fit or a value is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.generalized_cross_entropy(jnp.zeros((1, 4)), jnp.array([0]), q=0.5).item()
      1.0

    Source: Zhang and Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels",
    https://arxiv.org/abs/1805.07836.
    """
    _check.within("generalized_cross_entropy", 0, 1, q=q)
    logits = widen(jnp.moveaxis(logits, axis, -1))
    labels = class_labels("generalized_cross_entropy", labels, logits, axis)
    log_shares = jax.nn.log_softmax(logits, -1)
    q = jnp.asarray(q, logits.dtype)
    each = jnp.where(q == 0, -log_shares, -jnp.expm1(q * log_shares) / divisor(q))
    return reduce("generalized_cross_entropy", at_labels(each, labels), where, weights, reduction)


def symmetric_cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    *,
    alpha: float | jax.Array = 0.1,
    beta: float | jax.Array = 1.0,
    log_zero: float | jax.Array = -4.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Adds cross-entropy in reverse, of labels under predictions: `-alpha log p_label - beta log_zero (1 - p_label)`.

    The second term is `-sum_c p_c log t_c` for labels `t` that are 1 or 0, with the logarithm of 0 cut off. For labels of which
    some are wrong.

    Args:
      logits: unnormalised scores, with classes along `axis`.
      labels: integers in 0..classes-1, of the shape of `logits` without `axis`. Integers out of range are an error where the host
        sees them, and give NaN under jit.
      alpha: at least 0, the share of cross-entropy, which converges well; may be traced.
      beta: at least 0, the share of its reverse, which is robust; may be traced.
      log_zero: at most 0, what the logarithm of 0 counts as; may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`.
      axis: the axis of classes.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if labels are not integers of the shape of samples.
      ValueError: if shapes don't fit or a value is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.symmetric_cross_entropy(jnp.zeros((1, 4)), jnp.array([0]), alpha=0).item()
      3.0

    Source: Wang et al., "Symmetric Cross Entropy for Robust Learning with Noisy Labels", https://arxiv.org/abs/1908.06112.
    """
    _check.within("symmetric_cross_entropy", 0, float("inf"), alpha=alpha, beta=beta)
    _check.within("symmetric_cross_entropy", -float("inf"), 0, log_zero=log_zero)
    logits = widen(jnp.moveaxis(logits, axis, -1))
    log_share = at_labels(jax.nn.log_softmax(logits, -1), integer_labels("symmetric_cross_entropy", labels, logits))
    values = -alpha * log_share + beta * log_zero * jnp.expm1(log_share)
    return reduce("symmetric_cross_entropy", values, where, weights, reduction)
