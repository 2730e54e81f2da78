"""Ordinary differential equations, in steps of one size."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._runge_kutta import METHODS, Problem, problem, step

Method = Literal["euler", "midpoint", "heun", "rk4", "dormand_prince"]


def odeint(field: Callable[[Any, jax.Array], Any], y0: Any, times: Any, *, method: Method = "rk4", steps: int = 1) -> Any:
    """Solves `dy/dt = field(y, t)` with `y(times[0]) = y0`, by an explicit Runge-Kutta method in equal steps.

    Derivatives are those of the steps (discretise, then optimise), to `y0`, to times and to all that `field` closes over. The
    backward pass computes every step again, so that it keeps one `y` for each step. Computed in float32 at least; `field` sees `y`
    in the dtypes of `y0`.

    Args:
      field: `(y, t) -> dy/dt`, a tree like `y`; `t` is a scalar of float32 at least.
      y0: where it begins, floating point, an array or a tree of arrays.
      times: `(times,)`, at least two, at which `y` is returned; may be traced. The solution goes from each to the next, be it
        later or earlier.
      method: `"euler"`, of order 1, `"midpoint"` and `"heun"`, of order 2, `"rk4"`, of order 4, or `"dormand_prince"`, of order 5.
        They call `field` 1, 2, 2, 4 and 6 times a step.
      steps: how many from each time to the next.

    Returns:
      `y` at all times, a tree like `y0` with a first axis of times; its first entry is `y0`.

    Raises:
      TypeError: if `y0` is not floating point.
      ValueError: if `times` are not two or more numbers, `field` returns other shapes than those of `y0`, or `method` or `steps` is
        none of these.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> decay = lambda rate: functional.odeint(lambda y, t: -rate * y, jnp.array(1.0), (0.0, 1.0, 2.0), steps=8)
      >>> [round(number, 4) for number in decay(1.0).tolist()]
      [1.0, 0.3679, 0.1353]
      >>> [round(number, 4) for number in jax.jacfwd(decay)(1.0).tolist()]  # -t exp(-t)
      [0.0, -0.3679, -0.2707]

    Source: Chen et al., "Neural Ordinary Differential Equations", https://arxiv.org/abs/1806.07366; Dormand and Prince, "A family
    of embedded Runge-Kutta formulae", https://doi.org/10.1016/0771-050X(80)90013-3.
    """
    check_steps("odeint", method, steps)
    solved = problem("odeint", lambda y, t, state: (field(y, t), state), y0, times)
    _, later = in_steps(solved, method, steps)
    return from_start(y0, later)


def check_steps(name: str, method: str, steps: int) -> None:
    """Raises ValueError unless there is such a method, and steps can be counted."""
    _check.choice(name, "method", method, tuple(METHODS))
    _check.positive(name, steps=steps)


def in_steps(problem: Problem, method: str, steps: int) -> tuple[tuple[Any, Any], Any]:
    """The last point `(y, state)`, and `y` at all times but the first, in the dtypes that were given."""
    advance = lambda point, t, h: step(METHODS[method], problem.slope, point, t, h)[0]
    again = jax.checkpoint(advance, prevent_cse=False)  # the loop itself keeps apart what it computes again

    def interval(point: Any, ends: tuple[jax.Array, jax.Array]) -> tuple[Any, Any]:
        start, end = ends
        h = (end - start) / steps

        def one(point: Any, i: jax.Array) -> tuple[Any, None]:
            return again(point, start + i * h, h), None

        point, _ = jax.lax.scan(one, point, jnp.arange(steps, dtype=h.dtype))
        return point, problem.narrow(point[0])

    (y, state), later = jax.lax.scan(interval, problem.point, (problem.times[:-1], problem.times[1:]))
    return (problem.narrow(y), state), later


def from_start(y0: Any, later: Any) -> Any:
    """Joins where it begins and what comes later."""
    return jax.tree.map(lambda y0, later: jnp.concatenate([jnp.expand_dims(jnp.asarray(y0), 0), later]), y0, later)
