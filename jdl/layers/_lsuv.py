"""Initial kernels that see data."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._shapes import Shapes
from jdl.layer import Layer, compose, derive, observe
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

    @compose(model=model)
    def whole(net, *inputs, **named):  # so that a model which is one layer has a path too
        return net.model(*inputs, **named)

    def outputs(params: dict) -> dict[str, Any]:
        seen: dict[str, Any] = {}

        def see(path: str, layer: Layer, given: Any, output: Any) -> None:
            if path not in seen and _is_linear(at(params, path.split("/"))):
                _refuse_repeated(path, layer, given, at(params, path.split("/")))
                seen[path] = output

        with observe(see):
            whole.apply({"model": params["model"]}, {"model": state}, *inputs, **named)
        return seen

    params = {"model": params}
    paths = list(jax.eval_shape(outputs, params))
    for path in paths:
        kernel = at(params, path.split("/"))["kernel"]
        params = _with_kernel(params, path, initializers.orthogonal()(derive(key, path), kernel.shape, kernel.dtype))
    for path in paths:
        output, kernel = outputs(params)[path], at(params, path.split("/"))["kernel"]
        deviation = widen(output).std()
        params = _with_kernel(params, path, (kernel / jnp.where(deviation > 0, deviation, 1)).astype(kernel.dtype))
    return params["model"]


def _with_kernel(params: dict, path: str, kernel: jax.Array) -> dict:
    name, _, rest = path.partition("/")
    return params | {name: _with_kernel(params[name], rest, kernel) if rest else params[name] | {"kernel": kernel}}


def _is_linear(params: dict) -> bool:
    return "kernel" in params and params.keys() <= {"kernel", "bias"} and not isinstance(params["kernel"], dict)


def _refuse_repeated(path: str, layer: Layer, given: Any, params: dict) -> None:
    def made(key, inputs, named):
        return layer.init(key, *inputs, **named)[0]["kernel"]

    key = jax.eval_shape(lambda: jax.random.key(0))
    if Shapes.of((key, *given)).evaluate(made).shape != params["kernel"].shape:
        seen = f'"{path.removeprefix("model/")}" has a kernel of {_check.describe(params["kernel"])}'
        raise ValueError(f"lsuv: layer {seen} for all its repetitions; write them one by one, or initialise it otherwise")
