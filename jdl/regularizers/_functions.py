"""Penalties on the derivatives of a function with respect to its inputs."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._reduce import Reduction, reduce
from jdl.functional._unit_norm import unit_norm


def jacobian(
    key: jax.Array,
    function: Callable[[jax.Array], jax.Array],
    x: jax.Array,
    *,
    projections: int = 1,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Estimates the squared Frobenius norm of each sample's Jacobian: `outputs * mean_v |v'J|^2` for random v of length 1.

    The estimate is unbiased, and costs one backward pass for each projection. Small Jacobians make predictions robust to noise.

    Args:
      key: a typed key.
      function: from `(batch, ...)` to `(batch, ...)`; no sample's outputs may depend on another sample.
      x: inputs, `(batch, ...)`, floating point.
      projections: how many v are drawn for each sample.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if `x` or what the function returns is not floating point.
      ValueError: if `projections` is not positive, or the function does not return a batch.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import regularizers
      >>> round(regularizers.jacobian(jax.random.key(0), lambda x: 3 * x, jnp.ones((2, 4))).item(), 3)  # |3 I|^2
      36.0

    Source: Hoffman, Roberts and Yaida, "Robust Learning with Jacobian Regularization", https://arxiv.org/abs/1908.02729.
    """
    _check.positive("jacobian", projections=projections)
    outputs, backward = jax.vjp(function, _check.floating("jacobian", x))
    _batch("jacobian", x, outputs)
    size = math.prod(outputs.shape[1:])
    directions = jax.random.normal(key, (projections, outputs.shape[0], size), jnp.promote_types(outputs.dtype, jnp.float32))
    directions = unit_norm(directions).reshape(projections, *outputs.shape).astype(outputs.dtype)
    (pulled,) = jax.vmap(backward)(directions)
    values = size * jnp.square(widen(pulled)).sum(range(2, pulled.ndim)).mean(0)
    return reduce("jacobian", values, where, weights, reduction)


def gradient_penalty(
    function: Callable[[jax.Array], jax.Array],
    x: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """The squared norm of each sample's gradient with respect to its inputs: `|df(x)/dx|^2` (double backpropagation).

    Args:
      function: from `(batch, ...)` to one number for each sample, `(batch,)` or `(batch, 1)`; none may depend on another sample.
      x: inputs, `(batch, ...)`, floating point.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if `x` or what the function returns is not floating point.
      ValueError: if the function does not return one number for each sample.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> regularizers.gradient_penalty(lambda x: jnp.square(x).sum(-1), jnp.array([[1.0, 2.0], [0.0, 0.0]])).item()
      10.0

    Source: Drucker and LeCun, "Improving generalization performance using double backpropagation",
    https://doi.org/10.1109/72.165600.
    """
    outputs, backward = jax.vjp(function, _check.floating("gradient_penalty", x))
    _batch("gradient_penalty", x, outputs)
    if math.prod(outputs.shape[1:]) != 1:
        raise ValueError(f"gradient_penalty: function must return one number for each sample, got {_check.describe(outputs)}")
    (gradient,) = backward(jnp.ones_like(outputs))
    values = jnp.square(widen(gradient)).sum(range(1, gradient.ndim))
    return reduce("gradient_penalty", values, where, weights, reduction)


def _batch(name: str, x: jax.Array, outputs: jax.Array) -> None:
    _check.floating(name, outputs, "what function returns")
    if x.ndim == 0 or outputs.shape[:1] != x.shape[:1]:
        raise ValueError(f"{name}: x and what function returns must be batches, got {_check.describe((x, outputs))}")
