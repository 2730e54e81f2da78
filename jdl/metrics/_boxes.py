"""Metrics of boxes."""

import jax
import jax.numpy as jnp

from jdl.functional import _boxes, _check
from jdl.functional._reduce import Reduction, reduce


def box_iou(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Intersection over union of each box and its target: `|A and B| / |A or B|`.

    Args:
      predictions: boxes `(x1, y1, x2, y2)`, `(..., 4)`; one with `x2 < x1` or `y2 < y1` is empty.
      targets: of the same shape.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array `(...)`, 0 if both boxes are empty; of float32 at least.

    Raises:
      ValueError: if shapes differ or their last axis is not of size 4.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.box_iou(jnp.array([0.0, 0.0, 2.0, 2.0]), jnp.array([0.0, 0.0, 2.0, 1.0])).item()
      0.5
    """
    predictions, targets = _boxes.pair("box_iou", predictions=predictions, targets=targets)
    _check.same_shape("box_iou", predictions=predictions, targets=targets)
    return reduce("box_iou", _boxes.overlap(predictions, targets)[0], where, weights, reduction)


def pairwise_box_iou(boxes: jax.Array, others: jax.Array) -> jax.Array:
    """Intersection over union of every box and every other: to match predictions with targets, or suppress duplicates.

    Args:
      boxes: `(x1, y1, x2, y2)`, `(..., n, 4)`; one with `x2 < x1` or `y2 < y1` is empty.
      others: `(..., m, 4)`, with the same leading axes.

    Returns:
      `(..., n, m)`, 0 if both boxes are empty; of float32 at least.

    Raises:
      ValueError: if shapes don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> boxes = jnp.array([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.0]])
      >>> metrics.pairwise_box_iou(boxes, boxes).tolist()
      [[1.0, 0.5], [0.5, 1.0]]
    """
    boxes, others = _boxes.pair("pairwise_box_iou", boxes=boxes, others=others)
    if boxes.ndim < 2 or boxes.ndim != others.ndim or boxes.shape[:-2] != others.shape[:-2]:
        got = f"{_check.describe(boxes)} and {_check.describe(others)}"
        raise ValueError(f"pairwise_box_iou: takes (..., n, 4) and (..., m, 4) with the same leading axes, got {got}")
    return _boxes.overlap(jnp.expand_dims(boxes, -2), jnp.expand_dims(others, -3))[0]
