"""Losses of real-valued predictions."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._reduce import Reduction, reduce


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
      ValueError: if shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.mean_squared_error(jnp.array([1.0, 2.0]), jnp.array([1.0, 4.0])).item()
      2.0
    """
    targets = _check.array(targets)
    _check.same_shape("mean_squared_error", predictions=predictions, targets=targets)
    wide = jnp.promote_types(predictions.dtype, jnp.float32)
    return reduce("mean_squared_error", jnp.square(predictions.astype(wide) - targets.astype(wide)), where, weights, reduction)
