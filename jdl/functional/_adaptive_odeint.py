"""Ordinary differential equations, in steps as small as they must be."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from jdl.functional import _check
from jdl.functional._bilinear import same_axes
from jdl.functional._numbers import divisor
from jdl.functional._odeint import from_start
from jdl.functional._runge_kutta import DORMAND_PRINCE, Problem, add, fresh, problem, scaled, step
from jdl.functional._shapes import Shapes


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
    `vmap` every member has steps of its own, and all compute `max_steps`; elsewhere what is left is skipped. The backward pass
    computes every step again; it keeps `max_steps` times `y`, and as much for outputs. Computed in float32 at least; `field` sees
    `y` in the dtypes of `y0`, and no relative tolerance is less than these resolve.

    Args:
      field: `(y, t) -> dy/dt`, a tree like `y`; `t` is a scalar of float32 at least. It is called 7 times a step.
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
    attempt = _attempt_of(problem.slope, problem.given)
    times, intervals = problem.times, len(problem.times) - 1

    def advance(place: _Place, _: None) -> tuple[_Place, tuple[Any, jax.Array]]:
        running = place.interval < intervals
        start, end = (times.at[place.interval + i].get(mode="clip") for i in (0, 1))
        span, left = jax.lax.stop_gradient(jnp.abs(end - start)), 1 - place.share
        arrives = place.length >= left * span
        share = jnp.where(arrives, left, place.length / divisor(span))
        h = share * (end - start)
        t = start + place.share * (end - start)
        point, error = attempt(running, place.point, t, h, fresh(problem.consts), tolerances)
        error = jax.lax.stop_gradient(error)
        taken = running & (error <= 1)
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

    begin = _Place((problem.y, problem.state), jnp.int32(0), jnp.zeros((), times.dtype), _first_length(problem, tolerances))
    leaves, structure = jax.tree.flatten(begin)
    last, (path, behind) = jax.lax.scan(advance, structure.unflatten(same_axes(*leaves)), length=max_steps)
    each = jnp.arange(intervals + 1)
    steps = (jnp.expand_dims(behind, 0) < jnp.expand_dims(each, 1)).sum(1, dtype=jnp.int32) + (each > 0)
    _check.report(name, f"times must be reached in {max_steps} steps", times, lambda times: steps > max_steps)
    later = jax.tree.map(lambda path: jnp.take(path, steps[1:] - 1, axis=0, mode="fill", fill_value=jnp.nan), path)
    y = jax.tree.map(lambda y: jnp.where(last.interval < intervals, jnp.nan, y), problem.narrow(last.point[0]))
    return (y, last.point[1]), later, steps


def _attempt_of(slope: Callable[..., tuple[Any, Any]], given: Shapes) -> Callable[..., tuple[Any, jax.Array]]:
    """Makes `(running, point, t, h, consts, tolerances) -> (point, error)`, which stays where it is if the error is above 1.

    A step that was refused may have gone anywhere, and infinity times the 0 of its gradient is NaN. So derivatives are those of a
    step whose length is 0 where it was refused. The backward pass keeps the error, and computes nothing but that step again.
    """

    def follow(going: jax.Array, point: Any, t: jax.Array, h: jax.Array, consts: tuple[Any, ...]) -> tuple[Any, Any]:
        go = lambda: step(DORMAND_PRINCE, lambda *at: slope(*at, consts), point, t, h)
        return jax.lax.cond(going, go, lambda: (point, point[0]))  # the error of none is not looked at

    @jax.custom_jvp
    def attempt(running: jax.Array, point: Any, t: jax.Array, h: jax.Array, consts: tuple[Any, ...], tolerances: Any) -> Any:
        new, difference = follow(running, point, t, h, consts)
        error = _norm(given, tolerances, difference, point[0], new[0])
        taken = running & (error <= 1)  # which NaN is not
        return jax.tree.map(lambda old, new: jnp.where(taken, new, old), point, new), error

    @attempt.defjvp
    def attempt_jvp(primals: tuple, tangents: tuple) -> tuple:
        running, *_ = primals
        point, error = attempt(*primals)
        error = checkpoint_name(error, "error")
        taken = running & (error <= 1)

        def taken_alone(point: Any, t: jax.Array, h: jax.Array, consts: tuple[Any, ...]) -> Any:
            return follow(taken, point, t, jnp.where(taken, h, 0), consts)[0]

        return (point, error), (jax.jvp(taken_alone, primals[1:5], tangents[1:5])[1], jnp.zeros_like(error))

    return jax.checkpoint(attempt, prevent_cse=False, policy=jax.checkpoint_policies.save_only_these_names("error"))


def _norm(given: Shapes, tolerances: tuple[jax.Array, jax.Array], tree: Any, *at: Any) -> jax.Array:
    """The root mean square of a tree, relative to what is tolerated at all of the further trees."""
    rtol, atol = tolerances

    def one(given: Any, a: jax.Array, *at: jax.Array) -> jax.Array:
        resolved = jnp.maximum(rtol, jnp.finfo(given.dtype).eps)  # the field sees no finer differences
        largest = functools.reduce(jnp.maximum, map(jnp.abs, at))
        return jnp.square(jnp.abs(a) / (atol + resolved * largest)).sum()

    squares = jax.tree.leaves(jax.tree.map(one, given.tree, tree, *at))
    return jnp.sqrt(sum(squares) / sum(a.size for a in jax.tree.leaves(tree)))


def _length(length: jax.Array, error: jax.Array) -> jax.Array:
    """Of the next step, for which an error of 1 is expected, less something for safety."""
    factor = jnp.clip(0.9 * error ** (-1 / 5), 0.2, 10)
    return length * jnp.where(error < jnp.inf, factor, 0.2).astype(length.dtype)


def _first_length(problem: Problem, tolerances: tuple[jax.Array, jax.Array]) -> jax.Array:
    """A length for which one of Euler's steps, and its second difference, would be small."""
    still = jax.lax.stop_gradient(problem._replace(slope=None, given=None))
    y, (start, end) = still.y, still.times[:2]
    slope = lambda y, t: problem.slope(y, t, still.state, fresh(still.consts))[0]
    norm = functools.partial(_norm, problem.given, tolerances)
    first = slope(y, start)
    at, speed = norm(y, y), norm(first, y)
    short = jnp.where((at < 1e-5) | (speed < 1e-5), 1e-6, 0.01 * at / divisor(speed)).astype(start.dtype)
    h = short * jnp.sign(end - start)
    second = slope(add(y, scaled(h, first)), start + h)
    bend = norm(jax.tree.map(jnp.subtract, second, first), y) / short
    most = jnp.maximum(speed, bend)
    length = jnp.where(most > 1e-15, (0.01 / divisor(most)) ** (1 / 5), jnp.maximum(1e-6, short * 1e-3))
    return jnp.minimum(100 * short, length).astype(start.dtype)
