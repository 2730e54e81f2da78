"""The confusion matrix of a stream."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.metrics import _sums
from jdl.metrics._metric import Metric, merge_sums


def confusion_matrix(
    predictions: jax.Array,
    labels: jax.Array,
    *,
    classes: int,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Counts pairs of label and prediction: entry `[i, j]` is how often class `i` was taken for class `j`.

    Args:
      predictions: classes, integers of the shape of `labels`; or scores with a last axis of classes, of which the largest counts.
      labels: integers in 0..classes-1, of any shape. Those out of range, like predictions out of range, are an error where the host
        sees them, and make the matrix NaN under jit; where `where` is False, they may be anything (such as -1 for "ignore").
      classes: how many there are.
      where, weights: of the leading shape of `labels`, as in every loss, see `jdl.losses`.

    Returns:
      `(classes, classes)`, floats: labels along the first axis, predictions along the second.

    Raises:
      TypeError: if labels are not integers, or predictions neither integers nor floats.
      ValueError: if shapes don't fit, or classes are out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.confusion_matrix(jnp.array([0, 1, 1]), jnp.array([0, 0, 1]), classes=2).tolist()
      [[1.0, 1.0], [0.0, 1.0]]
    """
    return _sums.value(_count(predictions, labels, classes, where, weights))


def confusion(classes: int, figure: Callable[[jax.Array], Any] = lambda matrix: matrix) -> Metric:
    """Makes a Metric of the confusion matrix, or of a figure of it such as `metrics.f_score`.

    Args:
      classes: how many there are.
      figure: from a matrix `(classes, classes)`, labels along the first axis, to a value; bind options with `functools.partial`.

    Returns:
      A Metric. It takes predictions and labels as `confusion_matrix` does; its state is the matrix (a sum).

    Raises:
      ValueError: if `classes` is no positive integer.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metric = metrics.confusion(2, metrics.recall)
      >>> state = metric.update(metric.init(), jnp.array([0, 1, 1]), jnp.array([0, 0, 1]))
      >>> metric.compute(state).item()
      0.75
    """
    _check.positive("confusion", classes=classes)

    def update(state, predictions, labels, *, where=None, weights=None):
        return merge_sums(state, {"matrix": _count(predictions, labels, classes, where, weights)})

    init = lambda: {"matrix": _sums.zero((classes, classes))}
    return Metric(init, update, merge_sums, lambda state: figure(_sums.value(state["matrix"])))


def _count(predictions: Any, labels: Any, classes: int, where: Any, weights: Any) -> _sums.Sum:
    _check.positive("confusion_matrix", classes=classes)
    predictions, labels = _check.array(predictions), _check.array(labels)
    if jnp.issubdtype(predictions.dtype, jnp.floating) and predictions.shape == (*labels.shape, classes):
        predictions = predictions.argmax(-1)
    elif not jnp.issubdtype(predictions.dtype, jnp.integer) or predictions.shape != labels.shape:
        takes = f"integers of shape {list(labels.shape)} or scores of shape {[*labels.shape, classes]}"
        raise TypeError(f"confusion_matrix: predictions must be {takes}, got {_check.describe(predictions)}")
    share = _sums.shares("confusion_matrix", labels.shape, where, weights)
    guesses, labels = (jnp.where(share == 0, 0, values) for values in (predictions, labels))
    _check.indices("confusion_matrix", "labels", labels, classes)
    _check.indices("confusion_matrix", "predictions", guesses, classes)
    guesses, labels = guesses.astype(jnp.int32), labels.astype(jnp.int32)
    wrong = (labels < 0) | (labels >= classes) | (guesses < 0) | (guesses >= classes)
    pairs = jnp.where(wrong, 0, labels * classes + guesses)
    matrix = jnp.zeros(classes**2, share.dtype).at[pairs].add(share).reshape(classes, classes)
    total = _sums.add(_sums.zero(matrix.shape), matrix)
    return total | {"high": jnp.where(wrong.any(), jnp.nan, total["high"])}
