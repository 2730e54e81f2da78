"""What layers that draw random numbers in training share."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.core
import numpy as np

from jdl.functional import _check
from jdl.layer import Layer


def drawing(
    name: str, draw: Callable[..., Any], check: Callable[[Any], Any], *, evaluate: Callable[[Any], Any] = lambda x: x
) -> Layer:
    """A Layer that is `draw(key, x)` in training, which needs a key, and `evaluate(x)` in evaluation; `check(x)` is a good `x`."""

    def init(key: jax.Array, x: Any) -> tuple[dict, dict]:
        del key  # there is nothing to initialise
        check(x)
        return {}, {}

    def apply(params: dict, state: dict, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, dict]:
        del params  # it has none
        x = check(x)
        if not train:
            return evaluate(x), state
        need_key(name, key)
        return draw(key, x), state

    return Layer(init, apply)


def draws(rate: float | jax.Array) -> bool:
    """Whether something is drawn at this rate: not if it is known to be 0, which a traced one never is."""
    return isinstance(rate, jax.core.Tracer) or bool(np.any(np.asarray(rate) > 0))


def need_key(name: str, key: Any) -> None:
    """Raises ValueError if there is no key."""
    if key is None:
        raise ValueError(f"{name}: needs a key in training; write model.apply(params, state, x, key=key, train=True)")


def rated(function: Callable[..., Any], rate: float | jax.Array, check: Callable[[str, Any], Any]) -> Layer:
    """The Layer of a `function(key, x, rate)`; `check(name, x)` is `x` if it is a good input."""
    name = function.__name__
    _check.within(name, 0, 1, rate=rate)
    return drawing(name, functools.partial(function, rate=rate), functools.partial(check, name))
