"""Explicit Runge-Kutta methods, and the problem that they solve: a field, where it begins, and at which times it is looked at."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._bilinear import same_axes
from jdl.functional._numbers import widen
from jdl.functional._shapes import Shapes


class Tableau(NamedTuple):
    """Butcher's: stage i is the slope at `t + nodes[i] h` and `y + h sum_j stages[i][j] slope_j`; `weights` sum up the step.

    `error` weighs the difference to a method of lower order, where there is one.
    """

    nodes: tuple[float, ...]
    stages: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    error: tuple[float, ...] | None = None


_FIFTH = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0.0)
_FOURTH = (5179 / 57600, 0.0, 7571 / 16695, 393 / 640, -92097 / 339200, 187 / 2100, 1 / 40)
DORMAND_PRINCE = Tableau(
    (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0),
    (
        (),
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        _FIFTH[:-1],
    ),
    _FIFTH,
    tuple(fifth - fourth for fifth, fourth in zip(_FIFTH, _FOURTH)),
)
METHODS = {
    "euler": Tableau((0.0,), ((),), (1.0,)),
    "midpoint": Tableau((0.0, 1 / 2), ((), (1 / 2,)), (0.0, 1.0)),
    "heun": Tableau((0.0, 1.0), ((), (1.0,)), (1 / 2, 1 / 2)),
    "rk4": Tableau((0.0, 1 / 2, 1 / 2, 1.0), ((), (1 / 2,), (0.0, 1 / 2), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
    # without the last stage, which serves the error alone
    "dormand_prince": Tableau(DORMAND_PRINCE.nodes[:-1], DORMAND_PRINCE.stages[:-1], _FIFTH[:-1]),
}


class Problem(NamedTuple):
    """An initial value problem, ready for steps.

    Attributes:
      slope: `(y, t, state) -> (slope, state)`, for `y` in float32 at least.
      point: where it begins, `(y, state)`; the state is what the field hands from call to call.
      times: as floats of the precision of `y` at least.
      given: shapes and dtypes of `y0`.
    """

    slope: Callable[..., tuple[Any, Any]]
    point: tuple[Any, Any]
    times: jax.Array
    given: Any

    def narrow(self, y: Any) -> Any:
        """A `y` in the dtypes that were given."""
        return _narrow(y, self.given)


def problem(name: str, field: Callable[..., Any], y0: Any, times: Any, state: Any = ()) -> Problem:
    """The problem of a field `(y, t, state) -> (slope, state)`."""
    y0 = jax.tree.map(lambda y: _check.floating(name, y, "y0"), y0)
    times, given, y = jnp.asarray(times, time_dtype(name, times, y0)), Shapes.of(y0).tree, jax.tree.map(widen, y0)

    def slope(y: Any, t: jax.Array, state: Any) -> tuple[Any, Any]:
        found, state = field(_narrow(y, given), t, state)
        if jax.tree.structure(found) != jax.tree.structure(y) or jax.tree.map(jnp.shape, found) != jax.tree.map(jnp.shape, y):
            raise ValueError(f"{name}: the field must give {_check.describe(given)}, as y is, got {_check.describe(found)}")
        return jax.tree.map(lambda found, y: jnp.asarray(found, y.dtype), found, y), state

    found, kept = jax.eval_shape(slope, y, times[0], state)
    among = jax.tree.leaves((times, y, found))
    y = jax.tree.map(lambda y: same_axes(y, *among)[0], y)  # inside `shard_map`, a loop keeps over which axes its carry varies
    state = jax.tree.map(lambda old, new: same_axes(old, new)[0], state, kept)
    return Problem(slope, (y, state), times, given)


def _narrow(y: Any, given: Any) -> Any:
    return jax.tree.map(lambda y, given: y.astype(given.dtype), y, given)


def time_dtype(name: str, times: Any, y: Any) -> Any:
    """The dtype of times that is no less precise than `y`; raises ValueError unless they are two or more numbers."""
    given = times if hasattr(times, "dtype") else jax.eval_shape(lambda: jnp.asarray(times))
    if given.ndim != 1 or given.shape[0] < 2 or jnp.issubdtype(given.dtype, jnp.complexfloating):
        raise ValueError(f"{name}: times must be two or more real numbers, (times,), got {_check.describe(times)}")
    reals = (jnp.finfo(y.dtype).dtype for y in jax.tree.leaves(y))
    return jnp.result_type(jnp.float32, given.dtype, *reals)


def step(tableau: Tableau, slope: Callable[..., tuple[Any, Any]], point: Any, t: jax.Array, h: jax.Array) -> tuple[Any, Any]:
    """One step of size `h` from a point `(y, state)`: the next point, and the error of its `y`, None if the method has none."""
    y, state = point
    slopes = []
    for node, stage in zip(tableau.nodes, tableau.stages):
        at = add(y, _change(h, stage, slopes)) if stage else y
        found, state = slope(at, t + node * h, state)
        slopes.append(found)
    error = None if tableau.error is None else _change(h, tableau.error, slopes)
    return (add(y, _change(h, tableau.weights, slopes)), state), error


def add(y: Any, change: Any) -> Any:
    """The sum of two trees."""
    return jax.tree.map(jnp.add, y, change)


def scaled(h: jax.Array, slope: Any) -> Any:
    """`h` times a tree."""
    return jax.tree.map(lambda a: h.astype(jnp.finfo(a.dtype).dtype) * a, slope)


def _change(h: jax.Array, weights: tuple[float, ...], slopes: list[Any]) -> Any:
    """`h sum_j weights[j] slopes[j]`."""
    terms = [jax.tree.map(lambda a, w=weight: w * a, slope) for weight, slope in zip(weights, slopes) if weight]
    return scaled(h, functools.reduce(add, terms))
