"""What a function is made of, as far as Python knows, for people to read."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.core
import numpy as np

from jdl.functional import _check

_DEPTH, _ENTRIES = 24, 100  # deeper, and longer, is not for people


def described(x: Any) -> Any:
    """A value as JSON: functions by name with the values that they close over, arrays by dtype and shape (or value, if one).

    So a run shows its batch size, its optimizer's settings and its model's layers, whatever it is made of. What comes up again is
    described the first time only.
    """
    seen: dict[int, Any] = {}  # holding what was seen, so that no other gets its id

    def one(x: Any, depth: int) -> Any:
        if x is None or type(x) in (bool, int, float, str):
            return x
        if isinstance(x, jax.Array | np.ndarray | np.generic):
            known = x.size == 1 and not _check.is_key(x) and not isinstance(x, jax.core.Tracer)
            return x.item() if known else _check.describe(x)
        inner = lambda x: one(x, depth - 1) if depth else "..."
        known, seen[id(x)] = id(x) in seen, x
        if isinstance(x, Mapping) and not known:
            return {str(name): inner(value) for name, value in list(x.items())[:_ENTRIES]}
        if isinstance(x, list | tuple | set | frozenset) and not hasattr(x, "_fields"):
            return [inner(value) for value in list(x)[:_ENTRIES]]
        name, parts = _made_of(x)
        return name if known or not parts else {"made by": name} | {key: inner(value) for key, value in parts.items()}

    return one(x, _DEPTH)


def _made_of(x: Any) -> tuple[str, dict[str, Any]]:
    """Who made a value, and of what: the closure of a function, or of all functions of a pair."""
    if isinstance(x, functools.partial):
        return "partial", {"function": x.func} | {str(i): value for i, value in enumerate(x.args)} | x.keywords
    pair = hasattr(x, "_fields") and all(map(callable, x))
    if functions := [part for part in (x if pair else [x]) if _is_closure(part)]:
        found: dict[str, Any] = {}
        for function in functions:
            _collect(function, found, set())
        return _maker(functions[0]), found
    if hasattr(x, "_fields"):
        return type(x).__name__, x._asdict()
    named = x if hasattr(x, "__qualname__") else type(x)
    return (_maker(named) if callable(x) else str(x) if type(x).__str__ is not object.__str__ else named.__qualname__), {}


def _collect(function: Callable, found: dict[str, Any], seen: set[int]) -> None:
    """Adds what a function closes over, and what functions beside it do that it calls."""
    seen.add(id(function))
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        value = _content(cell)
        if _is_closure(value) and _maker(value) == _maker(function):
            if id(value) not in seen:
                _collect(value, found, seen)
        elif value is not None:
            found.setdefault(name, value)


def _is_closure(x: Any) -> bool:
    return hasattr(x, "__code__") and bool(getattr(x, "__closure__", None))


def _maker(function: Any) -> str:
    return f"{function.__module__}.{function.__qualname__.split('.<locals>')[0]}".removeprefix("builtins.")


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None
