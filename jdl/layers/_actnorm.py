"""A scale and a bias for every feature, as a step of a flow, which begin as the data says."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.layer import Layer, stateless
from jdl.layers._first_calls import first_calls, with_params
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
    return stateless(_init, _forward)


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
      ValueError: if such a layer is in a `repeat`, whose repetitions can't be seen one by one, or there is no data.

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
    if named.get("inverse"):
        raise ValueError("actnorm_init: params are made for the way from data, leave out inverse")
    params = {"model": params}
    paths, calls = first_calls("actnorm_init", model, params, _is_actnorm, "bias", state, inputs, named)
    for path in paths:
        x, _ = calls(params)[path]
        params = with_params(params, path, _standardising(x, at(params, path.split("/"))))
    return params["model"]


def _is_actnorm(params: dict) -> bool:
    return params.keys() == {"log_scale", "bias"}


def _standardising(x: jax.Array, like: dict) -> dict:
    """The params that give these features mean 0 and variance 1; what doesn't vary keeps its scale."""
    if not x.size:
        raise ValueError(f"actnorm_init: there must be data, got {_check.describe(x)}")
    rows = widen(x).reshape(-1, x.shape[-1])
    apart = rows - rows[:1]  # exact zeros where nothing varies
    mean, deviation = (rows[:1] + apart.mean(0, keepdims=True))[0], apart.std(0)
    log_scale = -jnp.log(jnp.where(deviation > 0, deviation, 1))
    new = {"log_scale": log_scale, "bias": -mean * jnp.exp(log_scale)}
    return {name: a.astype(like[name].dtype) for name, a in new.items()}


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
