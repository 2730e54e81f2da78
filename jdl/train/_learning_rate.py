"""Which learning rate to begin with."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.train._run import Run
from jdl.train._state import TrainState

_SMOOTHING = 0.9
_SPAN = 10  # steps over which a fall is measured, as far as smoothing delays it


class RangeTest(NamedTuple):
    """What a range test of learning rates found.

    Attributes:
      learning_rates: one for each step, `(steps,)`.
      losses: at each step, smoothed, `(steps,)`; NaN where the step was skipped or its loss not finite, as once it has diverged.
      suggestion: the rate at which the loss falls fastest, a scalar; usually a good one is at or somewhat above it. NaN if the loss
        falls nowhere.
    """

    learning_rates: jax.Array
    losses: jax.Array
    suggestion: jax.Array


def learning_rate_range_test(
    make_run: Callable[[Any], Run],
    key: jax.Array,
    data: Any,
    *,
    low: float | jax.Array = 1e-6,
    high: float | jax.Array = 10.0,
    steps: int = 200,
) -> RangeTest:
    """Trains with a learning rate that grows from step to step by one factor, and sees where the loss falls fastest.

    Smith lets the rate grow by a constant and reads off accuracy; to let it grow by a factor, and to take the steepest descent of
    the loss, is later practice.

    It is a pure function: `jit` compiles it, and `vmap` over keys gives an interval of the suggestion.

    Args:
      make_run: from a learning rate, which is traced, to a run, as for `jdl.sweep`.
      key: a typed key.
      data: a tree of arrays with one first axis, that of samples.
      low: the first learning rate, above 0.
      high: the last one, at least `low`.
      steps: how many, at least 20.

    Returns:
      A RangeTest. Losses are an exponential moving average, over about ten steps, of those that are finite and not skipped.

    Raises:
      ValueError: if a number is out of range.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> data = jnp.linspace(-1, 1, 64).reshape(-1, 1), jnp.linspace(1, 3, 64).reshape(-1, 1)
      >>> def make_run(learning_rate):
      ...     step = train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.sgd(learning_rate))
      ...     return train.run(step, batch_size=16)
      >>> find = jax.jit(jax.vmap(lambda key: train.learning_rate_range_test(make_run, key, data)))
      >>> found = find(jax.random.split(jax.random.key(0), 3))
      >>> found.losses.shape, ((found.suggestion > 1e-3) & (found.suggestion < 1.0)).tolist()
      ((3, 200), [True, True, True])

    Source: Smith, "Cyclical Learning Rates for Training Neural Networks", https://arxiv.org/abs/1506.01186.
    """
    _check.above_zero("learning_rate_range_test", low=low)
    _check.ordered("learning_rate_range_test", low=low, high=high)
    _check.positive("learning_rate_range_test", steps=steps)
    _check.within("learning_rate_range_test", 2 * _SPAN, float("inf"), steps=steps)
    learning_rates = jnp.geomspace(jnp.float32(low), jnp.float32(high), steps)

    def one(carry: tuple[TrainState, jax.Array, jax.Array], learning_rate: jax.Array):
        train_state, mean, weight = carry
        train_state, metrics = make_run(learning_rate).advance(train_state, data, 1)
        loss = metrics["loss"][0]
        good = jnp.isfinite(loss) & (metrics.get("skipped", jnp.zeros(1))[0] == 0)
        towards = lambda a, new: jnp.where(good, _SMOOTHING * a + (1 - _SMOOTHING) * new, a)
        mean, weight = towards(mean, loss), towards(weight, 1.0)
        return (train_state, mean, weight), jnp.where(good, mean / weight, jnp.nan)

    first = make_run(learning_rates[0]).init(key, data), jnp.zeros(()), jnp.zeros(())
    _, losses = jax.lax.scan(one, first, learning_rates)
    return RangeTest(learning_rates, losses, _steepest(learning_rates, losses))


def _steepest(learning_rates: jax.Array, losses: jax.Array) -> jax.Array:
    """The rate at which the loss falls fastest before it is lowest; NaN if it falls nowhere."""
    change = losses[_SPAN:] - losses[:-_SPAN]
    before = jnp.arange(_SPAN, len(losses)) <= jnp.argmin(jnp.nan_to_num(losses, nan=jnp.inf))
    falls = jnp.where(before & (change < 0), change, 0)
    return jnp.where(falls.any(), learning_rates[jnp.argmin(falls)], jnp.nan)
