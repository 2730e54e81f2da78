"""Distances between two distributions that are known by samples: sets of points."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import divisor, root, widen


def points(name: str, x: jax.Array, y: jax.Array, x_weights: jax.Array | None, y_weights: jax.Array | None) -> list[jax.Array]:
    """Two sets of points, those of weight 0 as zeros, and their weights, in float32 at least; raises unless they fit."""
    found = []
    for what, these, weights in (("x", x, x_weights), ("y", y, y_weights)):
        if jnp.ndim(these) != 2 or these.shape[1] != x.shape[1]:
            raise ValueError(f"{name}: x and y must be (points, features), got {_check.describe(x)} and {_check.describe(y)}")
        wide = widen(_check.floating(name, these, what))
        given = jnp.ones(len(these), wide.dtype) if weights is None else jnp.asarray(weights, wide.dtype)
        if given.shape != wide.shape[:1]:
            raise ValueError(f"{name}: {what}_weights must have the shape {list(wide.shape[:1])}, got {_check.describe(weights)}")
        found.append((jnp.where(jnp.expand_dims(given, 1) == 0, 0, wide), given))
    (x, p), (y, q) = found
    return [x, y, p, q]


def squared_distances(x: jax.Array, y: jax.Array) -> jax.Array:
    """Of every point of `x` to every one of `y`: of differences, which cancel less than norms and products do."""
    return jnp.square(jnp.expand_dims(x, 1) - jnp.expand_dims(y, 0)).sum(-1)


def maximum_mean_discrepancy(
    x: jax.Array,
    y: jax.Array,
    *,
    bandwidths: float | jax.Array = 1.0,
    unbiased: bool = False,
    x_weights: jax.Array | None = None,
    y_weights: jax.Array | None = None,
) -> jax.Array:
    """Squared distance between mean embeddings of two sets of points: `E k(x, x') + E k(y, y') - 2 E k(x, y)`.

    The kernel is `exp(-|x - y|^2 / (2 bandwidth^2))`, averaged over bandwidths. To make generated or encoded points look like
    samples of a distribution. It is one number for two sets, so it has no `reduction`.

    Args:
      x: points, of shape `(n, features)`.
      y: others, of shape `(m, features)`.
      bandwidths: above 0, a number or several, of the size of typical distances; may be traced.
      unbiased: whether a point is not compared with itself: right on average, but possibly negative; needs two points in each set.
      x_weights: of shape `(n,)`, at least 0; a weight of 2 counts as two points, one of 0 as none.
      y_weights: likewise, of shape `(m,)`.

    Returns:
      A scalar of float32 at least.

    Raises:
      TypeError: if points are not floating point.
      ValueError: if shapes don't fit, or a bandwidth is not positive.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> f"{losses.maximum_mean_discrepancy(jnp.array([[0.0]]), jnp.array([[1.0]])):.4f}"  # 2 - 2 exp(-1 / 2)
      '0.7869'

    Source: Gretton et al., "A Kernel Two-Sample Test", https://jmlr.org/papers/v13/gretton12a.html.
    """
    name = "maximum_mean_discrepancy"
    _check.above_zero(name, bandwidths=bandwidths)
    x, y, p, q = points(name, x, y, x_weights, y_weights)
    widths = jnp.asarray(bandwidths, x.dtype).reshape(-1, 1, 1)

    def kernel(x: jax.Array, y: jax.Array) -> jax.Array:
        return jnp.exp(-jnp.expand_dims(squared_distances(x, y), 0) / (2 * jnp.square(widths))).mean(0)

    own = _mean(kernel(x, x), p, p, apart=unbiased) + _mean(kernel(y, y), q, q, apart=unbiased)
    return own - 2 * _mean(kernel(x, y), p, q)


def energy_distance(
    x: jax.Array, y: jax.Array, *, x_weights: jax.Array | None = None, y_weights: jax.Array | None = None
) -> jax.Array:
    """Compares distances between two sets of points with those within: `2 E |x - y| - E |x - x'| - E |y - y'|`.

    At least 0, and 0 only for the same distribution; unlike `maximum_mean_discrepancy` it has no bandwidth to choose. It is the
    square of what `scipy.stats.energy_distance` gives for one feature. One number for two sets, so it has no `reduction`.

    Args:
      x: points, of shape `(n, features)`.
      y: others, of shape `(m, features)`.
      x_weights: of shape `(n,)`, at least 0; a weight of 2 counts as two points, one of 0 as none.
      y_weights: likewise, of shape `(m,)`.

    Returns:
      A scalar of float32 at least. The gradient of a distance of 0 is 0.

    Raises:
      TypeError: if points are not floating point.
      ValueError: if shapes don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.energy_distance(jnp.array([[0.0], [1.0]]), jnp.array([[3.0]])).item()
      4.5

    Source: Szekely and Rizzo, "Energy Statistics: A Class of Statistics Based on Distances",
    https://doi.org/10.1016/j.jspi.2013.03.018.
    """
    x, y, p, q = points("energy_distance", x, y, x_weights, y_weights)
    distances = lambda x, y: root(squared_distances(x, y))
    return 2 * _mean(distances(x, y), p, q) - _mean(distances(x, x), p, p) - _mean(distances(y, y), q, q)


def _mean(values: jax.Array, p: jax.Array, q: jax.Array, apart: bool = False) -> jax.Array:
    """Over pairs of points with weights `p` and `q`; of one set, `apart` leaves out pairs of a point with itself. 0 over none."""
    pairs = jnp.outer(p, q)
    pairs = pairs - jnp.diag(p) if apart else pairs
    total = pairs.sum()
    return (pairs * values).sum() / divisor(total)
