"""What a vector-quantised autoencoder adds to its reconstruction."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._reduce import Reduction, reduce


def vector_quantization(
    encoded: jax.Array,
    codes: jax.Array,
    *,
    commitment: float | jax.Array = 0.25,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """VQ-VAE's terms of codebook and commitment: `(sg(encoded) - code)^2 + commitment (encoded - sg(code))^2`, `sg` a constant.

    The first moves codes to what is encoded, the second the encoder to its codes. Each is a mean over entries like the usual
    reconstruction error; what passes the decoder's gradient to the encoder is `functional.straight_through`.

    Args:
      encoded: the encoder's output, floating point, of any shape.
      codes: the code chosen for each vector, of the same shape: `codebook[index]`.
      commitment: what the second term counts, at least 0; may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `encoded`; of float32 at least.

    Raises:
      TypeError: if an array is not floating point.
      ValueError: if shapes differ, or `commitment` is a negative number.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.vector_quantization(jnp.array([[1.0, 3.0]]), jnp.array([[1.0, 1.0]])).item()
      2.5

    Source: van den Oord et al., "Neural Discrete Representation Learning", https://arxiv.org/abs/1711.00937.
    """
    _check.within("vector_quantization", 0, float("inf"), commitment=commitment)
    encoded = widen(_check.floating("vector_quantization", encoded, "encoded"))
    codes = widen(_check.floating("vector_quantization", codes, "codes"))
    _check.same_shape("vector_quantization", encoded=encoded, codes=codes)
    constant = jax.lax.stop_gradient
    values = jnp.square(constant(encoded) - codes) + commitment * jnp.square(encoded - constant(codes))
    return reduce("vector_quantization", values, where, weights, reduction)
