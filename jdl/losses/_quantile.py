"""Losses whose minimum is not the mean but a quantile or an expectile."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._reduce import Reduction, reduce


def quantile(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    level: float | jax.Array = 0.5,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """The pinball loss of `d = target - prediction`: `max(level d, (level - 1) d)`. Its minimum is the quantile of this level.

    Args:
      predictions: floating point, of any shape; for several levels with one more axis, the last, that is as long as `level`.
      targets: of the same shape, without the axis of levels.
      level: in [0, 1], or an array of several; may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `predictions`; of float32 at least.

    Raises:
      TypeError: if predictions are not floating point.
      ValueError: if shapes don't fit, or `level` is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> predictions, levels = jnp.array([[1.0, 2.0, 5.0]]), jnp.array([0.25, 0.5, 0.75])
      >>> losses.quantile(predictions, jnp.array([3.0]), level=levels, reduction="none").tolist()
      [[0.5, 0.5, 0.5]]

    Source: Koenker and Bassett, "Regression Quantiles", https://doi.org/10.2307/1913643.
    """
    level, differences = _differences("quantile", predictions, targets, level)
    return reduce("quantile", jnp.maximum(level * differences, (level - 1) * differences), where, weights, reduction)


def expectile(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    level: float | jax.Array = 0.5,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Squares `d = target - prediction` and weighs its sign: `level d^2` for positive ones and `(1 - level) d^2` for negative ones.

    Its minimum is the expectile of this level, which is to the mean what a quantile is to the median; of 0.5, the mean.

    Args:
      predictions: floating point, of any shape; for several levels with one more axis, the last, that is as long as `level`.
      targets: of the same shape, without the axis of levels.
      level: in [0, 1], or an array of several; may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `predictions`; of float32 at least.

    Raises:
      TypeError: if predictions are not floating point.
      ValueError: if shapes don't fit, or `level` is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.expectile(jnp.array([1.0, 5.0]), jnp.array([3.0, 3.0]), level=0.75, reduction="none").tolist()
      [3.0, 1.0]

    Source: Newey and Powell, "Asymmetric Least Squares Estimation and Testing", https://doi.org/10.2307/1911031.
    """
    level, differences = _differences("expectile", predictions, targets, level)
    return reduce("expectile", jnp.where(differences > 0, level, 1 - level) * jnp.square(differences), where, weights, reduction)


def _differences(name: str, predictions: jax.Array, targets: jax.Array, level: float | jax.Array) -> tuple[jax.Array, jax.Array]:
    """Levels and what they weigh, of as many axes as predictions."""
    _check.within(name, 0, 1, level=level)
    predictions, targets = widen(_check.floating(name, predictions, "predictions")), _check.array(targets)
    if jnp.ndim(level) > 1 or predictions.shape != (*targets.shape, *jnp.shape(level)):
        takes = f"of shape {[*targets.shape, *jnp.shape(level)]} for targets {_check.describe(targets)} and level of shape"
        raise ValueError(f"{name}: predictions must be {takes} {list(jnp.shape(level))}, got {_check.describe(predictions)}")
    axes = predictions.ndim - jnp.ndim(level)
    level = jnp.expand_dims(jnp.asarray(level, predictions.dtype), range(axes))
    targets = jnp.expand_dims(jnp.asarray(targets, predictions.dtype), range(axes, predictions.ndim) if jnp.ndim(level) else ())
    return level, targets - predictions
