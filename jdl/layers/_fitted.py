"""Layers whose sizes depend on their inputs."""

from collections.abc import Callable
from typing import Any

from jdl.layer import Layer


def fitted(choose: Callable[..., Layer]) -> Layer:
    """The Layer that `choose(*inputs, **named)` makes for these inputs, of which only shapes and dtypes matter."""

    def init(key: Any, *inputs: Any, **named: Any) -> tuple[dict, dict]:
        return choose(*inputs, **named).init(key, *inputs, **named)

    def apply(params: dict, state: dict, *inputs: Any, key: Any = None, train: bool = False, **named: Any) -> tuple[Any, dict]:
        return choose(*inputs, **named).apply(params, state, *inputs, key=key, train=train, **named)

    return Layer(init, apply)
