"""Losses that weigh samples by how sure the prediction is already."""

import jax
import jax.numpy as jnp
import optax

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._reduce import Reduction, reduce
from jdl.losses._labels import at_labels, binary_labels, class_labels, integer_labels, masses, per_class


def focal(
    logits: jax.Array,
    labels: jax.Array,
    *,
    gamma: float | jax.Array = 2.0,
    alpha: float | jax.Array = 1.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Cross-entropy that counts easy samples less: `-alpha_label (1 - p_label)^gamma log p_label`, with `p = softmax(logits)`.

    For classes of very different frequency. A mean divides by the number of samples, whatever `alpha` is.

    Args:
      logits: unnormalised scores, with classes along `axis`.
      labels: integers in 0..classes-1, of the shape of `logits` without `axis`. Integers out of range are an error where the host
        sees them, and give NaN under jit.
      gamma: at least 0, how much less; 0 is cross-entropy; may be traced.
      alpha: at least 0, a number or one for each class.
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
      >>> f"{losses.focal(jnp.zeros((1, 2)), jnp.array([0])) / jnp.log(2.0):.4f}"
      '0.2500'

    Source: Lin et al., "Focal Loss for Dense Object Detection", https://arxiv.org/abs/1708.02002.
    """
    _check.within("focal", 0, float("inf"), gamma=gamma)
    logits = widen(jnp.moveaxis(logits, axis, -1))
    labels = integer_labels("focal", labels, logits)
    log_shares = jax.nn.log_softmax(logits, -1)
    of_label = jax.nn.one_hot(labels, logits.shape[-1], dtype=bool)
    log_rest = jax.nn.logsumexp(log_shares, -1, where=~of_label)  # of 1 - p, also where p rounds to 1
    values = -jnp.exp(gamma * log_rest) * at_labels(log_shares, labels) * masses(per_class("focal", logits, alpha=alpha), labels)
    return reduce("focal", values, where, weights, reduction)


def binary_focal(
    logits: jax.Array,
    labels: jax.Array,
    *,
    gamma: float | jax.Array = 2.0,
    alpha: float | jax.Array | None = None,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Binary cross-entropy that counts easy entries less: `-a (1 - q)^gamma log q`.

    Here `q` is the probability of what is the case, `sigmoid(z)` for positives and `sigmoid(-z)` for negatives, and `a` is `alpha`
    or `1 - alpha`. For detection, where nearly all entries are easy negatives.

    Args:
      logits: unnormalised scores, of any shape.
      labels: bools, or numbers 0 and 1, of the same shape; nothing is broadcast. For probabilities in between, `1 - q` and `a` are
        the means under them.
      gamma: at least 0, how much less; 0 is binary cross-entropy; may be traced.
      alpha: share of positives in [0, 1], such as the 0.25 of the paper; if not given, `a` is 1; may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `logits`; of float32 at least.

    Raises:
      ValueError: if shapes differ, or a value is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> f"{losses.binary_focal(jnp.array([0.0]), jnp.array([1]), alpha=0.25) / jnp.log(2.0):.4f}"
      '0.0625'

    Source: Lin et al., "Focal Loss for Dense Object Detection", https://arxiv.org/abs/1708.02002.
    """
    _check.within("binary_focal", 0, float("inf"), gamma=gamma)
    if alpha is not None:
        _check.within("binary_focal", 0, 1, alpha=alpha)
    labels = binary_labels("binary_focal", labels, logits=logits)
    logits = widen(logits)
    values = optax.sigmoid_focal_loss(logits, jnp.asarray(labels, logits.dtype), alpha=alpha, gamma=gamma)
    return reduce("binary_focal", values, where, weights, reduction)


def poly(
    logits: jax.Array,
    labels: jax.Array,
    *,
    epsilon: float | jax.Array = 2.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Cross-entropy with another first term of its series in `1 - p` (Poly-1): `sum_c t_c (-log p_c + epsilon (1 - p_c))`.

    Here `p = softmax(logits)`, and `t` are the probabilities of labels.

    Args:
      logits: unnormalised scores, with classes along `axis`.
      labels: integers or probabilities, as in `cross_entropy`.
      epsilon: at least -1; above 0 pushes confident predictions further; may be traced.
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
      >>> f"{losses.poly(jnp.zeros((1, 2)), jnp.array([0])) - jnp.log(2.0):.4f}"
      '1.0000'

    Source: Leng et al., "PolyLoss", https://arxiv.org/abs/2204.12511.
    """
    _check.within("poly", -1, float("inf"), epsilon=epsilon)
    logits = widen(jnp.moveaxis(logits, axis, -1))
    labels = class_labels("poly", labels, logits, axis)
    log_shares = jax.nn.log_softmax(logits, -1)
    return reduce("poly", at_labels(-log_shares - epsilon * jnp.expm1(log_shares), labels), where, weights, reduction)
