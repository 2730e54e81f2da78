"""Folding of norms into the layers before them."""

import jax
import jax.numpy as jnp

from jdl.functional import _check


def fold_batch_norm(params: dict, norm_params: dict, norm_state: dict, *, epsilon: float = 1e-5) -> dict:
    """Folds a batch norm into the convolution or dense layer before it: `kernel * f` and `(bias - mean) * f + norm_bias`.

    The factor is `f = scale / sqrt(variance + epsilon)`. In evaluation, the layer with these params is what the layer and the norm
    were in turn, so that the norm can be left out. Any layer will do whose kernel's last axis is its output and whose bias is
    added last.

    Args:
      params: of the layer, `kernel` and, if it has one, `bias`.
      norm_params: of the norm, `scale` and `bias`, if it has them.
      norm_state: of the norm, `mean` and `variance`.
      epsilon: the norm's.

    Returns:
      Params of the layer, `kernel` and `bias`; the arithmetic is in float32 at least.

    Raises:
      ValueError: if there is no kernel, or its features are not those of the norm.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params = {"kernel": jnp.ones((2, 1))}
      >>> norm = {"scale": jnp.array([4.0]), "bias": jnp.array([1.0])}, {"mean": jnp.array([3.0]), "variance": jnp.array([4.0])}
      >>> L.fold_batch_norm(params, *norm, epsilon=0)
      {'kernel': Array([[2.],
             [2.]], dtype=float32), 'bias': Array([-5.], dtype=float32)}
    """
    _check.within("fold_batch_norm", 0, float("inf"), epsilon=epsilon)
    mean, variance = norm_state["mean"], norm_state["variance"]
    if "kernel" not in params or params["kernel"].shape[-1:] != mean.shape:
        found = f"has {params['kernel'].shape[-1]}" if "kernel" in params else f"is not among {', '.join(params) or 'no params'}"
        raise ValueError(f"fold_batch_norm: the norm has {mean.size} features, the kernel {found}")
    kernel = params["kernel"]
    dtype = jnp.promote_types(kernel.dtype, jnp.float32)
    factor = jax.lax.rsqrt(variance.astype(dtype) + epsilon) * norm_params.get("scale", jnp.ones_like(mean)).astype(dtype)
    bias = (params.get("bias", jnp.zeros_like(mean)) - mean).astype(dtype) * factor
    bias = bias + norm_params.get("bias", jnp.zeros_like(mean)).astype(dtype)
    return params | {"kernel": kernel.astype(dtype) * jnp.expand_dims(factor, range(kernel.ndim - 1)), "bias": bias}
