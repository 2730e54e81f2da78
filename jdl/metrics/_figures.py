"""Figures of a confusion matrix, with labels along the first axis and predictions along the second.

A ratio whose denominator is 0 (the precision of a class that was never predicted, the recall of one without samples) is 0. An
average over classes leaves out those that occur neither in labels nor in predictions.
"""

from typing import Literal

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import divisor, root, widen

Average = Literal["macro", "micro", "weighted"]


def precision(matrix: jax.Array, *, average: Average | None = "macro") -> jax.Array:
    """Of the samples predicted as a class, the share that is of it: `hits / predicted`.

    Args:
      matrix: `(classes, classes)`, see `confusion_matrix`.
      average: `"macro"`, the mean over classes that occur in labels or predictions; `"weighted"`, the mean weighted by the samples
        of a class; `"micro"`, the ratio of sums over classes (which is accuracy); None, one number for each class.

    Returns:
      A scalar, or `(classes,)`; 0 where a class was never predicted.

    Raises:
      ValueError: if the matrix is not square, or the average unknown.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.precision(jnp.array([[3.0, 1.0], [0.0, 4.0]]), average=None).tolist()
      [1.0, 0.800000011920929]
    """
    hits, labelled, predicted = _margins("precision", matrix)
    return _average("precision", hits, predicted, labelled, labelled + predicted, average)


def recall(matrix: jax.Array, *, average: Average | None = "macro") -> jax.Array:
    """Of the samples of a class, the share that is predicted as it: `hits / labelled`.

    Args:
      matrix: `(classes, classes)`, see `confusion_matrix`.
      average: as in `precision`.

    Returns:
      A scalar, or `(classes,)`; 0 where a class has no samples.

    Raises:
      ValueError: if the matrix is not square, or the average unknown.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.recall(jnp.array([[3.0, 1.0], [0.0, 4.0]]), average=None).tolist()
      [0.75, 1.0]
    """
    hits, labelled, predicted = _margins("recall", matrix)
    return _average("recall", hits, labelled, labelled, labelled + predicted, average)


def f_score(matrix: jax.Array, *, beta: float | jax.Array = 1.0, average: Average | None = "macro") -> jax.Array:
    """Harmonic mean of precision and recall, of which recall counts `beta` times as much.

    For each class `(1 + beta^2) hits / (beta^2 labelled + predicted)`.

    Args:
      matrix: `(classes, classes)`, see `confusion_matrix`.
      beta: at least 0; may be traced.
      average: as in `precision`.

    Returns:
      A scalar, or `(classes,)`; 0 where a class occurs neither in labels nor in predictions.

    Raises:
      ValueError: if the matrix is not square, beta is negative, or the average unknown.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.f_score(jnp.array([[3.0, 1.0], [0.0, 4.0]]), average="micro").item()
      0.875
    """
    _check.within("f_score", 0, float("inf"), beta=beta)
    hits, labelled, predicted = _margins("f_score", matrix)
    square = jnp.square(jnp.asarray(beta, matrix.dtype))
    above, below = (1 + square) * hits, square * labelled + predicted
    return _average("f_score", above, below, labelled, labelled + predicted, average)


def intersection_over_union(matrix: jax.Array, *, average: Average | None = "macro") -> jax.Array:
    """Jaccard's index of each class, as for segmentation: `hits / (labelled + predicted - hits)`.

    Args:
      matrix: `(classes, classes)`, see `confusion_matrix`.
      average: as in `precision`.

    Returns:
      A scalar, or `(classes,)`; 0 where a class occurs neither in labels nor in predictions.

    Raises:
      ValueError: if the matrix is not square, or the average unknown.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.intersection_over_union(jnp.array([[3.0, 1.0], [0.0, 4.0]]), average=None).tolist()
      [0.75, 0.800000011920929]
    """
    hits, labelled, predicted = _margins("intersection_over_union", matrix)
    union = labelled + predicted - hits
    return _average("intersection_over_union", hits, union, labelled, union, average)


def balanced_accuracy(matrix: jax.Array) -> jax.Array:
    """The mean of recall over classes that have samples: accuracy if all classes were equally frequent.

    Args:
      matrix: `(classes, classes)`, see `confusion_matrix`.

    Returns:
      A scalar.

    Raises:
      ValueError: if the matrix is not square.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.balanced_accuracy(jnp.array([[3.0, 1.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 0.0]])).item()
      0.875
    """
    hits, labelled, _ = _margins("balanced_accuracy", matrix)
    return _average("balanced_accuracy", hits, labelled, labelled, labelled, "macro")


def matthews_correlation(matrix: jax.Array) -> jax.Array:
    """Matthews' correlation coefficient of labels and predictions, for any number of classes.

    Args:
      matrix: `(classes, classes)`, see `confusion_matrix`.

    Returns:
      A scalar in [-1, 1]; 0 if all samples have one label or one prediction.

    Raises:
      ValueError: if the matrix is not square.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.matthews_correlation(jnp.array([[3.0, 1.0], [1.0, 3.0]])).round(4).item()
      0.5

    Source: Gorodkin, "Comparing two K-category assignments by a K-category correlation coefficient",
      https://doi.org/10.1016/j.compbiolchem.2004.09.006.
    """
    hits, labelled, predicted = _shares("matthews_correlation", matrix)
    spreads = root(_spread(labelled, labelled)) * root(_spread(predicted, predicted))
    return jnp.clip(_ratio(_surplus(hits, labelled, predicted), spreads), -1, 1)


def cohen_kappa(matrix: jax.Array) -> jax.Array:
    """Cohen's kappa: how much more labels and predictions agree than by chance, `(observed - expected) / (1 - expected)`.

    Args:
      matrix: `(classes, classes)`, see `confusion_matrix`; it may also count the judgements of two raters.

    Returns:
      A scalar, at most 1; NaN if labels and predictions are all of one and the same class (nothing to agree on).

    Raises:
      ValueError: if the matrix is not square.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.cohen_kappa(jnp.array([[3.0, 1.0], [1.0, 3.0]])).round(4).item()
      0.5

    Source: Cohen, "A Coefficient of Agreement for Nominal Scales", https://doi.org/10.1177/001316446002000104.
    """
    hits, labelled, predicted = _shares("cohen_kappa", matrix)
    return _surplus(hits, labelled, predicted) / _spread(labelled, predicted)


def classification_report(matrix: jax.Array) -> dict[str, jax.Array]:
    """The figures of every class.

    Args:
      matrix: `(classes, classes)`, see `confusion_matrix`.

    Returns:
      A dict of `precision`, `recall`, `f_score` and `support` (samples of a class), each `(classes,)`, and `accuracy`, a scalar.

    Raises:
      ValueError: if the matrix is not square.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> report = metrics.classification_report(jnp.array([[3.0, 1.0], [0.0, 4.0]]))
      >>> report["support"].tolist(), report["accuracy"].item()
      ([4.0, 4.0], 0.875)
    """
    _, support, _ = _margins("classification_report", matrix)
    figures = {"precision": precision, "recall": recall, "f_score": f_score}
    each = {name: figure(matrix, average=None) for name, figure in figures.items()}
    return each | {"support": support, "accuracy": recall(matrix, average="micro")}


def _margins(name: str, matrix: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Of each class: hits, samples, predictions."""
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"{name}: matrix must be (classes, classes), got {_check.describe(matrix)}; see confusion_matrix")
    matrix = widen(matrix)
    return jnp.diagonal(matrix), matrix.sum(1), matrix.sum(0)


def _shares(name: str, matrix: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    hits, labelled, predicted = _margins(name, matrix)
    return tuple(_ratio(part, labelled.sum()) for part in (hits, labelled, predicted))  # type: ignore[return-value]


def _ratio(above: jax.Array, below: jax.Array) -> jax.Array:
    return jnp.where(below == 0, 0, above / divisor(below))


def _average(
    name: str, above: jax.Array, below: jax.Array, support: jax.Array, occurs: jax.Array, average: Average | None
) -> jax.Array:
    """Of the ratios `above / below` of classes."""
    if average is None:
        return _ratio(above, below)
    _check.choice(name, "average", average, ("macro", "micro", "weighted", "None"))
    if average == "micro":
        return _ratio(above.sum(), below.sum())
    weights = support if average == "weighted" else (occurs > 0).astype(support.dtype)
    return _ratio((weights * _ratio(above, below)).sum(), weights.sum())


def _surplus(hits: jax.Array, labelled: jax.Array, predicted: jax.Array) -> jax.Array:
    """Agreement above that of chance, from shares."""
    return (hits * labelled.sum() - labelled * predicted).sum()


def _spread(a: jax.Array, b: jax.Array) -> jax.Array:
    """`1 - sum_c a_c b_c` for shares that sum to 1, in a form that is exactly 0 where both are all of one class."""
    return (a * (b.sum() - b)).sum()
