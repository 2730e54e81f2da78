"""Distance of directions."""

import jax
import jax.numpy as jnp

from jdl.functional._reduce import Reduction, reduce
from jdl.functional._unit_norm import unit_norm
from jdl.losses._arguments import pair


def cosine_distance(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """One minus the cosine of the angle between vectors: `1 - p.t / (|p| |t|)`, between 0 and 2.

    A vector of zeros has no direction: its distance to every other is 1, with gradient 0.

    Args:
      predictions: floating point, with vectors along `axis`.
      targets: of the same shape; nothing is broadcast.
      axis: the axis that vectors lie along.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` one number for each vector; of float32 at least.

    Raises:
      TypeError: if predictions are not floating point.
      ValueError: if shapes differ, or there is no axis.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> predictions, targets = jnp.array([[2.0, 0.0], [0.0, 1.0]]), jnp.array([[1.0, 0.0], [0.0, -3.0]])
      >>> losses.cosine_distance(predictions, targets, reduction="none").tolist()
      [0.0, 2.0]
    """
    predictions, targets = pair("cosine_distance", predictions, targets)
    directions = _direction(predictions, axis), _direction(targets, axis)
    return reduce("cosine_distance", 1 - (directions[0] * directions[1]).sum(axis), where, weights, reduction)


def _direction(x: jax.Array, axis: int) -> jax.Array:
    return jnp.where((x != 0).any(axis, keepdims=True), unit_norm(x, axis=axis), 0)
