"""Weight standardisation of a layer's kernels."""

from collections.abc import Callable

from jdl import functional
from jdl.functional import _check
from jdl.layer import Layer
from jdl.layers._reparametrize import reparametrize


def weight_standardization(layer: Layer | Callable, where: str | None = "**/kernel", *, epsilon: float = 1e-5) -> Layer:
    """Brings the weights into every output to mean 0 and variance 1, whenever kernels are used.

    Moments are over all axes but the last. Outputs grow with the root of the number of weights, so a norm should follow.

    Wrap the layer inside `repeat`, `L.repeat(L.weight_standardization(layer), times)`. Outside, kernels are stacked, and all
    repetitions share the moments of an output.

    Args:
      layer: any Layer.
      where: glob over the paths of its params, see `jdl.paths`; None selects everything.
      epsilon: what keeps the root away from zero.

    Returns:
      A Layer like `layer`, with the same params and state.

    Raises:
      ValueError: if `epsilon` is below 0; from `init` and `apply` if `where` matches nothing.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> model = L.weight_standardization(L.dense(1), epsilon=0)
      >>> params = {"kernel": jnp.array([[1.0], [3.0]]), "bias": jnp.zeros(1)}
      >>> model.apply(params, {}, jnp.eye(2))[0].ravel().tolist()
      [-1.0, 1.0]

    Source: Qiao et al., "Micro-Batch Training with Batch-Channel Normalization and Weight Standardization",
    https://arxiv.org/abs/1903.10520.
    """
    _check.within("weight_standardization", 0, float("inf"), epsilon=epsilon)

    def restore(kernel, own, kept, key, train):
        return functional.weight_standardization(kernel, epsilon=epsilon), {}

    return reparametrize("weight_standardization", layer, where, restore)
