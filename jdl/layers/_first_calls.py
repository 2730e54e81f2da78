"""What layers within a model are given and return, for params that data makes layer by layer."""

from collections.abc import Callable
from typing import Any

import jax

from jdl.functional import _check
from jdl.functional._shapes import Shapes
from jdl.layer import Layer, compose, observe
from jdl.layers._reparametrize import at

Calls = dict[str, tuple[Any, Any]]


def first_calls(
    name: str,
    model: Layer | Callable,
    params: dict,
    chosen: Callable[[dict], bool],
    what: str,
    state: dict,
    inputs: Any,
    named: Any,
) -> tuple[list[str], Callable[[dict], Calls]]:
    """Paths of the layers that are chosen by their params, in the order of their first calls, and `params -> {path: (x, y)}`.

    Params are those of the model under "model", with which every path begins. Raises ValueError if a layer's `what`, one of its
    params, is that of all repetitions of a `repeat`.
    """

    @compose(model=model)
    def whole(net, *inputs, **named):  # so that a model which is one layer has a path too
        return net.model(*inputs, **named)

    def calls(params: dict) -> Calls:
        seen: Calls = {}

        def see(path: str, layer: Layer, given: Any, output: Any) -> None:
            own = at(params, path.split("/"))
            if path not in seen and chosen(own):
                _refuse_repeated(name, path, layer, given, own, what)
                seen[path] = given[0][0], output

        with observe(see):
            whole.apply({"model": params["model"]}, {"model": state}, *inputs, **named)
        return seen

    paths: list[str] = []

    def shapes(params: dict) -> Calls:
        seen = calls(params)
        paths.extend(seen)
        return seen

    jax.eval_shape(shapes, params)
    return paths, calls


def with_params(params: dict, path: str, new: dict) -> dict:
    """Params in which those under a path are others."""
    name, _, rest = path.partition("/")
    return params | {name: with_params(params[name], rest, new) if rest else params[name] | new}


def _refuse_repeated(name: str, path: str, layer: Layer, given: Any, params: dict, what: str) -> None:
    def made(key, inputs, named):
        return layer.init(key, *inputs, **named)[0][what]

    key = jax.eval_shape(lambda: jax.random.key(0))
    if Shapes.of((key, *given)).evaluate(made).shape != params[what].shape:
        seen = f'"{path.removeprefix("model/")}" has a {what} of {_check.describe(params[what])}'
        raise ValueError(f"{name}: layer {seen} for all its repetitions; write them one by one, or initialise it otherwise")
