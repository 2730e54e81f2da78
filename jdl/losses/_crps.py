"""The continuous ranked probability score: the absolute error of a prediction that is a distribution."""

import math

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._reduce import Reduction, reduce
from jdl.losses._arguments import FLOOR, align, at_least, floating, outputs


def gaussian_crps(
    predictions: tuple[jax.Array, jax.Array],
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Continuous ranked probability score of a Gaussian: `scale (z erf(z / sqrt(2)) + 2 phi(z) - 1 / sqrt(pi))`.

    Where `z = (target - mean) / scale` and `phi` is the standard normal density. It is in the unit of the targets, and bears
    outliers better than `gaussian_nll`.

    Args:
      predictions: `(mean, scale)`, each of the shape of `targets`; floating point. Scales below 1e-6 count as 1e-6, with the
        gradient of it.
      targets: real values; nothing is broadcast.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `targets`; of float32 at least.

    Raises:
      TypeError: if predictions are not a tuple of two floating-point arrays.
      ValueError: if shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> f"{losses.gaussian_crps((jnp.zeros(1), jnp.ones(1)), jnp.array([10.0])):.3f}"
      '9.436'

    Source: Gneiting and Raftery, "Strictly Proper Scoring Rules, Prediction, and Estimation",
    https://doi.org/10.1198/016214506000001437.
    """
    (mean, scale), targets = outputs("gaussian_crps", ("mean", "scale"), predictions, targets)
    scale = at_least(scale, FLOOR)
    errors = targets - mean
    z = errors / (math.sqrt(2) * scale)
    values = errors * jax.lax.erf(z) + scale * (math.sqrt(2) * jnp.exp(-jnp.square(z)) - 1) / math.sqrt(math.pi)
    return reduce("gaussian_crps", values, where, weights, reduction)


def ensemble_crps(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    fair: bool = True,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Continuous ranked probability score of an ensemble: `mean_i |x_i - y| - mean_ij |x_i - x_j| / 2`.

    For ensembles, or for samples that a network draws. It costs a sort, and no pairs are formed.

    Args:
      predictions: (..., members), floating point.
      targets: (...), real values; nothing is broadcast.
      fair: whether members are samples of a distribution whose score is wanted: the second mean is over pairs of different
        members, which makes it unbiased. Otherwise the score is that of the members alone, over all pairs.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `targets`; of float32 at least.

    Raises:
      TypeError: if predictions are not floating point.
      ValueError: if shapes don't fit, or a fair score is asked of one member.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> members, targets = jnp.array([[1.0, 3.0]]), jnp.array([2.0])
      >>> losses.ensemble_crps(members, targets).item(), losses.ensemble_crps(members, targets, fair=False).item()
      (0.0, 0.5)

    Source: Ferro, "Fair scores for ensemble forecasts", https://doi.org/10.1002/qj.2270.
    """
    members, targets = floating("ensemble_crps", ("predictions",), (predictions,))["predictions"], _check.array(targets)
    least = 2 if fair else 1
    if members.ndim == 0 or members.shape[:-1] != targets.shape or members.shape[-1] < least:
        takes = f"predictions (..., members) with at least {least} members, and targets (...)"
        raise ValueError(f"ensemble_crps: takes {takes}, got {_check.describe(members)} and {_check.describe(targets)}")
    (members,), targets = align(members, targets=targets)
    errors = jnp.sort(members - jnp.expand_dims(targets, -1))
    count = errors.shape[-1]
    rank = 2 * jnp.arange(count, dtype=errors.dtype) - (count - 1)  # how often a member is the larger of a pair, less the smaller
    spread = (errors * jnp.expand_dims(rank, range(errors.ndim - 1))).sum(-1) / (count * (count - 1 if fair else count))
    return reduce("ensemble_crps", jnp.abs(errors).mean(-1) - spread, where, weights, reduction)
