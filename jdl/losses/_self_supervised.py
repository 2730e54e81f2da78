"""Losses of two views that need no negatives: statistics of a batch keep embeddings from collapsing.

They are statistics of the whole batch, so no sample has a loss of its own: they take `where`, and return a scalar.
"""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import root
from jdl.losses import _similarity


def barlow_twins(
    first: jax.Array,
    second: jax.Array,
    *,
    redundancy: float | jax.Array = 5e-3,
    epsilon: float = 1e-5,
    where: jax.Array | None = None,
) -> jax.Array:
    """Barlow Twins: `sum_i (1 - c_ii)^2 + redundancy sum_(i != j) c_ij^2`, with `c` the correlations of two views' features.

    It takes `(first, second)` and `where`, and no weights or reduction: it is one number for a batch.

    Args:
      first: embeddings (batch, features) of one view of each sample, floating point.
      second: those of another view, in the same order.
      redundancy: what correlations of different features count, at least 0; may be traced.
      epsilon: what is added to variances, so that a constant feature has a finite gradient.
      where: bools (batch,), which samples are there; others change nothing.

    Returns:
      A scalar of float32 at least; 0 for no sample.

    Raises:
      TypeError: if embeddings are not floating point.
      ValueError: if they are not both (batch, features), or `redundancy` is a negative number.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> view = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
      >>> losses.barlow_twins(view, view).round(3).item(), losses.barlow_twins(view, -view).round(3).item()
      (0.0, 8.0)

    Source: Zbontar et al., "Barlow Twins: Self-Supervised Learning via Redundancy Reduction", https://arxiv.org/abs/2103.03230.
    """
    _check.within("barlow_twins", 0, float("inf"), redundancy=redundancy)
    some, views = _similarity.batch("barlow_twins", where, first=first, second=second)
    count = jnp.maximum(some.sum(), 1)
    centred = [_centred(x, some) for x in views]
    one, two = (x * jax.lax.rsqrt(jnp.square(x).sum(0, keepdims=True) / count + epsilon) for x in centred)
    correlations = jnp.matmul(one.T, two, precision=jax.lax.Precision.HIGHEST) / count
    same = jnp.eye(len(correlations), dtype=bool)
    value = jnp.where(same, jnp.square(1 - correlations), redundancy * jnp.square(correlations)).sum()
    return jnp.where(some.any(), value, 0)


def vicreg(
    first: jax.Array,
    second: jax.Array,
    *,
    invariance: float | jax.Array = 25.0,
    variance: float | jax.Array = 25.0,
    covariance: float | jax.Array = 1.0,
    epsilon: float = 1e-4,
    where: jax.Array | None = None,
) -> jax.Array:
    """VICReg: the weighted sum of three terms, of which the last two are added up over both views.

    Invariance is the mean squared difference of the views; variance the mean over features of `max(0, 1 - sqrt(Var + epsilon))`;
    covariance the sum of squared covariances of different features, divided by the number of features. It takes `(first, second)`
    and `where`, and no weights or reduction: it is one number for a batch.

    Args:
      first: embeddings (batch, features) of one view of each sample, floating point.
      second: those of another view, in the same order.
      invariance: what the first term counts, at least 0; may be traced.
      variance: what the second term counts, at least 0; may be traced.
      covariance: what the third term counts, at least 0; may be traced.
      epsilon: what is added to variances, so that a constant feature has a finite gradient.
      where: bools (batch,), which samples are there; others change nothing.

    Returns:
      A scalar of float32 at least; 0 for no sample.

    Raises:
      TypeError: if embeddings are not floating point.
      ValueError: if they are not both (batch, features), or a weight is a negative number.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> view = jnp.array([[2.0, 2.0], [2.0, -2.0], [-2.0, 2.0], [-2.0, -2.0]])
      >>> losses.vicreg(view, view).item(), losses.vicreg(view, view + 2).item()
      (0.0, 100.0)

    Source: Bardes et al., "VICReg: Variance-Invariance-Covariance Regularization for Self-Supervised Learning",
    https://arxiv.org/abs/2105.04906.
    """
    _check.within("vicreg", 0, float("inf"), invariance=invariance, variance=variance, covariance=covariance)
    some, views = _similarity.batch("vicreg", where, first=first, second=second)
    value = invariance * jnp.square(views[0] - views[1]).mean(1).sum() / jnp.maximum(some.sum(), 1)
    for x in views:
        x = _centred(x, some)
        products = jnp.matmul(x.T, x, precision=jax.lax.Precision.HIGHEST) / jnp.maximum(some.sum() - 1, 1)
        low = jax.nn.relu(1 - root(jnp.diagonal(products) + epsilon))
        between = jnp.where(jnp.eye(len(products), dtype=bool), 0, products)
        value += variance * low.mean() + covariance * jnp.square(between).sum() / len(products)
    return jnp.where(some.any(), value, 0)


def _centred(x: jax.Array, some: jax.Array) -> jax.Array:
    """Samples less the mean over those that are there; zeros for others."""
    there = jnp.expand_dims(some, 1)
    mean = x.sum(0, keepdims=True) / jnp.maximum(some.sum(), 1)
    return jnp.where(there, x - mean, 0)
