"""Losses of segmentations that measure how regions overlap, so that a small region counts as much as a large one."""

from typing import Any

import jax

from jdl.functional import _check
from jdl.functional._ratio import ratio
from jdl.functional._reduce import Reduction, reduce
from jdl.losses._parts import blank
from jdl.losses._pixels import Pixels, each_alone, one_of_many


def dice_loss(
    logits: jax.Array,
    labels: jax.Array,
    *,
    smooth: float | jax.Array = 1.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """One minus the Dice coefficient of softmax probabilities and labels: `tversky_loss` with `alpha = beta = 0.5`.

    For each image and class, with sums over pixels and `smooth = 0`, that is `1 - 2 sum p t / (sum p + sum t)`. Use it, often added
    to `cross_entropy`, where most pixels are background.

    Args:
      logits: unnormalised scores, `(batch, *spatial, classes)`.
      labels: integers in 0..classes-1, `(batch, *spatial)`; or probabilities of the shape of `logits`.
      smooth: pixels of perfect overlap added to each class, at least 0; may be traced. A class absent from an image and from its
        prediction costs 0, also for `smooth = 0`, where a class that is only absent from the image costs 1 and has no gradient.
      where: bools, `(batch, *spatial)` or of a leading part of it, which pixels count. An image in which none does is left out.
      weights, reduction: as in every loss, see `jdl.losses`; weights are for images, `(batch,)`.

    Returns:
      A scalar, or for `"none"` one number for each image, the mean over classes; of float32 at least.

    Raises:
      TypeError: if labels are neither integers of the shape of pixels nor floats of the shape of logits.
      ValueError: if shapes don't fit or a value is out of range.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import losses
      >>> labels = jnp.array([[0, 1, 1, 0]])
      >>> jax.jit(losses.dice_loss)(100 * jnp.eye(2)[labels], labels).item()
      0.0

    Source: Milletari et al., "V-Net", https://arxiv.org/abs/1606.04797.
    """
    pixels = one_of_many("dice_loss", logits, labels, where)
    return _tversky("dice_loss", jax.nn.softmax(pixels.logits), pixels, 0.5, 0.5, smooth, weights, reduction)


def binary_dice_loss(
    logits: jax.Array,
    labels: jax.Array,
    *,
    smooth: float | jax.Array = 1.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """One minus the Dice coefficient of sigmoid probabilities and labels: `dice_loss` for classes that may overlap, or just one.

    Args:
      logits: unnormalised scores, `(batch, *spatial, classes)`.
      labels: probabilities in [0, 1], bools, or integers 0 and 1, of the same shape; nothing is broadcast.
      smooth: pixels of perfect overlap added to each class, at least 0; may be traced.
      where: bools, `(batch, *spatial)` or of a leading part of it, which pixels count. An image in which none does is left out.
      weights, reduction: as in every loss, see `jdl.losses`; weights are for images, `(batch,)`.

    Returns:
      A scalar, or for `"none"` one number for each image, the mean over classes; of float32 at least.

    Raises:
      ValueError: if shapes differ or a value is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> labels = jnp.array([0, 1, 1, 0]).reshape(1, 4, 1)
      >>> losses.binary_dice_loss(jnp.zeros((1, 4, 1)), labels, smooth=0.0).item()
      0.5

    Source: Milletari et al., "V-Net", https://arxiv.org/abs/1606.04797.
    """
    pixels = each_alone("binary_dice_loss", logits, labels, where)
    return _tversky("binary_dice_loss", jax.nn.sigmoid(pixels.logits), pixels, 0.5, 0.5, smooth, weights, reduction)


def jaccard_loss(
    logits: jax.Array,
    labels: jax.Array,
    *,
    smooth: float | jax.Array = 1.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """One minus the soft intersection over union of softmax probabilities and labels: `tversky_loss` with `alpha = beta = 1`.

    For each image and class, with sums over pixels and `smooth = 0`, that is `1 - sum p t / (sum p + sum t - sum p t)`.

    Args:
      logits: unnormalised scores, `(batch, *spatial, classes)`.
      labels: integers in 0..classes-1, `(batch, *spatial)`; or probabilities of the shape of `logits`.
      smooth: pixels of perfect overlap added to each class, at least 0; may be traced. A class absent from an image and from its
        prediction costs 0, also for `smooth = 0`, where a class that is only absent from the image costs 1 and has no gradient.
      where: bools, `(batch, *spatial)` or of a leading part of it, which pixels count. An image in which none does is left out.
      weights, reduction: as in every loss, see `jdl.losses`; weights are for images, `(batch,)`.

    Returns:
      A scalar, or for `"none"` one number for each image, the mean over classes; of float32 at least.

    Raises:
      TypeError: if labels are neither integers of the shape of pixels nor floats of the shape of logits.
      ValueError: if shapes don't fit or a value is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> labels = jnp.array([[0, 1, 1, 0]])
      >>> losses.jaccard_loss(100 * jnp.eye(2)[labels], labels).item()
      0.0
    """
    pixels = one_of_many("jaccard_loss", logits, labels, where)
    return _tversky("jaccard_loss", jax.nn.softmax(pixels.logits), pixels, 1.0, 1.0, smooth, weights, reduction)


def binary_jaccard_loss(
    logits: jax.Array,
    labels: jax.Array,
    *,
    smooth: float | jax.Array = 1.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """One minus the soft intersection over union of sigmoid probabilities and labels: `jaccard_loss` for classes that may overlap.

    Args:
      logits: unnormalised scores, `(batch, *spatial, classes)`.
      labels: probabilities in [0, 1], bools, or integers 0 and 1, of the same shape; nothing is broadcast.
      smooth: pixels of perfect overlap added to each class, at least 0; may be traced.
      where: bools, `(batch, *spatial)` or of a leading part of it, which pixels count. An image in which none does is left out.
      weights, reduction: as in every loss, see `jdl.losses`; weights are for images, `(batch,)`.

    Returns:
      A scalar, or for `"none"` one number for each image, the mean over classes; of float32 at least.

    Raises:
      ValueError: if shapes differ or a value is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> labels = jnp.array([0, 1, 1, 0]).reshape(1, 4, 1)
      >>> losses.binary_jaccard_loss(jnp.full((1, 4, 1), 100.0), labels, smooth=0.0).item()
      0.5
    """
    pixels = each_alone("binary_jaccard_loss", logits, labels, where)
    return _tversky("binary_jaccard_loss", jax.nn.sigmoid(pixels.logits), pixels, 1.0, 1.0, smooth, weights, reduction)


def tversky_loss(
    logits: jax.Array,
    labels: jax.Array,
    *,
    alpha: float | jax.Array = 0.5,
    beta: float | jax.Array = 0.5,
    smooth: float | jax.Array = 1.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """One minus the Tversky index of softmax probabilities and labels: `1 - (TP + s) / (TP + alpha FP + beta FN + s)`.

    For each image and class, `TP = sum p t`, `FP = sum p (1 - t)` and `FN = sum (1 - p) t` over pixels, and `s` is `smooth`. With
    `alpha = 0.3` and `beta = 0.7`, say, it prefers false alarms to misses.

    Args:
      logits: unnormalised scores, `(batch, *spatial, classes)`.
      labels: integers in 0..classes-1, `(batch, *spatial)`; or probabilities of the shape of `logits`.
      alpha: the price of false positives, at least 0; may be traced.
      beta: the price of false negatives, likewise.
      smooth: pixels of perfect overlap added to each class, at least 0; may be traced. A class absent from an image and from its
        prediction costs 0, also for `smooth = 0`, where a class that is only absent from the image costs 1 and has no gradient.
      where: bools, `(batch, *spatial)` or of a leading part of it, which pixels count. An image in which none does is left out.
      weights, reduction: as in every loss, see `jdl.losses`; weights are for images, `(batch,)`.

    Returns:
      A scalar, or for `"none"` one number for each image, the mean over classes; of float32 at least.

    Raises:
      TypeError: if labels are neither integers of the shape of pixels nor floats of the shape of logits.
      ValueError: if shapes don't fit or a value is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> labels = jnp.array([[0, 1, 1, 0]])
      >>> losses.tversky_loss(100 * jnp.eye(2)[labels], labels, alpha=0.3, beta=0.7).item()
      0.0

    Source: Salehi et al., "Tversky loss function for image segmentation using 3D fully convolutional deep networks",
    https://arxiv.org/abs/1706.05721.
    """
    pixels = one_of_many("tversky_loss", logits, labels, where)
    return _tversky("tversky_loss", jax.nn.softmax(pixels.logits), pixels, alpha, beta, smooth, weights, reduction)


def binary_tversky_loss(
    logits: jax.Array,
    labels: jax.Array,
    *,
    alpha: float | jax.Array = 0.5,
    beta: float | jax.Array = 0.5,
    smooth: float | jax.Array = 1.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """One minus the Tversky index of sigmoid probabilities and labels: `tversky_loss` for classes that may overlap, or just one.

    Args:
      logits: unnormalised scores, `(batch, *spatial, classes)`.
      labels: probabilities in [0, 1], bools, or integers 0 and 1, of the same shape; nothing is broadcast.
      alpha: the price of false positives, at least 0; may be traced.
      beta: the price of false negatives, likewise.
      smooth: pixels of perfect overlap added to each class, at least 0; may be traced.
      where: bools, `(batch, *spatial)` or of a leading part of it, which pixels count. An image in which none does is left out.
      weights, reduction: as in every loss, see `jdl.losses`; weights are for images, `(batch,)`.

    Returns:
      A scalar, or for `"none"` one number for each image, the mean over classes; of float32 at least.

    Raises:
      ValueError: if shapes differ or a value is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> labels = jnp.array([0, 1, 1, 0]).reshape(1, 4, 1)
      >>> losses.binary_tversky_loss(jnp.full((1, 4, 1), 100.0), labels, alpha=0.0, beta=1.0).item()
      0.0

    Source: Salehi et al., "Tversky loss function for image segmentation using 3D fully convolutional deep networks",
    https://arxiv.org/abs/1706.05721.
    """
    pixels = each_alone("binary_tversky_loss", logits, labels, where)
    return _tversky("binary_tversky_loss", jax.nn.sigmoid(pixels.logits), pixels, alpha, beta, smooth, weights, reduction)


def _tversky(
    name: str, probabilities: jax.Array, pixels: Pixels, alpha: Any, beta: Any, smooth: Any, weights: Any, reduction: Reduction
) -> jax.Array:
    _check.within(name, 0, float("inf"), alpha=alpha, beta=beta, smooth=smooth)
    predicted, true = blank(probabilities, pixels.counts), pixels.shares
    total = lambda x: x.sum(range(1, x.ndim - 1))
    both, excess, missing = total(predicted * true), total(predicted * (1 - true)), total((1 - predicted) * true)
    index = ratio(both + smooth, both + alpha * excess + beta * missing + smooth, 1.0)
    return reduce(name, (1 - index).mean(-1), pixels.some, weights, reduction)
