"""Layers with weights in eight bits."""

from collections.abc import Callable

from jdl import functional
from jdl.layer import Layer
from jdl.layers._reparametrize import reparametrize, split


def int8(layer: Layer | Callable, where: str | None = "**/kernel") -> Layer:
    """Keeps kernels as int8 with a scale for every output, a quarter of the memory, for inference: `kernel = values * scale`.

    Every weight is off by half a scale at most, where the scale is 1/127 of the largest weight into its output. Its params are made
    by `quantize` of those of the trained layer. Arithmetic is in the dtype of the input, as before. Integers have no gradient, but
    what is stored besides has one: `L.int8(L.lora(layer, rank))` trains adapters of a quantised layer.

    Outside `repeat`, kernels are stacked, and all repetitions share the scale of an output. Inside, `L.repeat(L.int8(layer),
    times)` takes `jax.vmap(L.quantize)(params)`, and errors are smaller.

    Args:
      layer: any Layer.
      where: glob over the paths of its params, see `jdl.paths`; None selects everything.

    Returns:
      A Layer like `layer`, whose params have int8 in the place of kernels, and the scales, `(out,)`, under `int8`.

    Raises:
      ValueError: from `init` and `apply` if `where` matches nothing.
      TypeError: from `apply`, if a kernel is not of integers.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> model = L.dense(3)
      >>> params, state = model.init(jax.random.key(0), jnp.ones((2, 5)))
      >>> small = L.quantize(params)
      >>> small["kernel"].dtype, L.int8(model).apply(small, state, jnp.ones((2, 5)))[0].shape
      (dtype('int8'), (2, 3))

    Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference",
    https://arxiv.org/abs/1712.05877.
    """

    def restore(values, own, kept, key, train):
        return functional.dequantize(values, own["scale"]), {}

    return reparametrize("int8", layer, where, restore, store=_store)


def quantize(params: dict, where: str | None = "**/kernel") -> dict:
    """Converts params of a layer to those of `int8(layer, where)`.

    Args:
      params: of a trained layer.
      where: as it is given to `int8`.

    Returns:
      The params with int8 in the place of kernels, and the scales under `int8`.

    Raises:
      TypeError: if a selected weight is not floating point.
      ValueError: if `where` matches nothing.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> small = L.quantize({"kernel": jnp.array([[127.0], [-2.4]]), "bias": jnp.zeros(1)})
      >>> small["kernel"].tolist(), small["int8"]["kernel"]["scale"].tolist()
      ([[127], [-2]], [1.0])
    """
    return split("int8", params, where, _store)[0]


def _store(key, kernel):
    values, scale = functional.quantize_int8(kernel)
    return values, {"scale": scale}, {}
