"""Vectors in place of which their nearest codes go on."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._embedding import embedding
from jdl.functional._numbers import widen
from jdl.functional._straight_through import straight_through


def vector_quantize(x: jax.Array, codebook: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Replaces every vector by its nearest code: `y = codebook[i]` with `i = argmin_k |x - codebook[k]|^2`.

    The gradient goes straight through, as if `y` were `x`, and none goes to the codebook: what moves codes to vectors is
    `losses.vector_quantization(x, embedding(i, codebook))`.

    Args:
      x: vectors, `(..., features)`, floating point.
      codebook: `(codes, features)`, cast to the dtype of `x` in the output.

    Returns:
      `(y, i)`: an array like `x`, and integers `(...)` in 0..codes-1. Distances are computed in float32 at least; of codes that are
      equally near it is the first.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if the codebook is no matrix with the features of `x`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> y, indices = functional.vector_quantize(jnp.array([[0.9, 0.2], [-3.0, 0.0]]), jnp.array([[1.0, 0.0], [-1.0, 0.0]]))
      >>> y.tolist(), indices.tolist()
      ([[1.0, 0.0], [-1.0, 0.0]], [0, 1])

    Source: van den Oord et al., "Neural Discrete Representation Learning", https://arxiv.org/abs/1711.00937, section 3.1.
    """
    x = _check.floating("vector_quantize", x)
    codebook = _check.floating("vector_quantize", codebook, "codebook")
    if codebook.ndim != 2 or not len(codebook) or x.shape[-1:] != codebook.shape[1:]:
        wants = "codebook must be (codes, features) with the features of x"
        raise ValueError(f"vector_quantize: {wants}, got {_check.describe(codebook)}, x is {_check.describe(x)}")
    indices = _nearest(*jax.lax.stop_gradient((widen(x), widen(codebook))))
    return straight_through(embedding(indices, codebook.astype(x.dtype)), x), indices


def _nearest(x: jax.Array, codebook: jax.Array) -> jax.Array:
    centre = codebook.mean(0, keepdims=True)  # far from the origin, differences of squares would lose their digits
    rows, codes = x.reshape(-1, x.shape[-1]) - centre, codebook - centre
    products = jnp.matmul(rows, codes.T, precision=jax.lax.Precision.HIGHEST)
    distances = jnp.expand_dims(jnp.square(codes).sum(1) / 2, 0) - products  # half the square, less what all codes share
    return distances.argmin(1).reshape(x.shape[:-1])
