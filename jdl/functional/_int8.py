"""Weights in eight bits, with a scale for every output."""

import jax
import jax.numpy as jnp

from jdl.functional import _check, _kernel


def quantize_int8(kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Rounds every weight to a multiple of its output's scale: `values = round(kernel / scale)`, `scale = max |kernel| / 127`.

    The maximum is over all axes but the last. A weight that `dequantize` makes again is off by half a scale at most (and the
    rounding of the floats). An output whose weights are all 0 has the scale 0, and stays 0.

    Args:
      kernel: `(..., out)`, floating point.

    Returns:
      int8 values in -127..127, of the kernel's shape, and the scale, `(out,)`, in float32 at least.

    Raises:
      TypeError: if `kernel` is not floating point.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> values, scale = functional.quantize_int8(jnp.array([[127.0], [-2.4]]))
      >>> values.ravel().tolist(), scale.tolist()
      ([127, -2], [1.0])

    Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
    https://arxiv.org/abs/1712.05877.
    """
    w = _kernel.matrix("quantize_int8", kernel)
    scale = jnp.abs(w).max(0, initial=0.0, keepdims=True) / 127
    values = jnp.clip(jnp.round(w / jnp.where(scale > 0, scale, 1)), -127, 127)
    return values.reshape(kernel.shape).astype(jnp.int8), scale[0]


def dequantize(values: jax.Array, scale: jax.Array) -> jax.Array:
    """Makes floating-point weights of integers and their outputs' scales: `values * scale`.

    Args:
      values: `(..., out)`, integers.
      scale: `(out,)`.

    Returns:
      An array of the shape of `values` and the dtype of `scale`.

    Raises:
      TypeError: if `values` are not integers.
      ValueError: if `scale` has another size than the last axis of `values`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.dequantize(jnp.array([[3, -2]], jnp.int8), jnp.array([0.5, 1.0])).tolist()
      [[1.5, -2.0]]
    """
    if not jnp.issubdtype(values.dtype, jnp.integer):
        raise TypeError(f"dequantize: values must be integers, got {_check.describe(values)}")
    if scale.shape != values.shape[-1:] or values.ndim == 0:
        raise ValueError(f"dequantize: scale is {_check.describe(scale)}, values are {_check.describe(values)}")
    return values.astype(scale.dtype) * jnp.expand_dims(scale, range(values.ndim - 1))
