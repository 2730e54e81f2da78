"""Losses of class scores."""

import jax
import jax.numpy as jnp
import optax

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._reduce import Reduction, reduce


def cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    *,
    label_smoothing: float | jax.Array = 0.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Cross-entropy of the softmax of logits: `-sum_c p_c log softmax(logits)_c`.

    With smoothing `s`, the targets are `(1 - s) p + s / classes`.

    Args:
      logits: unnormalised scores, with classes along `axis`.
      labels: integers in 0..classes-1, of the shape of `logits` without `axis`; or probabilities of the shape of `logits`. Integers
        out of range are an error where the host sees them, and give NaN under jit.
      label_smoothing: share of probability spread over all classes, in [0, 1]; may be traced.
      where: bools of the leading shape, which samples count.
      weights: of the leading shape; a weight of 2 counts as two samples.
      axis: the axis of classes.
      reduction: `"mean"` (divides by the sum of weights), `"sum"` or `"none"`.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if labels are neither integers of the shape of samples nor floats of the shape of logits.
      ValueError: if shapes don't fit or a value is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.cross_entropy(jnp.zeros((2, 4)), jnp.array([0, 3])).round(4).item() == jnp.log(4.0).round(4).item()
      True

    Source: label smoothing, Szegedy et al., "Rethinking the Inception Architecture", https://arxiv.org/abs/1512.00567.
    """
    _check.within("cross_entropy", 0, 1, label_smoothing=label_smoothing)
    logits = jnp.moveaxis(logits, axis, -1)
    logits = widen(logits)
    labels = _check.array(labels)
    total = jax.nn.logsumexp(logits, -1)
    if jnp.issubdtype(labels.dtype, jnp.integer) and labels.shape == logits.shape[:-1]:
        _check.indices("cross_entropy", "labels", labels, logits.shape[-1])
        index = jnp.where(labels < 0, logits.shape[-1], labels)  # so that negative ones don't count from the end
        expected = jnp.take_along_axis(logits, jnp.expand_dims(index, -1), -1, mode="fill", fill_value=jnp.nan).squeeze(-1)
    elif jnp.issubdtype(labels.dtype, jnp.floating) and labels.ndim == logits.ndim:
        share = jnp.moveaxis(jnp.asarray(labels, logits.dtype), axis, -1)
        _check.same_shape("cross_entropy", logits=logits, labels=share)
        total, expected = total * share.sum(-1), (share * logits).sum(-1)
    else:
        takes = f"integers of shape {list(logits.shape[:-1])} or probabilities of shape {list(logits.shape)}"
        raise TypeError(f"cross_entropy: labels must be {takes}, got {_check.describe(labels)}")
    if not (isinstance(label_smoothing, float | int) and label_smoothing == 0):
        expected = (1 - label_smoothing) * expected + label_smoothing * logits.mean(-1)
    return reduce("cross_entropy", total - expected, where, weights, reduction)


def binary_cross_entropy(
    logits: jax.Array,
    labels: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Cross-entropy of the sigmoid of logits: `-p log sigmoid(z) - (1 - p) log sigmoid(-z)` for each entry.

    Args:
      logits: unnormalised scores, of any shape.
      labels: probabilities in [0, 1], bools, or integers 0 and 1, of the same shape; nothing is broadcast.
      where: bools of the leading shape, which entries count.
      weights: of the leading shape; a weight of 2 counts as two samples.
      reduction: `"mean"` (divides by the sum of weights), `"sum"` or `"none"`.

    Returns:
      A scalar, or for `"none"` an array like `logits`; of float32 at least.

    Raises:
      ValueError: if shapes differ, or labels lie outside [0, 1] where the host can see them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.binary_cross_entropy(jnp.array([100.0, -100.0]), jnp.array([1, 0])).item()
      0.0
    """
    labels = _check.array(labels)
    _check.same_shape("binary_cross_entropy", logits=logits, labels=labels)
    _check.report("binary_cross_entropy", "labels must lie in [0, 1]", labels, lambda labels: ~((labels >= 0) & (labels <= 1)))
    logits = widen(logits)
    values = optax.sigmoid_binary_cross_entropy(logits, jnp.asarray(labels, logits.dtype))
    return reduce("binary_cross_entropy", values, where, weights, reduction)
