"""Maps onto probabilities, other than softmax: its mirror image, and those that give exact zeros."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen


def softmin(x: jax.Array, axis: int = -1, where: jax.Array | None = None) -> jax.Array:
    """Gives small numbers large probabilities: `y = exp(-x) / sum(exp(-x))`.

    Args:
      x: input of any shape, floating point.
      axis: the axis that sums to 1.
      where: bools of a shape that broadcasts to that of `x`; elsewhere the probability is 0.

    Returns:
      An array like `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> [f"{p:.2f}" for p in functional.softmin(jnp.log(jnp.array([1.0, 3.0])))]
      ['0.75', '0.25']
    """
    x = _check.floating("softmin", x)
    return jax.nn.softmax(-widen(x), axis, where).astype(x.dtype)


def sparsemax(x: jax.Array, axis: int = -1, where: jax.Array | None = None) -> jax.Array:
    """Projects onto the probabilities: `y = argmin |p - x|^2 = max(x - tau, 0)`, where `tau` makes the sum 1.

    Args:
      x: scores of any shape, floating point.
      axis: the axis that sums to 1.
      where: bools of a shape that broadcasts to that of `x`; elsewhere the probability is 0. Where all are masked, all are 0.

    Returns:
      An array like `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `x` is a scalar.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.sparsemax(jnp.array([1.0, 0.5, -2.0])).tolist()
      [0.75, 0.25, 0.0]

    Source: Martins and Astudillo, "From Softmax to Sparsemax", https://arxiv.org/abs/1602.02068.
    """
    return _project("sparsemax", x, axis, where, lambda count, mean, variance: mean - 1 / count, lambda above: above)


def entmax15(x: jax.Array, axis: int = -1, where: jax.Array | None = None) -> jax.Array:
    """Goes halfway from softmax to sparsemax (1.5-entmax): `y = max(x / 2 - tau, 0)^2`, where `tau` makes the sum 1.

    Args:
      x: scores of any shape, floating point.
      axis: the axis that sums to 1.
      where: bools of a shape that broadcasts to that of `x`; elsewhere the probability is 0. Where all are masked, all are 0.

    Returns:
      An array like `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `x` is a scalar.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> [f"{p:.2f}" for p in functional.entmax15(jnp.array([0.4, 0.0, -9.0]))]
      ['0.64', '0.36', '0.00']

    Source: Peters, Niculae and Martins, "Sparse Sequence-to-Sequence Models", https://arxiv.org/abs/1905.05702.
    """

    def level(count: jax.Array, mean: jax.Array, variance: jax.Array) -> jax.Array:
        return mean - jnp.sqrt(jnp.maximum(1 / count - variance, 1 / count**2))  # within the support never less, up to rounding

    return _project("entmax15", x, axis, where, level, lambda above: jnp.square(above), temperature=2)


Level = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


def _project(name: str, x: jax.Array, axis: int, where: jax.Array | None, level: Level, power: Callable, temperature: int = 1):
    """`power(x / temperature - tau)` on the support; `level` finds tau from count, mean and variance of what is on it.

    The support comes from sorting, and has no gradient; tau comes from sums over the support, whose gradients are right.
    """
    x = _check.floating(name, x)
    _check.rank(name, x, range(1, 65), "at least one axis")
    valid = jnp.moveaxis(jnp.broadcast_to(True if where is None else where, x.shape), axis, -1)
    wide = jnp.moveaxis(x, axis, -1).astype(jnp.promote_types(x.dtype, jnp.float32))
    top = jax.lax.stop_gradient(wide.max(-1, keepdims=True, where=valid, initial=-jnp.inf))
    z = (wide - jnp.where(jnp.isfinite(top), top, 0)) / temperature
    support = valid & _support(jnp.where(valid, jax.lax.stop_gradient(z), -jnp.inf), level)
    inside = jnp.where(support, z, 0)
    count = jnp.maximum(support.sum(-1, keepdims=True, dtype=z.dtype), 1)
    mean = inside.sum(-1, keepdims=True) / count
    variance = jnp.where(support, jnp.square(inside - mean), 0).sum(-1, keepdims=True) / count
    p = jnp.where(support, power(inside - level(count, mean, variance)), 0)
    return jnp.moveaxis(p, -1, axis).astype(x.dtype)


def _support(z: jax.Array, level: Level) -> jax.Array:
    """Which entries of the last axis, whose largest is 0, exceed tau: those that exceed what tau would be without smaller ones."""
    ordered = jnp.sort(jnp.maximum(z, -2), axis=-1, descending=True)  # tau is at least -1, so -2 is as good as anything below
    count = jnp.expand_dims(jnp.arange(1, z.shape[-1] + 1, dtype=z.dtype), range(z.ndim - 1))
    mean = jnp.cumsum(ordered, -1) / count
    tau = level(count, mean, jnp.cumsum(jnp.square(ordered), -1) / count - jnp.square(mean))
    return z > tau.max(-1, keepdims=True, where=tau < ordered, initial=-jnp.inf)
