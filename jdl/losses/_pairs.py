"""Losses that compare two samples, or an anchor with two."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._reduce import Reduction, reduce
from jdl.losses import _similarity


def triplet(
    anchors: jax.Array,
    positives: jax.Array,
    negatives: jax.Array,
    *,
    margin: float | jax.Array = 1.0,
    distance: Callable[[jax.Array, jax.Array], jax.Array] = _similarity.distance,
    swap: bool = False,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Wants an anchor nearer to its positive than to its negative: `max(0, d(a, p) - d(a, n) + margin)`.

    Args:
      anchors: embeddings (..., features), floating point.
      positives: like `anchors`, each of the class of its anchor.
      negatives: like `anchors`, each of another class.
      margin: by how much nearer, at least 0; may be traced.
      distance: from two arrays of embeddings to one number for each pair; Euclidean if not given, with a gradient of 0 at 0.
      swap: whether the negative is compared with what it is nearer to, the anchor or the positive.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` one number for each triplet; of float32 at least.

    Raises:
      TypeError: if embeddings are not floating point.
      ValueError: if shapes differ, or `margin` is a negative number.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> anchor, positive, negative = jnp.array([[0.0, 0.0]]), jnp.array([[0.0, 1.0]]), jnp.array([[1.5, 0.0]])
      >>> losses.triplet(anchor, positive, negative).item()
      0.5

    Source: Schroff et al., "FaceNet: A Unified Embedding for Face Recognition and Clustering", https://arxiv.org/abs/1503.03832.
    """
    _check.within("triplet", 0, float("inf"), margin=margin)
    anchor, positive, negative = _similarity.vectors("triplet", anchors=anchors, positives=positives, negatives=negatives)
    far = distance(anchor, negative)
    if swap:
        far = jnp.minimum(far, distance(positive, negative))
    return reduce("triplet", jax.nn.relu(distance(anchor, positive) - far + margin), where, weights, reduction)


def contrastive(
    embeddings: tuple[jax.Array, jax.Array],
    same: jax.Array,
    *,
    margin: float | jax.Array = 1.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Pulls pairs of a kind together and pushes others apart: `d^2 / 2` for a pair of a kind, else `max(0, margin - d)^2 / 2`.

    Args:
      embeddings: two arrays (..., features), whose Euclidean distance is `d`.
      same: bools, or integers 0 and 1, of the shape of `d`: whether a pair is of a kind. (The paper's `Y` is its opposite.)
      margin: beyond which distance others are left alone, at least 0; may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` one number for each pair; of float32 at least.

    Raises:
      TypeError: if embeddings are not floating point.
      ValueError: if shapes don't fit, or a value is out of range where the host can see it.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> first, second = jnp.array([[0.0], [0.0]]), jnp.array([[2.0], [2.0]])
      >>> losses.contrastive((first, second), jnp.array([True, False]), margin=3.0, reduction="none").tolist()
      [2.0, 0.5]

    Source: Hadsell et al., "Dimensionality Reduction by Learning an Invariant Mapping", https://doi.org/10.1109/CVPR.2006.100.
    """
    _check.within("contrastive", 0, float("inf"), margin=margin)
    first, second = _similarity.vectors("contrastive", first=embeddings[0], second=embeddings[1])
    apart = _similarity.distance(first, second)
    same = _check.array(same)
    _check.same_shape("contrastive", distances=apart, same=same)
    _check.report("contrastive", "same must hold bools, or 0 and 1", same, lambda same: (same != 0) & (same != 1))
    values = jnp.where(jnp.asarray(same, bool), jnp.square(apart), jnp.square(jax.nn.relu(margin - apart))) / 2
    return reduce("contrastive", values, where, weights, reduction)


def cosine_embedding(
    embeddings: tuple[jax.Array, jax.Array],
    targets: jax.Array,
    *,
    margin: float | jax.Array = 0.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Turns pairs of a kind to one direction, and others away: `1 - cos` for targets of 1, `max(0, cos - margin)` for those of -1.

    Args:
      embeddings: two arrays (..., features); the cosine with a vector of zeros is 0, and so is its gradient there.
      targets: 1 for a pair of a kind, -1 for another; of the shape of `embeddings` without their last axis.
      margin: the cosine under which others are left alone, in [-1, 1]; may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` one number for each pair; of float32 at least.

    Raises:
      TypeError: if embeddings are not floating point.
      ValueError: if shapes don't fit, or a value is out of range where the host can see it.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> first, second = jnp.array([[2.0, 0.0], [2.0, 0.0]]), jnp.array([[0.0, 3.0], [0.0, 3.0]])
      >>> losses.cosine_embedding((first, second), jnp.array([1, -1]), reduction="none").tolist()
      [1.0, 0.0]
    """
    _check.within("cosine_embedding", -1, 1, margin=margin)
    first, second = _similarity.vectors("cosine_embedding", first=embeddings[0], second=embeddings[1])
    cosine = (_similarity.unit(first) * _similarity.unit(second)).sum(-1)
    targets = _similarity.signs("cosine_embedding", cosine, targets)
    return reduce("cosine_embedding", jnp.where(targets > 0, 1 - cosine, jax.nn.relu(cosine - margin)), where, weights, reduction)


def hinge_embedding(
    distances: jax.Array,
    targets: jax.Array,
    *,
    margin: float | jax.Array = 1.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Shortens distances whose target is 1, and wants others at least `margin` long: `x`, or `max(0, margin - x)`.

    Args:
      distances: floating point, of any shape; of two samples each.
      targets: 1 for a pair of a kind, -1 for another; of the same shape.
      margin: beyond which distance others are left alone, at least 0; may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `distances`; of float32 at least.

    Raises:
      TypeError: if distances are not floating point.
      ValueError: if shapes differ, or a value is out of range where the host can see it.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.hinge_embedding(jnp.array([0.25, 0.25]), jnp.array([1, -1]), reduction="none").tolist()
      [0.25, 0.75]
    """
    _check.within("hinge_embedding", 0, float("inf"), margin=margin)
    wide = widen(_check.floating("hinge_embedding", distances, "distances"))
    targets = _similarity.signs("hinge_embedding", wide, targets)
    return reduce("hinge_embedding", jnp.where(targets > 0, wide, jax.nn.relu(margin - wide)), where, weights, reduction)


def margin_ranking(
    scores: tuple[jax.Array, jax.Array],
    targets: jax.Array,
    *,
    margin: float | jax.Array = 0.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Wants one of two scores above the other: `max(0, -target (first - second) + margin)`.

    Args:
      scores: two arrays of one shape, floating point.
      targets: 1 where the first should be higher, -1 where the second should; of the same shape.
      margin: by how much higher; may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` one number for each pair; of float32 at least.

    Raises:
      TypeError: if scores are not floating point.
      ValueError: if shapes differ, or targets are neither 1 nor -1 where the host can see them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> scores = jnp.array([3.0, 3.0]), jnp.array([1.0, 1.0])
      >>> losses.margin_ranking(scores, jnp.array([1, -1]), reduction="none").tolist()
      [0.0, 2.0]
    """
    first, second = (widen(_check.floating("margin_ranking", x, "scores")) for x in scores)
    _check.same_shape("margin_ranking", first=first, second=second)
    targets = _similarity.signs("margin_ranking", first, targets)
    return reduce("margin_ranking", jax.nn.relu(margin - targets * (first - second)), where, weights, reduction)
