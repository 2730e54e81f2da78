"""Kernels with fixed zeros."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl.functional import _check
from jdl.layer import Layer
from jdl.layers._reparametrize import reparametrize


def mask_kernel(layer: Layer | Callable, mask: Any | Callable[[tuple[int, ...]], Any], where: str | None = "**/kernel") -> Layer:
    """Multiplies kernels by a fixed mask, and so their gradients: autoregressive layers (MADE, PixelCNN), sparse layers.

    Inside `repeat`, `L.repeat(L.mask_kernel(layer, mask), times)`, a mask is of the shape of one kernel. Outside, kernels are
    stacked, and such a mask serves all of them, but a function is given the shape of the stack.

    Args:
      layer: any Layer.
      mask: an array that broadcasts to the shape of every selected kernel, or a function from the shape to such an array.
      where: glob over the paths of its params, see `jdl.paths`; None selects everything.

    Returns:
      A Layer like `layer`, with the same params and state. The mask is a constant in neither.

    Raises:
      ValueError: from `init` and `apply` if a mask does not broadcast to its kernel, or `where` matches nothing.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> causal = L.mask_kernel(L.dense(3, kernel_init=jax.nn.initializers.ones), lambda shape: jnp.triu(jnp.ones(shape)))
      >>> params, state = causal.init(jax.random.key(0), jnp.ones(3))
      >>> causal.apply(params, state, jnp.ones(3))[0].tolist()
      [1.0, 2.0, 3.0]

    Source: Germain et al., "MADE: Masked Autoencoder for Distribution Estimation", https://arxiv.org/abs/1502.03509.
    """

    def restore(kernel, own, kept, key, train):
        fixed = _check.array(mask(kernel.shape) if callable(mask) else mask)
        try:
            fits = np.broadcast_shapes(fixed.shape, kernel.shape) == kernel.shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"mask_kernel: mask is {_check.describe(fixed)}, kernel is {_check.describe(kernel)}")
        return kernel * jax.lax.stop_gradient(jnp.broadcast_to(fixed, kernel.shape).astype(kernel.dtype)), {}

    return reparametrize("mask_kernel", layer, where, restore)
