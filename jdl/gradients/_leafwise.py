"""Optax transformations without state that treat arrays one by one."""

from collections.abc import Callable
from typing import Any

import jax
import optax

from jdl import paths
from jdl.functional import _check
from jdl.functional._numbers import widen


def leafwise(name: str, where: str | None, change: Callable[[jax.Array], jax.Array]) -> optax.GradientTransformation:
    """Changes the updates whose paths match; `change` gets and returns float32 at least."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        one = lambda update: change(wide(name, update)).astype(update.dtype)
        return chosen(where, one, updates), state

    return optax.GradientTransformation(starts(where), update)


def leafwise_with_params(
    name: str, where: str | None, change: Callable[[jax.Array, jax.Array], jax.Array]
) -> optax.GradientTransformation:
    """Changes the updates whose paths match; `change(update, param)` gets float32 at least, and what it returns stays so."""

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        one = lambda update, param: change(wide(name, update), wide(name, param))
        return chosen(where, one, updates, needed(name, params)), state

    return optax.GradientTransformation(starts(where), update)


def chosen(where: str | None, change: Callable[..., Any], updates: Any, *trees: Any) -> Any:
    """`change(update, ...)` for the updates whose paths match, and the others as they are."""
    one = lambda hit, update, *others: change(update, *others) if hit else update
    return jax.tree.map(one, paths.matches(updates, where), updates, *trees)


def starts(where: str | None) -> Callable[..., optax.EmptyState]:
    """An `init` without state, which refuses a glob that matches nothing."""

    def init(params: Any) -> optax.EmptyState:
        paths.matches(params, where)
        return optax.EmptyState()

    return init


def needed(name: str, params: Any) -> Any:
    """`params`; raises ValueError if an optimizer's update was called without them."""
    if params is None:
        raise ValueError(f"{name}: needs the parameters, as in optimizer.update(gradient, state, params)")
    return params


def wide(name: str, x: Any) -> jax.Array:
    """One of the updates or parameters in float32 at least; raises TypeError if it is not floating point."""
    return widen(_check.floating(name, x, "each update and parameter"))
