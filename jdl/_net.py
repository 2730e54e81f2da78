"""What `forward` sees in `compose`: sublayers as functions, whose calls give errors, programs and observers the sublayer's path."""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax

from jdl.functional._check import describe

_path: ContextVar[str] = ContextVar("path", default="")  # where the call is; values never see it
_observer: ContextVar[Callable[..., None] | None] = ContextVar("observer", default=None)


class Net:
    """One function for each sublayer, and `params`."""

    def __init__(self, sublayers: Mapping[str, Any], call: Callable[..., Any], params: dict):
        self.params = params
        vars(self).update({name: functools.partial(_enter, name, layer, call) for name, layer in sublayers.items()})

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"net has no sublayer {name!r}, only {', '.join(sorted(vars(self).keys() - {'params'}))}")


class Made(dict):
    """`net.params` while shapes are being found: there from a sublayer's first call on."""

    def __missing__(self, name: str) -> Any:
        raise KeyError(f"net.params[{name!r}] is not there before the first call of net.{name}, which gives its shapes")


def observed() -> bool:
    """Whether somebody is told of the calls."""
    return _observer.get() is not None


@contextmanager
def observe(see: Callable[[str, Any, Any, Any], None]) -> Iterator[None]:
    """While open, tells `see(path, layer, (inputs, named), output)` of every sublayer's call as it is traced."""
    token = _observer.set(see)
    try:
        yield
    finally:
        _observer.reset(token)


def _enter(name: str, layer: Any, call: Callable[..., Any], /, *inputs: Any, **named: Any) -> Any:
    token = _path.set(f"{_path.get()}/{name}".lstrip("/"))
    try:
        with jax.named_scope(name):
            output = call(name, *inputs, **named)
        if see := _observer.get():
            see(_path.get(), layer, (inputs, named), output)
        return output
    except Exception as error:
        if not any(note.startswith("in layer ") for note in getattr(error, "__notes__", [])):  # the innermost says it all
            given = [describe(x) for x in inputs] + [f"{key}={describe(x)}" for key, x in named.items()]
            error.add_note(f'in layer "{_path.get()}", called with {", ".join(given)}')
        raise
    finally:
        _path.reset(token)
