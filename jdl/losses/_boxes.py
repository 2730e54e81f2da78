"""Losses of boxes `(x1, y1, x2, y2)` that measure how a box overlaps with its target, whatever the scale."""

import math

import jax
import jax.numpy as jnp

from jdl.functional import _boxes, _check
from jdl.functional._ratio import ratio
from jdl.functional._reduce import Reduction, reduce


def box_iou_loss(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """One minus the intersection over union of each box and its target: `1 - IoU`.

    Of boxes that don't meet it is 1 and has no gradient; the other losses of boxes have one. Of two empty boxes it is 1.

    Args:
      predictions: boxes `(x1, y1, x2, y2)`, `(..., 4)`; one with `x2 < x1` or `y2 < y1` is empty.
      targets: of the same shape.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array `(...)`; of float32 at least.

    Raises:
      ValueError: if shapes differ or their last axis is not of size 4.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.box_iou_loss(jnp.array([0.0, 0.0, 1.0, 1.0]), jnp.array([1.0, 0.0, 2.0, 1.0])).item()
      1.0

    Source: Yu et al., "UnitBox", https://arxiv.org/abs/1608.01471.
    """
    predictions, targets = _aligned("box_iou_loss", predictions, targets)
    return reduce("box_iou_loss", 1 - _boxes.overlap(predictions, targets)[0], where, weights, reduction)


def generalized_box_iou_loss(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """One minus the generalised intersection over union: `1 - IoU + (C - U) / C`, in [0, 2].

    `U` is the area of the union, and `C` that of the smallest box around both, so that boxes that don't meet attract each other.

    Args:
      predictions: boxes `(x1, y1, x2, y2)`, `(..., 4)`; one with `x2 < x1` or `y2 < y1` is empty.
      targets: of the same shape.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array `(...)`; of float32 at least.

    Raises:
      ValueError: if shapes differ or their last axis is not of size 4.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.generalized_box_iou_loss(jnp.array([0.0, 0.0, 1.0, 1.0]), jnp.array([1.0, 0.0, 2.0, 1.0])).item()
      1.0

    Source: Rezatofighi et al., "Generalized Intersection over Union", https://arxiv.org/abs/1902.09630.
    """
    predictions, targets = _aligned("generalized_box_iou_loss", predictions, targets)
    iou, union = _boxes.overlap(predictions, targets)
    around = _boxes.enclosing(predictions, targets).prod(-1)
    return reduce("generalized_box_iou_loss", 1 - iou + ratio(around - union, around, 0.0), where, weights, reduction)


def distance_box_iou_loss(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """One minus the intersection over union, plus the distance of centres: `1 - IoU + d^2 / c^2`, in [0, 2].

    `d` is the distance between the centres, and `c` the diagonal of the smallest box around both. It moves boxes that don't meet
    straight towards each other.

    Args:
      predictions: boxes `(x1, y1, x2, y2)`, `(..., 4)`; one with `x2 < x1` or `y2 < y1` is empty.
      targets: of the same shape.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array `(...)`; of float32 at least.

    Raises:
      ValueError: if shapes differ or their last axis is not of size 4.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.distance_box_iou_loss(jnp.array([0.0, 0.0, 1.0, 1.0]), jnp.array([1.0, 0.0, 2.0, 1.0])).item()
      1.2000000476837158

    Source: Zheng et al., "Distance-IoU Loss", https://arxiv.org/abs/1911.08287.
    """
    predictions, targets = _aligned("distance_box_iou_loss", predictions, targets)
    iou, _ = _boxes.overlap(predictions, targets)
    return reduce("distance_box_iou_loss", 1 - iou + _apart(predictions, targets), where, weights, reduction)


def complete_box_iou_loss(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Adds the difference of aspect ratios: `1 - IoU + d^2 / c^2 + a v`, `v = (2 / pi (atan(w' / h') - atan(w / h)))^2`.

    `d` and `c` are as in `distance_box_iou_loss`. The trade-off `a = v / (1 - IoU + v)` is a constant to gradients, as published.

    Args:
      predictions: boxes `(x1, y1, x2, y2)`, `(..., 4)`; one with `x2 < x1` or `y2 < y1` is empty.
      targets: of the same shape.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array `(...)`; of float32 at least.

    Raises:
      ValueError: if shapes differ or their last axis is not of size 4.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.complete_box_iou_loss(jnp.array([0.0, 0.0, 1.0, 1.0]), jnp.array([1.0, 0.0, 2.0, 1.0])).item()
      1.2000000476837158

    Source: Zheng et al., "Distance-IoU Loss", https://arxiv.org/abs/1911.08287.
    """
    predictions, targets = _aligned("complete_box_iou_loss", predictions, targets)
    iou, _ = _boxes.overlap(predictions, targets)
    shape = jnp.square((_aspect(targets) - _aspect(predictions)) * 2 / math.pi)
    trade_off = jax.lax.stop_gradient(ratio(shape, 1 - iou + shape, 0.0))
    values = 1 - iou + _apart(predictions, targets) + trade_off * shape
    return reduce("complete_box_iou_loss", values, where, weights, reduction)


def _aligned(name: str, predictions: jax.Array, targets: jax.Array) -> tuple[jax.Array, ...]:
    boxes = _boxes.pair(name, predictions=predictions, targets=targets)
    _check.same_shape(name, predictions=boxes[0], targets=boxes[1])
    return boxes


def _apart(a: jax.Array, b: jax.Array) -> jax.Array:
    """The squared distance between the centres, over that between the corners of the smallest box around both."""
    offset = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2
    return ratio(jnp.square(offset).sum(-1), jnp.square(_boxes.enclosing(a, b)).sum(-1), 0.0)


def _aspect(boxes: jax.Array) -> jax.Array:
    """The angle of the diagonal; that of a box that is a point, which has none, is 0 with gradient 0."""
    width, height = jnp.moveaxis(_boxes.size(boxes), -1, 0)
    some = width + height > 1e-9  # squares of less, which the gradient divides by, would be 0
    return jnp.arctan2(jnp.where(some, width, 0), jnp.where(some, height, 1))
