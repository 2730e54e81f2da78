"""The affine map of a fully connected layer."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._bilinear import Bilinear


def dense(x: jax.Array, kernel: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """Multiplies the last axis of `x` by a matrix and adds a bias: `y = x W + b`.

    The kernel's gradient is computed as `x^T dy`. JAX's own rule computes its transpose and makes XLA's CPU code write `dy` out
    transposed, at up to twice the cost; everything else is as in `jnp.dot`.

    Args:
      x: input, `(..., in)`, floating point.
      kernel: weights, `(in, out)`, cast to the dtype of `x`.
      bias: `(out,)`, cast likewise.

    Returns:
      `(..., out)`, of the dtype of `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if the last axis of `x` is not as long as the kernel's first.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.dense(jnp.ones((4, 3)), jnp.ones((3, 2)), jnp.zeros(2))[0].tolist()
      [3.0, 3.0]
    """
    x = _check.floating("dense", x)
    if x.ndim == 0 or kernel.ndim != 2 or x.shape[-1] != kernel.shape[0]:
        wants = f"takes {kernel.shape[0]} features" if kernel.ndim == 2 else f"must be (in, out), got {_check.describe(kernel)}"
        raise ValueError(f"dense: kernel {wants}, x is {_check.describe(x)}")
    y = _product(x, kernel.astype(x.dtype))
    return y if bias is None else y + jnp.expand_dims(bias.astype(x.dtype), range(y.ndim - 1))


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


def _to_kernel_by_rows(x: jax.Array, y: jax.Array) -> jax.Array:  # over several axes, XLA's CPU code would write x out transposed
    return _to_kernel(x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1]))


def _to_y(x: jax.Array, kernel: jax.Array) -> jax.Array:
    return jnp.tensordot(x, kernel, 1)


_form = Bilinear(maps=(_to_x, _to_kernel, _to_y), cpu=(_to_x, _to_kernel_by_rows, _to_y))
