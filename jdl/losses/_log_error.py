"""Losses of predictions whose ratio to the target counts."""

import jax
import jax.numpy as jnp

from jdl.functional._numbers import root
from jdl.functional._reduce import Reduction, reduce
from jdl.losses._arguments import at_least, not_negative, pair


def mean_squared_log_error(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Squares the differences of logarithms: `(log(1 + prediction) - log(1 + target))^2`. For amounts over several magnitudes.

    Args:
      predictions: floating point, of any shape; negative ones count as 0, with the gradient of 0.
      targets: of the same shape, at least 0; nothing is broadcast.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `predictions`; of float32 at least.

    Raises:
      TypeError: if predictions are not floating point.
      ValueError: if shapes differ, or targets are negative where the host can see them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.mean_squared_log_error(jnp.expm1(jnp.array([1.0, 2.0])), jnp.expm1(jnp.array([3.0, 2.0]))).round(3).item()
      2.0
    """
    values = _squared_log_error("mean_squared_log_error", predictions, targets)
    return reduce("mean_squared_log_error", values, where, weights, reduction)


def root_mean_squared_log_error(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
) -> jax.Array:
    """The root of the mean squared log error: `sqrt(mean((log(1 + prediction) - log(1 + target))^2))`.

    Like `root_mean_squared_error` it is no mean over samples, so it has no `reduction`.

    Args:
      predictions: floating point, of any shape; negative ones count as 0, with the gradient of 0.
      targets: of the same shape, at least 0; nothing is broadcast.
      where, weights: as in every loss, see `jdl.losses`.

    Returns:
      A scalar of float32 at least.

    Raises:
      TypeError: if predictions are not floating point.
      ValueError: if shapes differ, or targets are negative where the host can see them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.root_mean_squared_log_error(jnp.expm1(jnp.array([1.0, 2.0])), jnp.expm1(jnp.array([3.0, 4.0]))).round(3).item()
      2.0
    """
    values = _squared_log_error("root_mean_squared_log_error", predictions, targets)
    return root(reduce("root_mean_squared_log_error", values, where, weights, "mean"))


def _squared_log_error(name: str, predictions: jax.Array, targets: jax.Array) -> jax.Array:
    not_negative(name, targets)
    predictions, targets = pair(name, predictions, targets)
    return jnp.square(jnp.log1p(at_least(predictions, 0.0)) - jnp.log1p(targets))
