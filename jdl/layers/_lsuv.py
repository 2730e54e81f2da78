"""Initial kernels that see data."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl.functional._numbers import widen
from jdl.layer import Layer, derive
from jdl.layers._first_calls import first_calls, with_params
from jdl.layers._reparametrize import at


def lsuv(key: jax.Array, model: Layer | Callable, params: dict, state: dict, *inputs: Any, **named: Any) -> dict:
    """Makes kernels orthonormal, and then, layer by layer, divides each by the standard deviation of its layer's output.

    So every output has variance 1 over the batch, all places and features (layer-sequential unit-variance initialisation). This is
    for layers with a kernel, at most a bias, and no other params: dense layers and convolutions. What others have stays as it is.
    The model is run once for each layer, in evaluation. A layer that is called twice is scaled for its first call.

    Args:
      key: a typed key.
      model: a Layer.
      params: its params.
      state: its state.
      *inputs: a batch that stands for the data.
      **named: inputs passed by keyword.

    Returns:
      New params. Under `jit` too.

    Raises:
      ValueError: if such a layer is in a `repeat`, whose repetitions can't be seen one by one.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> x, model = jax.random.normal(jax.random.key(0), (64, 8)), L.chain(L.dense(16), jax.nn.relu, L.dense(4))
      >>> params, state = model.init(jax.random.key(1), x)
      >>> params = L.lsuv(jax.random.key(2), model, params, state, x)
      >>> model.apply(params, state, x)[0].std().round(3).item()
      1.0

    Source: Mishkin and Matas, "All you need is a good init", https://arxiv.org/abs/1511.06422.
    """
    params = {"model": params}
    paths, calls = first_calls("lsuv", model, params, _is_linear, "kernel", state, inputs, named)
    for path in paths:
        kernel = at(params, path.split("/"))["kernel"]
        new = initializers.orthogonal()(derive(key, path), kernel.shape, kernel.dtype)
        params = with_params(params, path, {"kernel": new})
    for path in paths:
        (_, output), kernel = calls(params)[path], at(params, path.split("/"))["kernel"]
        deviation = widen(output).std()
        new = (kernel / jnp.where(deviation > 0, deviation, 1)).astype(kernel.dtype)
        params = with_params(params, path, {"kernel": new})
    return params["model"]


def _is_linear(params: dict) -> bool:
    return "kernel" in params and params.keys() <= {"kernel", "bias"} and not isinstance(params["kernel"], dict)
