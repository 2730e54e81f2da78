"""A scale and a bias for every feature, as a step of a flow, which begin as the data says."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.layer import Layer, compose, observe, stateless
from jdl.layers._flow import of_places, samples
from jdl.layers._parameter import parameter
from jdl.layers._reparametrize import at


def actnorm() -> Layer:
    """Scales and shifts every feature, the same at all places: `y = x exp(s) + b`. `actnorm_init` makes its params from data.

    Returns:
      A Layer from `(x, *, inverse=False)`, `x` as `(batch, ..., features)`, to `(y, log_det)`, as in `flow`, with params
      `log_scale` and `bias`, at first zeros.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params = {"log_scale": jnp.log(jnp.array([2.0])), "bias": jnp.array([1.0])}
      >>> (y, log_det), _ = L.actnorm().apply(params, {}, jnp.array([[3.0]]))
      >>> y.tolist(), log_det.round(3).tolist()
      ([[7.0]], [0.6930000185966492])

    Source: Kingma and Dhariwal, "Glow: Generative Flow with Invertible 1x1 Convolutions", https://arxiv.org/abs/1807.03039.
    """
    return _ACTNORM


def actnorm_init(model: Layer, params: dict, state: dict, *inputs: Any, **named: Any) -> dict:
    """Makes the params of `actnorm`, layer by layer, such that each gives mean 0 and variance 1 for every feature of this batch.

    The model is run once for each layer, in evaluation. A layer that is called twice is made for its first call.

    Args:
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
      >>> x, model = jnp.array([[1.0, 0.0], [5.0, 0.5]]), L.flow(L.actnorm(), L.permutation())
      >>> params, state = model.init(jax.random.key(0), x)
      >>> params = L.actnorm_init(model, params, state, x)
      >>> model.apply(params, state, x)[0][0].round(3).tolist()
      [[-1.0, -1.0], [1.0, 1.0]]

    Source: Kingma and Dhariwal, "Glow: Generative Flow with Invertible 1x1 Convolutions", https://arxiv.org/abs/1807.03039.
    """

    @compose(model=model)
    def whole(net, *inputs, **named):  # so that a model which is one layer has a path too
        return net.model(*inputs, **named)

    def inputs_of(params: dict) -> dict[str, Any]:
        seen: dict[str, Any] = {}

        def see(path: str, layer: Layer, given: Any, output: Any) -> None:
            del output  # it depends on the params that are made here
            if layer is _ACTNORM and path not in seen:
                _refuse_repeated(path, at(params, path.split("/"))["bias"], given[0][0])
                seen[path] = given[0][0]

        with observe(see):
            whole.apply({"model": params["model"]}, {"model": state}, *inputs, **named)
        return seen

    params = {"model": params}
    for path in jax.eval_shape(inputs_of, params):
        params = _with(params, path.split("/"), _standardising(inputs_of(params)[path], at(params, path.split("/"))))
    return params["model"]


def _standardising(x: jax.Array, like: dict) -> dict:
    """The params that give these features mean 0 and variance 1; what doesn't vary keeps its scale."""
    axes = tuple(range(x.ndim - 1))
    mean, deviation = widen(x).mean(axes), widen(x).std(axes)
    log_scale = -jnp.log(jnp.where(deviation > 0, deviation, 1))
    new = {"log_scale": log_scale, "bias": -mean * jnp.exp(log_scale)}
    return {name: a.astype(like[name].dtype) for name, a in new.items()}


def _with(params: dict, names: Sequence[str], new: dict) -> dict:
    name, *rest = names
    return params | {name: _with(params[name], rest, new) if rest else new}


def _refuse_repeated(path: str, bias: jax.Array, x: Any) -> None:
    if bias.shape != x.shape[-1:]:
        seen = f'"{path.removeprefix("model/")}" has a bias of {_check.describe(bias)}'
        raise ValueError(f"actnorm_init: layer {seen} for all its repetitions; write them one by one, or initialise it otherwise")


def _init(key: jax.Array, x: Any, *, inverse: bool = False) -> dict:
    del inverse  # the params are the same for both
    x = samples("actnorm", x)
    return {name: parameter(key, name, initializers.zeros, x.shape[-1:], x) for name in ("log_scale", "bias")}


def _forward(params: dict, x: Any, *, inverse: bool = False) -> tuple[jax.Array, jax.Array]:
    x = samples("actnorm", x)
    if params["bias"].shape != x.shape[-1:]:
        raise ValueError(f"actnorm: params are for {params['bias'].size} features, x is {_check.describe(x)}")
    wide = widen(x)
    log_scale, bias = (jnp.expand_dims(params[name].astype(wide.dtype), range(x.ndim - 1)) for name in ("log_scale", "bias"))
    y = (wide - bias) * jnp.exp(-log_scale) if inverse else wide * jnp.exp(log_scale) + bias
    log_det = of_places(x, log_scale)
    return y.astype(x.dtype), -log_det if inverse else log_det


_ACTNORM = stateless(_init, _forward)
