"""Traces and diagonals of Hessians, estimated from products with random signs."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jdl.curvature._products import hessian_vector_product
from jdl.functional import _check
from jdl.functional._numbers import widen


class Estimate(NamedTuple):
    """A mean over random draws.

    Attributes:
      value: the mean.
      standard_error: its standard error, estimated from the same draws.
    """

    value: jax.Array
    standard_error: jax.Array


def hessian_trace(key: jax.Array, function: Callable[[Any], jax.Array], params: Any, *, samples: int = 32) -> Estimate:
    """Estimates the trace of a Hessian by the mean of `v^T H v` over vectors `v` of random signs (Hutchinson).

    The estimate is unbiased, and exact where the Hessian is diagonal; its variance is `2 sum_{i != j} H_ij^2 / samples`.

    Args:
      key: a typed key.
      function: `params -> scalar`.
      params: a tree of arrays.
      samples: products to take, at least 2; one is held in memory at a time.

    Returns:
      An Estimate, two scalars: the value and its standard error.

    Raises:
      ValueError: if there are fewer than 2 samples.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import curvature
      >>> square = lambda w: (jnp.arange(1.0, 4.0) * w**2).sum()
      >>> curvature.hessian_trace(jax.random.key(0), square, jnp.ones(3)).value.item()
      12.0

    Source: Hutchinson, "A Stochastic Estimator of the Trace of the Influence Matrix for Laplacian Smoothing Splines",
    https://doi.org/10.1080/03610919008812866.
    """
    if samples == 1:
        raise ValueError("hessian_trace: samples must be at least 2, for a standard error, got 1")
    _check.positive("hessian_trace", samples=samples)

    def one(key: jax.Array) -> jax.Array:
        return jax.tree.reduce(jnp.add, jax.tree.map(jnp.sum, _signed(key, function, params)))

    values = jax.lax.map(one, jax.random.split(key, samples))
    return Estimate(values.mean(), values.std(ddof=1) / samples**0.5)


def hessian_diagonal(key: jax.Array, function: Callable[[Any], jax.Array], params: Any, *, samples: int = 32) -> Any:
    """Estimates the diagonal of a Hessian by the mean of `v * H v` over vectors `v` of random signs.

    The estimate is unbiased, and exact where the Hessian is diagonal; the variance of entry `i` is `sum_{j != i} H_ij^2 / samples`.

    Args:
      key: a typed key.
      function: `params -> scalar`.
      params: a tree of arrays.
      samples: products to take, at least 1; one is held in memory at a time.

    Returns:
      A tree like `params`, of float32 at least.

    Raises:
      ValueError: if `samples` is not positive.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import curvature
      >>> square = lambda w: (jnp.arange(1.0, 4.0) * w**2).sum()
      >>> curvature.hessian_diagonal(jax.random.key(0), square, jnp.ones(3)).tolist()
      [2.0, 4.0, 6.0]

    Source: Bekas, Kokiopoulou and Saad, "An Estimator for the Diagonal of a Matrix", https://doi.org/10.1016/j.apnum.2007.01.003.
    """
    _check.positive("hessian_diagonal", samples=samples)
    total = jax.tree.map(lambda x: jnp.zeros_like(widen(jnp.asarray(x))), params)
    add = lambda total, key: (jax.tree.map(jnp.add, total, _signed(key, function, params)), None)
    return jax.tree.map(lambda x: x / samples, jax.lax.scan(add, total, jax.random.split(key, samples))[0])


def _signed(key: jax.Array, function: Callable[[Any], jax.Array], params: Any) -> Any:
    """`v * H v` for random signs `v`, in float32 at least."""
    leaves, structure = jax.tree.flatten(params)
    keys = jax.random.split(key, len(leaves))
    signs = structure.unflatten([jax.random.rademacher(k, jnp.shape(x), jnp.result_type(x)) for k, x in zip(keys, leaves)])
    product = hessian_vector_product(function, params, signs)
    return jax.tree.map(lambda v, h: widen(v) * widen(h), signs, product)
