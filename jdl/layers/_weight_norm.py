"""Weight normalisation of a layer's kernels."""

from collections.abc import Callable

from jdl import functional
from jdl.functional import _weight_norm
from jdl.layer import Layer
from jdl.layers._reparametrize import reparametrize


def weight_norm(layer: Layer | Callable, where: str | None = "**/kernel") -> Layer:
    """Splits kernels into a direction and a scale for every output: `kernel = scale * direction / |direction|`.

    Norms are over all axes but the last. To begin with, the layer is the plain one with the same key: the direction is its kernel,
    and the scale its norms. A kernel of zeros has no direction: it stays zero.

    Wrap the layer inside `repeat`, `L.repeat(L.weight_norm(layer), times)`. Outside, kernels are stacked, and all repetitions share
    the scale of an output.

    Args:
      layer: any Layer.
      where: glob over the paths of its params, see `jdl.paths`; None selects everything.

    Returns:
      A Layer like `layer`, whose params have directions in the place of kernels, and the scales, `(out,)`, under `weight_norm`.

    Raises:
      ValueError: from `init` and `apply` if `where` matches nothing.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.weight_norm(L.dense(3)).init(jax.random.key(0), jnp.ones((2, 5)))
      >>> params["kernel"].shape, params["weight_norm"]["kernel"]["scale"].shape
      ((5, 3), (3,))

    Source: Salimans and Kingma, "Weight Normalization", https://arxiv.org/abs/1602.07868.
    """

    def store(key, kernel):
        return kernel, {"scale": _weight_norm.output_norm(kernel)[0]}, {}

    def restore(direction, own, kept, key, train):
        return functional.weight_norm(direction, own["scale"]), {}

    return reparametrize("weight_norm", layer, where, restore, store=store)
