"""Kernels that are mostly 0."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl.functional import _check


def sparse(sparsity: float | jax.Array, stddev: float | jax.Array = 0.01) -> Callable[..., jax.Array]:
    """Draws from a normal distribution and sets a share of the weights that go into each output to 0.

    Args:
      sparsity: share of the weights of each output that are 0, in [0, 1]; their number is rounded up; may be traced.
      stddev: standard deviation of the others; may be traced.

    Returns:
      An initializer of kernels, `(..., in, out)`.

    Raises:
      ValueError: if `sparsity` is a number outside [0, 1]; when called, if the shape has less than two axes.

    Example:
      >>> import jax
      >>> from jdl import initializers
      >>> (initializers.sparse(0.75)(jax.random.key(0), (8, 3)) == 0).sum(0).tolist()
      [6, 6, 6]

    Source: Martens, "Deep learning via Hessian-free optimization", https://www.cs.toronto.edu/~jmartens/docs/Deep_HessianFree.pdf.
    """
    _check.within("sparse", 0, 1, sparsity=sparsity)

    def init(key: Any, shape: Any, dtype: Any = None) -> jax.Array:
        if len(shape) < 2:
            raise ValueError(f"sparse: the shape must be (..., in, out), got {tuple(shape)}")
        values, order = jax.random.split(key)
        kernel = initializers.normal(1.0)(values, shape, dtype)
        rank = jnp.broadcast_to(jnp.arange(kernel.size // shape[-1])[:, None], (kernel.size // shape[-1], shape[-1]))
        rank = jax.random.permutation(order, rank, axis=0, independent=True).reshape(shape)
        zeros = jnp.ceil(sparsity * (kernel.size // shape[-1]))
        return jnp.where(rank < zeros, jnp.zeros((), kernel.dtype), kernel * jnp.asarray(stddev, kernel.dtype))

    return init
