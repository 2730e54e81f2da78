"""How uncertain an ensemble is, and why: because outcomes vary, or because its members disagree."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen


class Uncertainty(NamedTuple):
    """What an ensemble predicts, and how sure it is; `total = aleatoric + epistemic`.

    Attributes:
      mean: over members: probabilities of classes, or the mean of a Gaussian.
      total: entropy in nats, or variance, of what the ensemble as a whole predicts.
      aleatoric: what members see in the outcome itself: mean of their entropies, or of their variances.
      epistemic: what they disagree about: mutual information of outcome and member, or the variance of their means. More data
        makes it smaller.
    """

    mean: jax.Array
    total: jax.Array
    aleatoric: jax.Array
    epistemic: jax.Array


def classification_uncertainty(logits: jax.Array) -> Uncertainty:
    """The mean probabilities `p` of members' `p_m = softmax(logits_m)`, and `H(p) = mean H(p_m) + mutual information`.

    Args:
      logits: `(members, ..., classes)`; floating point. Log-probabilities are logits too.

    Returns:
      An Uncertainty: `mean` `(..., classes)`, the others `(...)`, in [0, log(classes)]; float32 at least.

    Raises:
      TypeError: if logits are not floating point.
      ValueError: if they have fewer than two axes.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> found = metrics.classification_uncertainty(jnp.array([[[50.0, 0.0], [0.0, 0.0]], [[0.0, 50.0], [0.0, 0.0]]]))
      >>> for name, values in found._asdict().items():
      ...     print(name, values.round(2).tolist())  # members that contradict each other, and members that don't know
      mean [[0.5, 0.5], [0.5, 0.5]]
      total [0.6899999976158142, 0.6899999976158142]
      aleatoric [0.0, 0.6899999976158142]
      epistemic [0.6899999976158142, 0.0]

    Source: Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles",
    https://arxiv.org/abs/1612.01474; Depeweg et al., "Decomposition of Uncertainty in Bayesian Deep Learning for Efficient and
    Risk-sensitive Learning", https://arxiv.org/abs/1710.07283.
    """
    logits = widen(_check.floating("classification_uncertainty", logits, "logits"))
    if logits.ndim < 2:
        raise ValueError(f"classification_uncertainty: logits must be (members, ..., classes), got {_check.describe(logits)}")
    each = jax.nn.softmax(logits)
    mean = each.mean(0)
    entropy = lambda p: jax.scipy.special.entr(p).sum(-1)
    total, aleatoric = entropy(mean), entropy(each).mean(0)
    epistemic = jnp.maximum(total - aleatoric, 0)  # which it is but for rounding, as entropy is concave
    return Uncertainty(mean, aleatoric + epistemic, aleatoric, epistemic)


def gaussian_uncertainty(predictions: tuple[jax.Array, jax.Array]) -> Uncertainty:
    """Mean and variance of the mixture of members' Gaussians: `variance = mean of variances + variance of means`.

    Args:
      predictions: `(means, variances)`, each `(members, ...)`, as of networks trained by `losses.gaussian_nll`; floating point.

    Returns:
      An Uncertainty, each field `(...)`; float32 at least.

    Raises:
      TypeError: if predictions are not floating point.
      ValueError: if shapes differ, or there is no axis of members.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> found = metrics.gaussian_uncertainty((jnp.array([[1.0], [3.0]]), jnp.array([[0.5], [1.5]])))
      >>> found.mean.item(), found.total.item(), found.aleatoric.item(), found.epistemic.item()
      (2.0, 2.0, 1.0, 1.0)

    Source: Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles",
    https://arxiv.org/abs/1612.01474.
    """
    name = "gaussian_uncertainty"
    means, variances = (widen(_check.floating(name, x, what)) for x, what in zip(predictions, ("means", "variances")))
    if means.shape != variances.shape or not means.ndim:
        raise ValueError(f"{name}: means and variances must be (members, ...), got {_check.describe((means, variances))}")
    aleatoric, epistemic = variances.mean(0), means.var(0)
    return Uncertainty(means.mean(0), aleatoric + epistemic, aleatoric, epistemic)
