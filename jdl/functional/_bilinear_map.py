"""A bilinear map of two inputs."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._dense import dense


def bilinear(x1: jax.Array, x2: jax.Array, kernel: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """Multiplies two inputs by a kernel and adds a bias: `y[o] = sum_ij x1[i] W[i, j, o] x2[j] + b[o]`.

    Args:
      x1: first input, `(..., in1)`, floating point.
      x2: second input, `(..., in2)`, with the same leading axes.
      kernel: weights, `(in1, in2, out)`, cast to the dtype of the inputs.
      bias: `(out,)`, cast likewise.

    Returns:
      `(..., out)`, of the dtype of the inputs.

    Raises:
      TypeError: if an input is not floating point.
      ValueError: if the leading axes differ, or the last are not as long as the kernel's.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.bilinear(jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0]), jnp.ones((2, 2, 1))).tolist()
      [21.0]

    Source: Tenenbaum and Freeman, "Separating Style and Content with Bilinear Models", https://doi.org/10.1162/089976600300015349.
    """
    x1, x2 = _check.floating("bilinear", x1, "x1"), _check.floating("bilinear", x2, "x2")
    inputs = f"x1 is {_check.describe(x1)}, x2 is {_check.describe(x2)}"
    if kernel.ndim != 3:
        raise ValueError(f"bilinear: kernel must be (in1, in2, out), got {_check.describe(kernel)}; {inputs}")
    if x1.shape[:-1] != x2.shape[:-1]:
        raise ValueError(f"bilinear: all axes but the last must be the same, {inputs}")
    if (*x1.shape[-1:], *x2.shape[-1:]) != kernel.shape[:2]:
        raise ValueError(f"bilinear: kernel takes {kernel.shape[0]} and {kernel.shape[1]} features, {inputs}")
    products = jnp.expand_dims(x1, -1) * jnp.expand_dims(x2, -2)
    return dense(products, kernel, bias, axis=(-2, -1))
