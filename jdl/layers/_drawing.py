"""What layers that draw random numbers in training share."""

import functools
from collections.abc import Callable
from typing import Any

import jax

from jdl.functional import _check
from jdl.layer import Layer


def drawing(name: str, draw: Callable[..., Any], check: Callable[[Any], Any]) -> Layer:
    """A Layer that is `draw(key, x)` in training, which needs a key, and `check(x)` in evaluation: `x`, if it is a good input."""

    def init(key: jax.Array, x: Any) -> tuple[dict, dict]:
        del key  # there is nothing to initialise
        check(x)
        return {}, {}

    def apply(params: dict, state: dict, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, dict]:
        del params  # it has none
        x = check(x)
        if not train:
            return x, state
        if key is None:
            raise ValueError(f"{name}: needs a key in training; write model.apply(params, state, x, key=key, train=True)")
        return draw(key, x), state

    return Layer(init, apply)


def rated(function: Callable[..., Any], rate: float | jax.Array, check: Callable[[str, Any], Any]) -> Layer:
    """The Layer of a `function(key, x, rate)`; `check(name, x)` is `x` if it is a good input."""
    name = function.__name__
    _check.within(name, 0, 1, rate=rate)
    return drawing(name, functools.partial(function, rate=rate), functools.partial(check, name))
