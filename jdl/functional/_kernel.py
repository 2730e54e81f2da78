"""What functions of a kernel share: it is seen as a matrix, `(everything, out)`, in float32 at least."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check


def matrix(name: str, kernel: Any, what: str = "kernel") -> jax.Array:
    """A kernel of any rank as `(everything, out)`, in float32 at least; raises unless it is real and has an axis."""
    if not hasattr(kernel, "dtype") or not jnp.issubdtype(kernel.dtype, jnp.floating):
        raise TypeError(f"{name}: {what} must be floating point, got {_check.describe(kernel)}")
    if kernel.ndim == 0:
        raise ValueError(f"{name}: {what} must be (..., out), got {_check.describe(kernel)}")
    wide = jnp.asarray(kernel).astype(jnp.promote_types(kernel.dtype, jnp.float32))
    return wide.reshape(math.prod(kernel.shape[:-1]), kernel.shape[-1])


def like(kernel: Any, made: jax.Array) -> jax.Array:
    """A matrix with the shape and dtype of the kernel that it was."""
    return made.reshape(kernel.shape).astype(kernel.dtype)


def per_output(name: str, what: str, vector: Any, kernel: Any) -> jax.Array:
    """A vector with an entry for each output as `(1, out)`, in float32 at least; raises ValueError if its size is another."""
    if vector.shape != kernel.shape[-1:]:
        raise ValueError(f"{name}: {what} is {_check.describe(vector)}, kernel is {_check.describe(kernel)}")
    return jnp.expand_dims(jnp.asarray(vector).astype(jnp.promote_types(vector.dtype, jnp.float32)), 0)
