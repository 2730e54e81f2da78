"""A layer as the field of an ordinary differential equation."""

from collections.abc import Callable
from typing import Any

import jax

from jdl.functional import _check
from jdl.functional._adaptive_odeint import check_tolerances, in_adaptive_steps
from jdl.functional._odeint import Method, check_steps, from_start, in_steps
from jdl.functional._runge_kutta import Problem, problem, time_dtype
from jdl.layer import Layer, as_layer

_UNIT = (0.0, 1.0)


def neural_ode(
    field: Layer | Callable,
    *,
    times: Any = _UNIT,
    method: Method = "rk4",
    steps: int = 8,
    all_times: bool = False,
) -> Layer:
    """Moves its input along a field, `dy/dt = field(y, t)`, from the first to the last of times, in equal Runge-Kutta steps.

    It is differentiated as it is computed, in every mode, and keeps one `y` for each step, see `functional.odeint`. In one call of
    the layer all calls of the field draw the same (one mask of dropout), so that it is one field; its state goes from call to call.

    Args:
      field: a Layer `(y, t, *others) -> dy/dt`, or such a function; `t` is a scalar of float32 at least.
      times: `(times,)`, at least two, also descending; may be traced.
      method: `"euler"`, `"midpoint"`, `"heun"`, `"rk4"` or `"dormand_prince"`.
      steps: how many from each time to the next.
      all_times: whether the output is `y` at all times, with a first axis of them, not at the last alone.

    Returns:
      A Layer from `y`, an array or a tree of arrays, to `y` at the last time, with the params and state of the field. It takes
      `times=` in the place of those above, and hands further inputs on to the field.

    Raises:
      ValueError: if `times` are not two or more numbers, or `method` or `steps` is none of these.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> @L.compose(mlp=L.mlp((16, 2), activation=jnp.tanh))
      ... def field(net, y, t):
      ...     return net.mlp(jnp.concatenate([y, jnp.full((len(y), 1), t, y.dtype)], 1))
      >>> layer, x = L.neural_ode(field), jnp.ones((4, 2))
      >>> params, state = layer.init(jax.random.key(0), x)
      >>> layer.apply(params, state, x)[0].shape
      (4, 2)

      Descending times lead back:

      >>> y, _ = layer.apply(params, state, x)
      >>> back, _ = layer.apply(params, state, y, times=(1.0, 0.0))
      >>> bool(jnp.allclose(back, x, atol=1e-4))
      True

    Source: Chen et al., "Neural Ordinary Differential Equations", https://arxiv.org/abs/1806.07366.
    """
    check_steps("neural_ode", method, steps)

    def solve(problem: Problem) -> tuple[tuple[Any, Any], Any]:
        return in_steps(problem, method, steps)

    return _flow("neural_ode", field, times, all_times, solve)


def adaptive_neural_ode(
    field: Layer | Callable,
    *,
    times: Any = _UNIT,
    rtol: float | jax.Array = 1e-4,
    atol: float | jax.Array = 1e-6,
    max_steps: int = 64,
    all_times: bool = False,
) -> Layer:
    """Moves its input along a field as `neural_ode` does, in steps that are as long as errors allow.

    All samples of a batch have the same steps, by their errors together, see `functional.adaptive_odeint`. The state of the field
    is what the steps that were taken made of it.

    Args:
      field: a Layer `(y, t, *others) -> dy/dt`, or such a function; `t` is a scalar of float32 at least.
      times: `(times,)`, at least two, also descending; may be traced.
      rtol: relative tolerance of a step's error, at least 0; may be traced.
      atol: absolute tolerance, above 0; may be traced.
      max_steps: how many there may be in all. A time that is not reached within them is an error where the host sees it, and gives
        NaN under jit.
      all_times: whether the output is `y` at all times, with a first axis of them, not at the last alone.

    Returns:
      A Layer like that of `neural_ode`.

    Raises:
      ValueError: if `times` are not two or more numbers, or one of the others is out of range.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> layer = L.adaptive_neural_ode(lambda y, t, rate: -rate * y, times=(0.0, 1.0, 2.0), all_times=True)
      >>> [round(number, 3) for number in layer.apply({}, {}, jnp.array(1.0), 1.0)[0].tolist()]
      [1.0, 0.368, 0.135]

    Source: Chen et al., "Neural Ordinary Differential Equations", https://arxiv.org/abs/1806.07366.
    """
    name = "adaptive_neural_ode"
    check_tolerances(name, rtol, atol, max_steps)

    def solve(problem: Problem) -> tuple[tuple[Any, Any], Any]:
        return in_adaptive_steps(name, problem, rtol, atol, max_steps)[:2]

    return _flow(name, field, times, all_times, solve)


def _flow(name: str, field: Layer | Callable, times: Any, all_times: bool, solve: Callable[[Problem], Any]) -> Layer:
    field, whole = as_layer(field, f"{name}: field"), times
    time_dtype(name, whole, ())

    def init(key: jax.Array, y: Any, *others: Any, times: Any = None, **named: Any) -> tuple[dict, dict]:
        y = jax.tree.map(lambda y: _check.floating(name, y, "y0"), y)
        dtype = time_dtype(name, whole if times is None else times, y)
        return field.init(key, y, jax.ShapeDtypeStruct((), dtype), *others, **named)

    def apply(
        params: dict,
        state: dict,
        y: Any,
        *others: Any,
        times: Any = None,
        key: Any = None,
        train: bool = False,
        **named: Any,
    ) -> tuple[Any, dict]:
        data = None if key is None else (jax.random.key_data(key), jax.random.key_impl(key))

        def slope(y: Any, t: jax.Array, state: dict) -> tuple[Any, dict]:
            again = None if data is None else jax.random.wrap_key_data(data[0], impl=data[1])  # one field: it draws the same
            return field.apply(params, state, y, t, *others, key=again, train=train, **named)

        (last, state), later = solve(problem(name, slope, y, whole if times is None else times, state))
        return from_start(y, later) if all_times else last, state

    return Layer(init, apply)
