"""What is minimised: a model and a loss as one function of params and a batch."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax

from jdl.functional import _check
from jdl.functional._shapes import Shapes
from jdl.layer import Layer, as_layer, derive


class Objective(NamedTuple):
    """A pair of pure functions.

    Attributes:
      init: `(key, batch) -> (params, state)`.
      apply: `(params, state, batch, key=None, train=True) -> (loss, (state, metrics))`, as `jax.value_and_grad(..., has_aux=True)`
        takes it.
    """

    init: Callable[..., tuple[Any, Any]]
    apply: Callable[..., tuple[jax.Array, tuple[Any, dict[str, jax.Array]]]]


def objective(
    model: Layer | Callable,
    loss: Callable[[Any, Any], jax.Array],
    *,
    penalty: Callable[[Any], jax.Array] | None = None,
    metrics: Mapping[str, Callable[[Any, Any], jax.Array]] | None = None,
) -> Objective:
    """Makes the objective `loss(model(inputs), targets) + penalty(params)`.

    A batch is a pair `(inputs, targets)`. Inputs that are a tuple go to the model one by one, those that are a dict by keyword.

    Args:
      model: a Layer.
      loss: `(predictions, targets) -> scalar`.
      penalty: `params -> scalar`, such as `regularizers.l2(1e-4, where="**/kernel")`.
      metrics: named functions `(predictions, targets) -> scalar`.

    Returns:
      An Objective. Its metrics are `loss` (without penalty), `penalty` if there is one, and those given.

    Raises:
      TypeError: if a batch is not a pair.
      ValueError: if the loss or a metric is not a scalar; at init, if the loss refuses the targets (labels out of range, say).

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L, losses, train
      >>> objective = train.objective(L.dense(1), losses.mean_squared_error)
      >>> batch = jnp.ones((4, 3)), jnp.zeros((4, 1))
      >>> params, state = objective.init(jax.random.key(0), batch)
      >>> loss, (state, metrics) = objective.apply(params, state, batch)
      >>> gradient = jax.grad(objective.apply, has_aux=True)(params, state, batch)[0]
    """
    if reserved := {"loss", "penalty"} & set(metrics or {}):
        raise ValueError(f"objective: metrics may not be named {sorted(reserved)}, these are measured anyway")

    model = as_layer(model)

    def init(key: jax.Array, batch: Any) -> tuple[Any, Any]:
        inputs, targets = _pair(batch)
        positional, named = _arguments(inputs)
        params, state = model.init(key, *positional, **named)

        def abstractly(params, state, inputs):  # the loss sees the targets themselves, so it can refuse them before XLA
            return apply(params, state, (inputs, targets), derive(jax.random.key(0), "init"))[0]

        Shapes.of((params, state, inputs)).evaluate(abstractly)
        return params, state

    def apply(params: Any, state: Any, batch: Any, key: jax.Array | None = None, train: bool = True):
        inputs, targets = _pair(batch)
        positional, named = _arguments(inputs)
        predictions, state = model.apply(params, state, *positional, key=key, train=train, **named)
        measured = {"loss": loss(predictions, targets)}
        for name, metric in (metrics or {}).items():
            measured[name] = metric(predictions, targets)
        if penalty:
            measured["penalty"] = penalty(params)
        for name, value in measured.items():
            if getattr(value, "shape", None) != ():
                raise ValueError(f"objective: {name} must be a scalar, got {_check.describe(value)}")
        total = measured["loss"] + measured["penalty"] if penalty else measured["loss"]
        return total, (state, measured)

    return Objective(init, apply)


def _pair(batch: Any) -> tuple[Any, Any]:
    if not isinstance(batch, tuple | list) or len(batch) != 2:
        raise TypeError(f"objective: a batch must be a pair (inputs, targets), got {_check.describe(batch)}")
    return batch[0], batch[1]


def _arguments(inputs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if type(inputs) is dict:
        return (), inputs
    return (inputs if type(inputs) is tuple else (inputs,)), {}
