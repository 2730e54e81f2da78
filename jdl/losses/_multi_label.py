"""Losses of yes-or-no labels, one of them or many for each sample."""

import jax
import jax.numpy as jnp
import optax

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._reduce import Reduction, reduce
from jdl.losses import _similarity


def soft_margin(
    logits: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Logistic loss of signs: `log(1 + exp(-target logit))` for each entry.

    Args:
      logits: unnormalised scores, of any shape.
      targets: 1 or -1, of the same shape; for 0 and 1 there is `binary_cross_entropy`.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `logits`; of float32 at least.

    Raises:
      TypeError: if logits are not floating point.
      ValueError: if shapes differ, or targets are neither 1 nor -1 where the host can see them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.soft_margin(jnp.array([100.0, 100.0]), jnp.array([1, -1]), reduction="none").tolist()
      [0.0, 100.0]
    """
    wide = widen(_check.floating("soft_margin", logits, "logits"))
    signs = _similarity.signs("soft_margin", wide, targets)
    return reduce("soft_margin", jax.nn.softplus(-signs * wide), where, weights, reduction)


def multi_label_margin(
    logits: jax.Array,
    labels: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Wants the score of every class that is there 1 above that of every other: `sum_jk max(0, 1 - (x_j - x_k)) / classes`.

    The sum is over classes `j` that are there and `k` that are not. It takes memory for the square of the number of classes.

    Args:
      logits: scores, with classes along `axis`.
      labels: bools, or integers 0 and 1, of the same shape: which classes are there. (PyTorch lists their indices.)
      where, weights, axis, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if logits are not floating point.
      ValueError: if shapes differ, or labels hold anything but 0 and 1 where the host can see them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.multi_label_margin(jnp.array([0.1, 0.2, 0.4, 0.8]), jnp.array([1, 0, 0, 1])).round(4).item()
      0.8499999642372131
    """
    logits, labels = _by_class("multi_label_margin", logits, labels, axis)
    _check.report("multi_label_margin", "labels must be 0 or 1", labels, lambda labels: (labels != 0) & (labels != 1))
    there = jnp.asarray(labels, bool)
    ahead = jnp.expand_dims(logits, -1) - jnp.expand_dims(logits, -2)
    pairs = jnp.expand_dims(there, -1) & ~jnp.expand_dims(there, -2)
    values = jnp.where(pairs, jax.nn.relu(1 - ahead), 0).sum((-2, -1)) / logits.shape[-1]
    return reduce("multi_label_margin", values, where, weights, reduction)


def multi_label_soft_margin(
    logits: jax.Array,
    labels: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Binary cross-entropy of each class by itself, averaged over classes, so that a sample has one loss.

    Args:
      logits: unnormalised scores, with classes along `axis`.
      labels: probabilities in [0, 1], bools, or integers 0 and 1, of the same shape.
      where, weights, axis, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if logits are not floating point.
      ValueError: if shapes differ, or labels lie outside [0, 1] where the host can see them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.multi_label_soft_margin(jnp.array([[100.0, -100.0, 100.0]]), jnp.array([[1, 1, 0]])).round(3).item()
      66.66699981689453
    """
    logits, labels = _by_class("multi_label_soft_margin", logits, labels, axis)
    outside = lambda labels: ~((labels >= 0) & (labels <= 1))
    _check.report("multi_label_soft_margin", "labels must lie in [0, 1]", labels, outside)
    values = optax.sigmoid_binary_cross_entropy(logits, jnp.asarray(labels, logits.dtype)).mean(-1)
    return reduce("multi_label_soft_margin", values, where, weights, reduction)


def _by_class(name: str, logits: jax.Array, labels: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """Logits in float32 at least and labels, with classes along the last axis."""
    wide, labels = widen(_check.floating(name, logits, "logits")), _check.array(labels)
    _check.same_shape(name, logits=wide, labels=labels)
    if wide.ndim < 1:
        raise ValueError(f"{name}: logits must have an axis of classes, got {_check.describe(wide)}")
    return jnp.moveaxis(wide, axis, -1), jnp.moveaxis(jnp.asarray(labels), axis, -1)
