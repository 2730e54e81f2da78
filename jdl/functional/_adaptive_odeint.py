"""Ordinary differential equations, in steps as small as they must be."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._bilinear import same_axes
from jdl.functional._numbers import divisor
from jdl.functional._odeint import from_start
from jdl.functional._runge_kutta import DORMAND_PRINCE, METHODS, Problem, add, problem, scaled, step


def adaptive_odeint(
    field: Callable[[Any, jax.Array], Any],
    y0: Any,
    times: Any,
    *,
    rtol: float | jax.Array = 1e-4,
    atol: float | jax.Array = 1e-6,
    max_steps: int = 64,
) -> tuple[Any, jax.Array]:
    """Solves `dy/dt = field(y, t)` with `y(times[0]) = y0`, by Dormand and Prince's method of order 5 in steps that it chooses.

    A step is taken if the root mean square of `error / (atol + rtol * max(|y|, |y_new|))` over all of `y` is at most 1; the next is
    as long as that of order 4 within it allows. Steps end at every time.

    Derivatives are those of the steps that were taken, whose lengths are constants as shares of the way between times: to `y0`, to
    times and to all that `field` closes over. Neither a step that was refused nor one after the end has a part in them. Under
    `vmap` every member has steps of its own, as has every device in `shard_map`, and all compute `max_steps`; elsewhere what is
    left is skipped. The backward pass computes every step again; it keeps `max_steps` times `y`, and as much for outputs. Computed
    in float32 at least; `field` sees `y` in the dtypes of `y0`, and no relative tolerance is less than these resolve.

    Args:
      field: `(y, t) -> dy/dt`, a tree like `y`; `t` is a scalar of float32 at least. It is called 13 times for a step that is
        taken, 7 times for one that is refused.
      y0: where it begins, floating point, an array or a tree of arrays.
      times: `(times,)`, at least two, at which `y` is returned; may be traced. The solution goes from each to the next, be it
        later or earlier.
      rtol: relative tolerance, at least 0; may be traced.
      atol: absolute tolerance, above 0; may be traced.
      max_steps: how many there may be in all, those that are refused included. Times that are not reached within them are an
        error where the host sees it, and give NaN under jit.

    Returns:
      `(y, steps)`: `y` at all times, a tree like `y0` with a first axis of times, and how many steps it took to get there, integers
      `(times,)`, `max_steps + 1` where it did not.

    Raises:
      TypeError: if `y0` is not floating point.
      ValueError: if `times` are not two or more numbers, a tolerance is out of range, `max_steps` is not positive, `field` returns
        other shapes than those of `y0`, or a time is not reached.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> y, steps = functional.adaptive_odeint(lambda y, t: -t * y, jnp.array(1.0), (0.0, 1.0, 2.0), rtol=1e-6)
      >>> [round(number, 4) for number in y.tolist()]  # exp(-t^2 / 2)
      [1.0, 0.6065, 0.1353]

    Source: Dormand and Prince, "A family of embedded Runge-Kutta formulae", https://doi.org/10.1016/0771-050X(80)90013-3; lengths
    of steps: Hairer, Norsett and Wanner, "Solving Ordinary Differential Equations I", section II.4.
    """
    check_tolerances("adaptive_odeint", rtol, atol, max_steps)
    solved = problem("adaptive_odeint", lambda y, t, state: (field(y, t), state), y0, times)
    _, later, steps = in_adaptive_steps("adaptive_odeint", solved, rtol, atol, max_steps)
    return from_start(y0, later), steps


def check_tolerances(name: str, rtol: Any, atol: Any, max_steps: int) -> None:
    """Raises ValueError if one of them is out of range."""
    _check.within(name, 0, float("inf"), rtol=rtol)
    _check.above_zero(name, atol=atol)
    _check.positive(name, max_steps=max_steps)


class _Place(NamedTuple):
    """Where the solution is.

    Attributes:
      point: `(y, state)`.
      interval: how many times lie behind, less the first.
      share: of the way to the next time.
      length: of the next step, as far as errors are concerned.
    """

    point: Any
    interval: jax.Array
    share: jax.Array
    length: jax.Array


def in_adaptive_steps(name: str, problem: Problem, rtol: Any, atol: Any, max_steps: int) -> tuple[tuple[Any, Any], Any, jax.Array]:
    """The last point `(y, state)`, `y` at all times but the first, in the dtypes that were given, and steps to each time."""
    constant = lambda tolerance: jax.lax.stop_gradient(jnp.asarray(tolerance, problem.times.dtype))
    tolerances = constant(rtol), constant(atol)
    error_of, follow = _error_of(problem, tolerances), _follow(problem)
    times, intervals = problem.times, len(problem.times) - 1

    def advance(place: _Place, _: None) -> tuple[_Place, tuple[Any, jax.Array]]:
        running = place.interval < intervals
        start, end = (times.at[place.interval + i].get(mode="clip") for i in (0, 1))
        span, left = jax.lax.stop_gradient(jnp.abs(end - start)), 1 - place.share
        arrives = place.length >= left * span
        share = jnp.where(arrives, left, place.length / divisor(span))
        t, h = start + place.share * (end - start), share * (end - start)
        error = error_of(running, place.point, t, h)
        taken = running & (error <= 1)  # which NaN is not
        point = follow(taken, place.point, t, jnp.where(taken, h, 0))
        length = _length(share * span, error)
        length = jnp.where(taken & arrives, jnp.maximum(length, place.length), length)  # a short one that arrives says little
        arrived = taken & arrives
        new = _Place(
            point,
            place.interval + arrived,
            jnp.where(arrived, 0, place.share + jnp.where(taken, share, 0)),
            jnp.where(running, length, place.length),
        )
        return new, (problem.narrow(point[0]), new.interval)

    begin = _Place(problem.point, jnp.int32(0), jnp.zeros((), times.dtype), _first_length(problem, tolerances))
    leaves, structure = jax.tree.flatten(begin)
    begin = structure.unflatten(same_axes(*leaves, times)[:-1])  # inside `shard_map`, whether a step is taken varies, and so do all
    last, (path, behind) = jax.lax.scan(advance, begin, length=max_steps)
    each = jnp.arange(intervals + 1)
    steps = (jnp.expand_dims(behind, 0) < jnp.expand_dims(each, 1)).sum(1, dtype=jnp.int32) + (each > 0)
    _check.report(name, f"times must be reached in {max_steps} steps", times, lambda times: steps > max_steps)
    later = jax.tree.map(lambda path: jnp.take(path, steps[1:] - 1, axis=0, mode="fill", fill_value=jnp.nan), path)
    y = jax.tree.map(lambda y: jnp.where(last.interval < intervals, jnp.nan, y), problem.narrow(last.point[0]))
    return (y, last.point[1]), later, steps


def _error_of(problem: Problem, tolerances: tuple[jax.Array, jax.Array]) -> Callable[..., jax.Array]:
    """Makes `(running, point, t, h) -> error`, relative to what is tolerated, without derivatives."""

    def tried(point: Any, t: jax.Array, h: jax.Array) -> jax.Array:
        new, error = step(DORMAND_PRINCE, problem.slope, point, t, h)
        return _norm(problem, tolerances, error, point[0], new[0])

    def error_of(running: jax.Array, *at: Any) -> jax.Array:
        at = jax.lax.stop_gradient(at)
        return jax.lax.stop_gradient(jax.lax.cond(running, tried, lambda *at: at[2], *at) if _may_skip(problem) else tried(*at))

    return error_of


def _follow(problem: Problem) -> Callable[..., Any]:
    """Makes `(taken, point, t, h) -> point`, for an `h` that is 0 where the step is not taken.

    A step that is refused may go anywhere, and infinity times the 0 of its gradient is NaN. So errors are found apart, and what has
    derivatives is a step that goes nowhere in its place.
    """

    def follow(taken: jax.Array, point: Any, t: jax.Array, h: jax.Array) -> Any:
        go = lambda: step(METHODS["dormand_prince"], problem.slope, point, t, h)[0]
        if _may_skip(problem):
            return jax.lax.cond(taken, go, lambda: point)
        return jax.tree.map(lambda old, new: jnp.where(taken, new, old), point, go())

    return jax.checkpoint(follow, prevent_cse=False)


def _may_skip(problem: Problem) -> bool:
    """Whether a step may be left out: not inside `shard_map`, where other devices may wait for what the field sends."""
    return not any(jax.typeof(y).manual_axis_type.varying for y in jax.tree.leaves(problem.point[0]))


def _norm(problem: Problem, tolerances: tuple[jax.Array, jax.Array], tree: Any, *at: Any) -> jax.Array:
    """The root mean square of a tree, relative to what is tolerated at all of the further trees."""
    rtol, atol = tolerances

    def one(given: Any, a: jax.Array, *at: jax.Array) -> jax.Array:
        resolved = jnp.maximum(rtol, jnp.finfo(given.dtype).eps)  # the field sees no finer differences
        largest = functools.reduce(jnp.maximum, map(jnp.abs, at))
        return jnp.square(jnp.abs(a) / (atol + resolved * largest)).sum()

    squares = jax.tree.leaves(jax.tree.map(one, problem.given, tree, *at))
    return jnp.sqrt(sum(squares) / sum(a.size for a in jax.tree.leaves(tree)))


def _length(length: jax.Array, error: jax.Array) -> jax.Array:
    """Of the next step, for which an error of 1 is expected, less something for safety."""
    factor = jnp.clip(0.9 * error ** (-1 / 5), 0.2, 10)
    return length * jnp.where(error < jnp.inf, factor, 0.2).astype(length.dtype)


def _first_length(problem: Problem, tolerances: tuple[jax.Array, jax.Array]) -> jax.Array:
    """A length for which one of Euler's steps, and its second difference, would be small."""
    y, state = jax.lax.stop_gradient(problem.point)
    start, end = jax.lax.stop_gradient(problem.times[:2])
    slope = lambda y, t: jax.lax.stop_gradient(problem.slope(y, t, state)[0])
    norm = functools.partial(_norm, problem, tolerances)
    first = slope(y, start)
    at, speed = norm(y, y), norm(first, y)
    short = jnp.where((at < 1e-5) | (speed < 1e-5), 1e-6, 0.01 * at / divisor(speed)).astype(start.dtype)
    h = short * jnp.sign(end - start)
    second = slope(add(y, scaled(h, first)), start + h)
    bend = norm(jax.tree.map(jnp.subtract, second, first), y) / short
    most = jnp.maximum(speed, bend)
    length = jnp.where(most > 1e-15, (0.01 / divisor(most)) ** (1 / 5), jnp.maximum(1e-6, short * 1e-3))
    return jnp.minimum(100 * short, length).astype(start.dtype)
