"""The affine map of a fully connected layer."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._bias import add_bias
from jdl.functional._bilinear import Bilinear

_LARGE = 2**24  # multiplications


def dense(x: jax.Array, kernel: jax.Array, bias: jax.Array | None = None, *, axis: int | Sequence[int] = -1) -> jax.Array:
    """Multiplies the last axis of `x`, or some axes, by a matrix and adds a bias: `y = x W + b`.

    The kernel's gradient is computed as `x^T dy`. JAX's own rule computes its transpose and makes XLA's CPU code write `dy` out
    transposed, at up to twice the cost; everything else is as in `jnp.dot`.

    Args:
      x: input, `(..., in)`, floating point.
      kernel: weights, `(in, out)`, cast to the dtype of `x`; `(*in, *out)` with several axes of the input, or of the output.
      bias: `(out,)`, or `(*out,)`, cast likewise.
      axis: the axis of `x` that is multiplied, or several, in the order of the kernel's.

    Returns:
      `(..., out)`, or `(..., *out)`, of the dtype of `x`: the axes that are left, then those of the output.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if an axis of `x` is not as long as the kernel's.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.dense(jnp.ones((4, 3)), jnp.ones((3, 2)), jnp.zeros(2))[0].tolist()
      [3.0, 3.0]
      >>> functional.dense(jnp.ones((4, 5, 3)), jnp.ones((5, 3, 2, 7)), axis=(1, 2)).shape
      (4, 2, 7)
    """
    x = _check.floating("dense", x)
    axes = tuple(axis) if isinstance(axis, Sequence) else (axis,)
    into, out = kernel.shape[: len(axes)], kernel.shape[len(axes) :]
    if not axes or not out:
        wants = "(in, out)" if len(axes) == 1 else f"(*in, *out) with {len(axes)} axes in"
        raise ValueError(f"dense: kernel must be {wants}, got {_check.describe(kernel)}, x is {_check.describe(x)}")
    if lengths(x, axes) != into:
        takes = f"{into[0]} features" if axes == (-1,) else f"{list(into)} features along {list(axes)}"
        raise ValueError(f"dense: kernel takes {takes}, x is {_check.describe(x)}")
    x = jnp.moveaxis(x, axes, range(-len(axes), 0))
    leading = x.shape[: x.ndim - len(axes)]
    rows, matrix = x.reshape(*leading, math.prod(into)), kernel.reshape(math.prod(into), math.prod(out))
    y = _product(rows, matrix.astype(x.dtype)).reshape(*leading, *out)
    return y if bias is None else add_bias(y, bias)


def lengths(x: Any, axes: Sequence[int]) -> tuple[int, ...]:
    """How long the axes of `x` are; nothing if it lacks one, or one is named twice."""
    there = all(-x.ndim <= axis < x.ndim for axis in axes)
    return tuple(x.shape[axis] for axis in axes) if there and len({axis % x.ndim for axis in axes}) == len(axes) else ()


@jax.custom_jvp
def _product(x: jax.Array, kernel: jax.Array) -> jax.Array:  # a plain product, which rematerialisation policies recognise
    return _to_y(x, kernel)


def _product_jvp(primals, tangents):
    (x, kernel), (dx, dkernel) = primals, tangents
    y = _product(x, kernel)
    products = [(dx, kernel), (x, dkernel)]
    parts = [_form(*pair) for pair in products if not any(isinstance(a, jax.custom_derivatives.SymbolicZero) for a in pair)]
    return y, sum(parts[1:], parts[0]) if parts else jnp.zeros_like(y)


_product.defjvp(_product_jvp, symbolic_zeros=True)


def _to_x(kernel: jax.Array, y: jax.Array) -> jax.Array:
    return jax.lax.dot_general(y, kernel, (((y.ndim - 1,), (1,)), ((), ())))


def _to_kernel(x: jax.Array, y: jax.Array) -> jax.Array:
    leading = tuple(range(x.ndim - 1))
    return jax.lax.dot_general(x, y, ((leading, leading), ((), ())))


def _to_kernel_by_rows(x: jax.Array, y: jax.Array) -> jax.Array:
    """As two matrices: over several axes, XLA's CPU code would write `x` out transposed.

    Its large products of transposed matrices are faster with fewer rows than columns; the barrier keeps it from turning them back.
    """
    x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
    if y.shape[-1] < x.shape[-1] and x.size * y.shape[-1] > _LARGE:
        return jax.lax.optimization_barrier(_to_kernel(y, x)).T
    return _to_kernel(x, y)


def _to_y(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return jnp.tensordot(x, kernel, 1)


_form = Bilinear(maps=(_to_x, _to_kernel, _to_y), cpu=(_to_x, _to_kernel_by_rows, _to_y))
