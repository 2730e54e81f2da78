"""One step of training, and what maps steps to steps."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jdl.layer import derive
from jdl.train._objective import Objective
from jdl.train._state import TrainState

Gradient = Callable[[Callable], Callable]

value_and_gradient = functools.partial(jax.value_and_grad, has_aux=True)


class Step(NamedTuple):
    """A pair of pure functions.

    Attributes:
      init: `(key, batch) -> train_state`; the batch's values are only checked, so it may be the whole data.
      update: `(train_state, batch) -> (train_state, metrics)`.
    """

    init: Callable[[jax.Array, Any], TrainState]
    update: Callable[[TrainState, Any], tuple[TrainState, dict[str, jax.Array]]]


def step(
    objective: Objective | Callable[[jax.Array], Objective],
    optimizer: optax.GradientTransformation,
    *,
    gradient: Gradient = value_and_gradient,
) -> Step:
    """Makes the step that follows the objective's gradient with an Optax optimizer.

    Optimizers that search along a line (`optax.lbfgs`) get the value, the gradient and the function of params.

    Args:
      objective: what to minimise; or a function from the number of steps taken to it, for what is scheduled: the strength of a
        penalty, a rate of dropout, a temperature. `lambda count: train.objective(model, loss, penalty=l2(schedule(count)))`.
      optimizer: any Optax optimizer; its hyperparameters may be traced.
      gradient: how the gradient is computed, such as `train.accumulate(4)`: from `apply` of an objective to a function of the same
        arguments that returns `((loss, (state, metrics)), gradient)`.

    Returns:
      A Step.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> step = train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.sgd(0.1))
      >>> batch = jnp.ones((4, 3)), jnp.zeros((4, 1))
      >>> train_state = step.init(jax.random.key(0), batch)
      >>> train_state, metrics = jax.jit(step.update)(train_state, batch)
      >>> train_state.step.item()
      1
    """
    optimizer = optax.with_extra_args_support(optimizer)
    at = (lambda count: objective) if isinstance(objective, Objective) else objective

    def init(key: jax.Array, batch: Any) -> TrainState:
        count = lambda: jnp.zeros((), jnp.int32)
        params, state = at(count()).init(derive(key, "init"), batch)
        return TrainState(params, state, optimizer.init(params), derive(key, "train"), count(), count(), count())

    def update(train_state: TrainState, batch: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        key = derive(train_state.key, "step", train_state.step)
        params, state = train_state.params, train_state.state
        apply = at(train_state.step).apply
        (value, (new, metrics)), slope = gradient(apply)(params, state, batch, key)
        value_of = lambda params: apply(params, state, batch, key)[0]
        search = {"value": value, "grad": slope, "value_fn": value_of}
        updates, optimizer_state = optimizer.update(slope, train_state.optimizer_state, params, **search)
        params = optax.apply_updates(params, updates)
        return train_state.replace(params=params, state=new, optimizer_state=optimizer_state, step=train_state.step + 1), metrics

    return Step(init, update)


def augment(step: Step, function: Callable[[jax.Array, Any], Any]) -> Step:
    """Makes a step that changes every batch at random first.

    Args:
      step: a Step.
      function: `(key, batch) -> batch`.

    Returns:
      A Step.

    Example:
      >>> from jdl import augment, layers as L, losses, train
      >>> import optax
      >>> step = train.step(train.objective(L.chain(L.flatten, L.dense(10)), losses.cross_entropy), optax.adam(1e-3))
      >>> step = train.augment(step, lambda key, batch: (augment.shift(key, batch[0], 1), batch[1]))
    """

    def update(train_state: TrainState, batch: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        return step.update(train_state, function(derive(train_state.key, "augment", train_state.step), batch))

    return Step(step.init, update)
