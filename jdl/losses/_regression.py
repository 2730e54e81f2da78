"""Losses of real-valued predictions."""

import jax
import jax.numpy as jnp
import optax

from jdl.functional import _check
from jdl.functional._numbers import root
from jdl.functional._reduce import Reduction, reduce
from jdl.losses._arguments import pair


def mean_squared_error(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Squares the differences: `(prediction - target)^2`, averaged.

    Args:
      predictions: floating point, of any shape.
      targets: of the same shape; nothing is broadcast.
      where: bools of the leading shape, which entries count.
      weights: of the leading shape; a weight of 2 counts as two samples.
      reduction: `"mean"` (divides by the sum of weights), `"sum"` or `"none"`.

    Returns:
      A scalar, or for `"none"` an array like `predictions`; of float32 at least.

    Raises:
      TypeError: if predictions are not floating point.
      ValueError: if shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.mean_squared_error(jnp.array([1.0, 2.0]), jnp.array([1.0, 4.0])).item()
      2.0
    """
    predictions, targets = pair("mean_squared_error", predictions, targets)
    return reduce("mean_squared_error", jnp.square(predictions - targets), where, weights, reduction)


def root_mean_squared_error(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
) -> jax.Array:
    """The root of the mean squared error, in the unit of the targets: `sqrt(mean((prediction - target)^2))`.

    The root is taken of the mean over all entries, so it is no mean over samples: it has no `reduction`, and the average of what
    several batches give is not what they give together. Its gradient is 0 where the error is 0.

    Args:
      predictions: floating point, of any shape.
      targets: of the same shape; nothing is broadcast.
      where, weights: as in every loss, see `jdl.losses`.

    Returns:
      A scalar of float32 at least.

    Raises:
      TypeError: if predictions are not floating point.
      ValueError: if shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.root_mean_squared_error(jnp.array([1.0, 2.0]), jnp.array([4.0, 5.0])).item()
      3.0
    """
    predictions, targets = pair("root_mean_squared_error", predictions, targets)
    return root(reduce("root_mean_squared_error", jnp.square(predictions - targets), where, weights, "mean"))


def mean_absolute_error(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Takes the size of the differences: `|prediction - target|`, averaged. Its minimum is the median, which outliers don't move.

    Args:
      predictions: floating point, of any shape.
      targets: of the same shape; nothing is broadcast.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `predictions`; of float32 at least.

    Raises:
      TypeError: if predictions are not floating point.
      ValueError: if shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.mean_absolute_error(jnp.array([1.0, 2.0]), jnp.array([1.0, 4.0])).item()
      1.0
    """
    predictions, targets = pair("mean_absolute_error", predictions, targets)
    return reduce("mean_absolute_error", jnp.abs(predictions - targets), where, weights, reduction)


def mean_absolute_percentage_error(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    epsilon: float | jax.Array = 1e-6,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Compares differences with the size of the target: `|prediction - target| / max(|target|, epsilon)`.

    As a share, in spite of its name: 0.1 is 10 per cent.

    Args:
      predictions: floating point, of any shape.
      targets: of the same shape; nothing is broadcast.
      epsilon: what the difference is divided by where the target is nearer to 0, such as 0 itself. As such entries outweigh all
        others, set it to the smallest target that means something; at least 0, may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `predictions`; of float32 at least.

    Raises:
      TypeError: if predictions are not floating point.
      ValueError: if shapes differ, or `epsilon` is negative.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.mean_absolute_percentage_error(jnp.array([1.5, -3.0]), jnp.array([2.0, -4.0])).item()
      0.25
    """
    _check.within("mean_absolute_percentage_error", 0, float("inf"), epsilon=epsilon)
    predictions, targets = pair("mean_absolute_percentage_error", predictions, targets)
    values = jnp.abs(predictions - targets) / jnp.maximum(jnp.abs(targets), epsilon)
    return reduce("mean_absolute_percentage_error", values, where, weights, reduction)


def huber(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    delta: float | jax.Array = 1.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Half the square of a small difference `d`, and linear from `delta` on: `d^2 / 2`, or `delta (|d| - delta / 2)`.

    Divided by `delta` it is what PyTorch calls the smooth L1 loss.

    Args:
      predictions: floating point, of any shape.
      targets: of the same shape; nothing is broadcast.
      delta: the difference from which on it is linear, at least 0; may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `predictions`; of float32 at least.

    Raises:
      TypeError: if predictions are not floating point.
      ValueError: if shapes differ, or `delta` is negative.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.huber(jnp.array([0.5, 3.0]), jnp.zeros(2), reduction="none").tolist()
      [0.125, 2.5]

    Source: Huber, "Robust Estimation of a Location Parameter", https://doi.org/10.1214/aoms/1177703732.
    """
    _check.within("huber", 0, float("inf"), delta=delta)
    predictions, targets = pair("huber", predictions, targets)
    values = optax.huber_loss(predictions, targets, delta=jnp.asarray(delta, predictions.dtype))
    return reduce("huber", values, where, weights, reduction)


def log_cosh(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Logarithm of the hyperbolic cosine of the differences: `log cosh(prediction - target)`. A Huber loss with all derivatives.

    Args:
      predictions: floating point, of any shape.
      targets: of the same shape; nothing is broadcast.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `predictions`; of float32 at least.

    Raises:
      TypeError: if predictions are not floating point.
      ValueError: if shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.log_cosh(jnp.array([1000.0]), jnp.zeros(1)).round(3).item() == (1000 - jnp.log(2.0)).round(3).item()
      True
    """
    predictions, targets = pair("log_cosh", predictions, targets)
    return reduce("log_cosh", optax.log_cosh(predictions, targets), where, weights, reduction)
