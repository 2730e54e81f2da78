"""Why a function is compiled again."""

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import jax


def warn_retraced(function: Callable[..., Any], *, allowed: int = 1) -> Callable[..., Any]:
    """Makes a function that warns, naming the arguments that changed, when it is traced more than `allowed` times.

    What `jit` compiles is traced once for each shape and dtype of its arguments, and each value of those that are static. Put it
    inside: `jax.jit(debug.warn_retraced(run.advance), static_argnums=2)`. For all functions at once, but not static arguments,
    there is JAX's `jax.config.update("jax_explain_cache_misses", True)`; to make it an error, `chex.assert_max_traces`.

    Args:
      function: what is to be compiled.
      allowed: traces without a warning, such as 2 if the last batch is smaller.

    Returns:
      A function of the same arguments and results. It counts as long as it lives, so make one for each `jit`.

    Example:
      >>> import jax, jax.numpy as jnp, warnings
      >>> from jdl import debug
      >>> total = jax.jit(debug.warn_retraced(lambda batch, scale: scale * batch[0].sum()))
      >>> with warnings.catch_warnings(record=True, action="always") as caught:
      ...     results = [total((jnp.ones(size), 0.0), 2.0) for size in (8, 8, 7)]
      >>> print(caught[0].message)
      <lambda> is traced for the 2nd time: batch/0 is float32[7], was float32[8]
    """
    seen: list[dict[str, str]] = []
    signature = inspect.signature(function)

    @functools.wraps(function)
    def traced(*arguments: Any, **named: Any) -> Any:
        now = _types(dict(signature.bind(*arguments, **named).arguments))
        if len(seen) >= allowed:
            changes = min((_changes(before, now) for before in seen), key=len)
            what = ", ".join(changes) or "with the same arguments, by another `jit`, or under another transform"
            name = getattr(function, "__name__", repr(function))
            warnings.warn(f"{name} is traced for the {_ordinal(len(seen) + 1)} time: {what}", stacklevel=2)
        seen.append(now)
        return function(*arguments, **named)

    return traced


def _types(arguments: dict[str, Any]) -> dict[str, str]:
    """Types of arrays, and other values as they are, by path."""
    leaves = jax.tree_util.tree_leaves_with_path(arguments)
    kind = lambda leaf: str(jax.typeof(leaf)) if isinstance(leaf, jax.Array) or hasattr(leaf, "dtype") else repr(leaf)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): kind(leaf) for path, leaf in leaves}


def _changes(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """What differs between two calls."""
    names = [*now, *(name for name in before if name not in now)]
    pairs = [(name, now.get(name, "not there"), before.get(name, "not there")) for name in names]
    return [f"{name} is {new}, was {old}" for name, new, old in pairs if new != old]


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th") if number % 100 not in (11, 12, 13) else "th"
    return f"{number}{ending}"
