"""Mean average precision of detected boxes."""

import functools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl.functional import _boxes, _check
from jdl.functional._numbers import divisor
from jdl.functional._ratio import ratio
from jdl.metrics import _room, _sums
from jdl.metrics._metric import Metric
from jdl.metrics._ties import before_and_through

COCO_THRESHOLDS = tuple(round(0.5 + 0.05 * i, 2) for i in range(10))
_RECALLS = 100  # precision is read at recalls of 0, 1/100, ..., 1


def mean_average_precision(
    predictions: tuple[jax.Array, jax.Array, jax.Array],
    targets: tuple[jax.Array, ...],
    *,
    classes: int,
    thresholds: Sequence[float] = COCO_THRESHOLDS,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
) -> dict[str, jax.Array]:
    """Mean over classes and thresholds of the average precision of detected boxes, as the COCO benchmark defines it.

    In every image the boxes of a class, the best score first, each take the free target with which they overlap most, if the
    intersection over union reaches the threshold: they are hits, the others false alarms. Over all images, precision is the
    greatest at a recall or beyond, averaged over the recalls 0, 0.01, ..., 1. Equal scores of several images pass together.

    Args:
      predictions: boxes `(x1, y1, x2, y2)`, `(images, n, 4)`; scores `(images, n)`; labels, integers `(images, n)`, -1 where there
        is no box. COCO counts the best 100 of a class in an image, so pass no more to compare with its tables.
      targets: boxes `(images, m, 4)` and labels `(images, m)`, -1 where there is none; and, if given, bools `(images, m)` for
        crowds: no targets, but a box of which a share of at least the threshold lies in one is no false alarm.
      classes: how many; labels are 0 to `classes - 1`.
      thresholds: of intersection over union, in (0, 1]; 0.5, 0.55, ..., 0.95 if not given. `[0.5]` gives what is called AP50.
      where: bools `(images,)`, which images count.
      weights: `(images,)`, how often they count.

    Returns:
      A dict of `mean_average_precision`; `by_class`, `(classes,)`; and `by_threshold`, `(thresholds,)`. Classes without targets are
      NaN, and left out of means; so is all of it if a score is NaN.

    Raises:
      ValueError: if shapes don't fit, a label is out of range where the host sees it, or a threshold is.

    Example:
      >>> import functools, jax, jax.numpy as jnp
      >>> from jdl import metrics
      >>> boxes = jnp.array([[[0.0, 0.0, 2.0, 2.0], [4.0, 4.0, 6.0, 6.0]]])
      >>> found = boxes + jnp.array([[[0.0], [5.0]]]), jnp.array([[0.9, 0.8]]), jnp.array([[0, 0]])
      >>> score = jax.jit(functools.partial(metrics.mean_average_precision, classes=1))
      >>> f"{score(found, (boxes, jnp.array([[0, 0]])))['by_class'].item():.3f}"
      '0.505'

    Source: Lin et al., "Microsoft COCO: Common Objects in Context", https://arxiv.org/abs/1405.0312.
    """
    metric = streaming_mean_average_precision(classes=classes, capacity=max(1, predictions[1].size), thresholds=thresholds)
    return metric.compute(metric.update(metric.init(), predictions, targets, where=where, weights=weights))


def streaming_mean_average_precision(*, classes: int, capacity: int, thresholds: Sequence[float] = COCO_THRESHOLDS) -> Metric:
    """Mean average precision of detected boxes over a stream of images, see `mean_average_precision`.

    Args:
      classes: how many.
      capacity: for how many predicted boxes there is room, in all states that are merged together. Boxes with label -1 and those of
        images that don't count take none; more are an error where the host sees it, and make values NaN under `jit`.
      thresholds: of intersection over union, in (0, 1].

    Returns:
      A Metric; its state keeps score, label and hits of every predicted box.

    Raises:
      ValueError: if sizes are not positive or a threshold is out of range.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import metrics
      >>> metric = metrics.streaming_mean_average_precision(classes=2, capacity=1000)
      >>> box = jnp.array([[[0.0, 0.0, 2.0, 2.0]]])
      >>> state, update = metric.init(), jax.jit(metric.update)
      >>> for label in (0, 1):
      ...     labels = jnp.array([[label]])
      ...     state = update(state, (box, jnp.array([[0.9]]), labels), (box, labels))
      >>> jax.jit(metric.compute)(state)["by_class"].tolist()
      [1.0, 1.0]
    """
    name = "mean_average_precision"
    _check.positive(name, classes=classes, capacity=capacity)
    _check.within(name, 0, 1, thresholds=np.asarray(thresholds))
    limits = np.asarray(thresholds, float).reshape(-1)

    def init():
        samples = _room.empty(capacity, scores=(), labels=(), hits=limits.shape, weights=limits.shape)
        return samples | {"targets": _sums.zero((classes,))}

    def update(state, predictions, targets, *, where=None, weights=None):
        given = _checked(name, predictions, targets, classes)
        _, scores, labels, _, target_labels, crowds = given
        share = _sums.shares(name, labels.shape[:1], where, weights)
        hits, counts = jax.vmap(functools.partial(_matches, limits=limits))(*given)
        per_box = jnp.broadcast_to(jnp.expand_dims(share, 1), labels.shape)
        samples = {"scores": scores, "labels": labels, "hits": hits, "weights": counts * jnp.expand_dims(per_box, 2)}
        flat = {name: x.reshape(labels.size, *x.shape[2:]) for name, x in samples.items()}
        kept = ((labels >= 0) & (per_box != 0)).ravel()
        wanted = jnp.where(crowds, -1, target_labels).reshape(*target_labels.shape, 1) == jnp.arange(classes).reshape(1, 1, -1)
        added = (wanted * share.reshape(-1, 1, 1)).sum((0, 1))
        return _room.put(name, _boxes_of(state), flat, kept) | {"targets": _sums.add(state["targets"], added)}

    def merge(a, b):
        return _room.merge(name, _boxes_of(a), _boxes_of(b)) | {"targets": _sums.merge(a["targets"], b["targets"])}

    def compute(state):
        targets = _sums.value(state["targets"])
        table = jnp.where(jnp.expand_dims(targets > 0, 1), _average_precisions(_boxes_of(state), targets), jnp.nan)
        table = jnp.where((state["count"] > capacity) | jnp.isnan(state["scores"]).any(), jnp.nan, table)
        by_threshold = jnp.nanmean(table, 0)
        return {"mean_average_precision": by_threshold.mean(), "by_class": table.mean(1), "by_threshold": by_threshold}

    return Metric(init, update, merge, compute)


def _boxes_of(state: Any) -> Any:
    """The state without the number of targets."""
    return {name: value for name, value in state.items() if name != "targets"}


def _checked(name: str, predictions: Any, targets: Any, classes: int) -> tuple[jax.Array, ...]:
    """Boxes, scores, labels; targets, their labels and crowds; raises unless all fit."""
    if len(predictions) != 3 or len(targets) not in (2, 3):
        wants = "predictions must be (boxes, scores, labels) and targets (boxes, labels) or (boxes, labels, crowds)"
        raise ValueError(f"{name}: {wants}, got {len(predictions)} and {len(targets)} arrays")
    boxes, scores, labels = map(_check.array, predictions)
    target_boxes, target_labels, *crowds = map(_check.array, targets)
    crowd = crowds[0] if crowds else jnp.zeros(target_labels.shape, bool)
    boxes, target_boxes = _boxes.pair(name, predictions=boxes, targets=target_boxes)
    for what, full, *others in (("predictions", boxes, scores, labels), ("targets", target_boxes, target_labels, crowd)):
        if full.ndim != 3 or any(x.shape != full.shape[:2] for x in others) or len(boxes) != len(full):
            shapes = ", ".join(map(_check.describe, (full, *others)))
            raise ValueError(f"{name}: {what} must be (images, boxes, 4) and (images, boxes), as many images in both, got {shapes}")
    for what, x in (("labels", labels), ("labels of targets", target_labels)):
        _check.indices(name, f"{what} plus 1", x + 1, classes + 1)
    return boxes, scores, labels, target_boxes, target_labels, crowd


def _matches(boxes, scores, labels, targets, target_labels, crowds, *, limits) -> tuple[jax.Array, jax.Array]:
    """For one image, which boxes hit a target, and which count at all, `(n, thresholds)`."""
    same = (jnp.expand_dims(labels, 1) == jnp.expand_dims(target_labels, 0)) & jnp.expand_dims(labels >= 0, 1)
    pair = jnp.expand_dims(boxes, 1), jnp.expand_dims(targets, 0)
    share, union = _boxes.overlap(*pair)
    inside = ratio(share * union, _boxes.size(pair[0]).prod(-1), 0.0)  # of the box itself, as a crowd has no bounds
    single = jnp.where(same & ~jnp.expand_dims(crowds, 0), share, -1.0)
    crowd = jnp.where(same & jnp.expand_dims(crowds, 0), inside, -1.0).max(1, initial=-1.0)

    def step(taken, own):
        single, crowd = own
        free = jnp.where(taken, -1.0, single)
        hit = free.max(-1, initial=-1.0) >= limits
        if free.shape[-1]:
            taken |= jax.nn.one_hot(free.argmax(-1), free.shape[-1], dtype=bool) & jnp.expand_dims(hit, 1)
        return taken, (hit, hit | (crowd < limits))

    order = jnp.argsort(-scores)
    _, (hits, counts) = jax.lax.scan(step, jnp.zeros((len(limits), targets.shape[0]), bool), (single[order], crowd[order]))
    return jnp.zeros_like(hits).at[order].set(hits), jnp.zeros_like(counts).at[order].set(counts)


def _average_precisions(state: Any, targets: jax.Array) -> jax.Array:
    """A number for each class and threshold."""
    order = jnp.argsort(jnp.where(_room.there(state), -state["scores"], jnp.inf))
    hits, weights = state["hits"][order].T, state["weights"][order].T
    scores, labels = (jnp.broadcast_to(state[name][order], hits.shape) for name in ("scores", "labels"))

    def of_class(own: tuple[jax.Array, jax.Array]) -> jax.Array:
        label, total = own
        amounts = jnp.where(labels == label, weights, 0)
        (_, hit), (_, passed) = (before_and_through(-scores, x) for x in (amounts * hits, amounts))
        greatest = jax.lax.cummax(hit / divisor(passed), 1, reverse=True)
        wanted = jnp.arange(_RECALLS + 1) * total
        first = jax.vmap(lambda hit: jnp.searchsorted(_RECALLS * hit, wanted))(hit)  # free of rounding, for whole numbers
        return jnp.take_along_axis(jnp.pad(greatest, ((0, 0), (0, 1))), first, 1).mean(1)

    return jax.lax.map(of_class, (jnp.arange(len(targets)), targets))
