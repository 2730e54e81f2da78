"""What a function says about an input it can't take. Shapes and dtypes are known while tracing, so none of this costs run time.

Values are looked at where the host can see them. Those that are being traced are checked on the device where `on_device` is set.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jax.experimental import checkify

on_device = jax.make_user_context(default_value=False)  # `debug.checked` sets it


def describe(x: Any) -> str:
    """A tree of arrays as `float32[32, 10]`; anything else as Python writes it."""

    def one(x: Any) -> str:
        return f"{x.dtype}{list(x.shape)}" if hasattr(x, "shape") and hasattr(x, "dtype") else repr(x)

    if jax.tree_util.treedef_is_leaf(jax.tree.structure(x)):
        return one(x)
    return str(jax.tree.map(one, x)).replace("'", "")


def array(x: Any) -> Any:
    """`x` if it is an array, or else, for lists and numbers, as one of NumPy's: the host can still see its values."""
    return x if hasattr(x, "dtype") else np.asarray(x)


def is_key(key: Any) -> bool:
    """Whether this is a typed key, or an array of them."""
    return hasattr(key, "dtype") and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)


def floating(name: str, x: Any, what: str = "x") -> Any:
    """`x` as JAX's array (shapes stay shapes); raises TypeError unless it is floating point (or complex)."""
    if not hasattr(x, "dtype") or not jnp.issubdtype(x.dtype, jnp.inexact):
        mend = "convert it first, such as x.astype('float32') / 255"
        raise TypeError(f"{name}: {what} must be a floating-point array, got {describe(x)}; {mend}")
    return x if isinstance(x, jax.ShapeDtypeStruct) else jnp.asarray(x)


def rank(name: str, x: Any, ranks: Sequence[int], layout: str, what: str = "x") -> None:
    """Raises ValueError unless the rank of `x` is one of `ranks`; `layout` says what the axes mean."""
    if getattr(x, "ndim", None) not in ranks:
        raise ValueError(f"{name}: {what} must be {layout}, got {describe(x)}")


def same_shape(name: str, **arrays: Any) -> None:
    """Raises ValueError unless the named arrays have one shape."""
    if len({x.shape for x in arrays.values()}) > 1:
        raise ValueError(f"{name}: shapes differ: " + ", ".join(f"{key} is {describe(x)}" for key, x in arrays.items()))


def scalar(name: str, what: str, x: Any) -> Any:
    """`x` if it is one number, and not a tree of them; raises ValueError if not."""
    leaves = jax.tree.leaves(x)
    if len(leaves) != 1 or leaves[0] is not x or jnp.shape(x):
        raise ValueError(f"{name}: {what} must give a scalar, got {describe(x)}; pick one, such as metrics['loss']")
    return x


def positive(name: str, **sizes: Any) -> None:
    """Raises ValueError unless each is an integer of at least 1."""
    for key, size in sizes.items():
        _positive(name, key, size, (size,))


def all_positive(name: str, **sizes: Any) -> None:
    """Raises ValueError unless each is an integer of at least 1, or a sequence of such."""
    for key, size in sizes.items():
        _positive(name, key, size, size if isinstance(size, tuple | list) else (size,))


def _positive(name: str, key: str, given: Any, sizes: Any) -> None:
    for size in sizes:
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            raise ValueError(f"{name}: {key} must be a positive integer, got {given!r}")


def axes(name: str, **axes: Any) -> tuple[int, ...]:
    """The axes as a tuple; raises ValueError unless they are integers, one or more, all different."""
    ((key, given),) = axes.items()
    each = tuple(given) if isinstance(given, Sequence) else (given,)
    integers = all(isinstance(one, int | np.integer) and not isinstance(one, bool) for one in each)
    if not each or not integers or len(set(each)) < len(each):
        raise ValueError(f"{name}: {key} must be an integer, or several different ones, got {given!r}")
    return each


def typed_key(name: str, key: Any) -> None:
    """Raises TypeError unless this is a typed key, or an array of them."""
    if not is_key(key):
        raise TypeError(f"{name}: key must be a typed key, such as jax.random.key(0), got {describe(key)}")


def choice(name: str, what: str, value: Any, choices: Sequence[str]) -> None:
    """Raises ValueError unless `value` is one of `choices`."""
    if value not in choices:
        raise ValueError(f"{name}: {what} must be {', '.join(choices[:-1])} or {choices[-1]}, got {value!r}")


def within(name: str, low: float, high: float, /, **values: Any) -> None:
    """Raises ValueError unless each number lies in [low, high], where the host can see it."""
    bounds = f"at least {low}" if math.isinf(high) else f"in [{low}, {high}]"
    _all(name, bounds, values, lambda x: (low <= x) & (x <= high))


def above_zero(name: str, /, **values: Any) -> None:
    """Raises ValueError unless each number is above 0, where the host can see it."""
    _all(name, "above 0", values, lambda x: x >= np.finfo(np.float32).tiny)


def _all(name: str, bounds: str, values: dict[str, Any], fits: Callable[[Any], Any]) -> None:
    for key, value in values.items():
        if isinstance(value, jax.core.Tracer):
            _report_on_device(name, f"{key} must be {bounds}", value, lambda x: ~fits(x))
        elif not np.all(fits(np.asarray(value))):
            raise ValueError(f"{name}: {key} must be {bounds}, got {value}")


def ordered(name: str, **values: Any) -> None:
    """Raises ValueError if the first number is larger than the second; values that are being traced are not looked at."""
    (low, lower), (high, upper) = values.items()
    if not isinstance(lower, jax.core.Tracer) and not isinstance(upper, jax.core.Tracer) and lower > upper:
        raise ValueError(f"{name}: {low} must be at most {high}, got {lower} and {upper}")


def per_channel(name: str, x: Any, **values: Any) -> jax.Array:
    """A number for each channel of `x`, or one for all, as an array that broadcasts; raises ValueError if it is neither."""
    ((key, value),) = values.items()
    if jnp.shape(value) not in ((), x.shape[-1:]):
        raise ValueError(f"{name}: {key} is for {jnp.size(value)} channels, x is {describe(x)}")
    return jnp.expand_dims(jnp.asarray(value), range(x.ndim - jnp.ndim(value)))


def indices(name: str, what: str, values: Any, size: int) -> None:
    """Raises unless `values` are integers, and in 0..size-1 where the host can see them (while tracing it can't)."""
    if not jnp.issubdtype(values.dtype, jnp.integer):
        raise TypeError(f"{name}: {what} must be integers, got {describe(values)}")
    report(name, f"{what} must lie in 0..{size - 1}", values, lambda values: (values < 0) | (values >= size))


def seen(values: Any) -> bool:
    """Whether the host can see the values: not while tracing, nor of shapes alone, nor what lies on other processes' devices."""
    return not isinstance(values, jax.core.Tracer | jax.ShapeDtypeStruct) and getattr(values, "is_fully_addressable", True)


def report(name: str, rule: str, values: Any, wrong: Callable[[Any], Any]) -> None:
    """Raises ValueError naming the first entry that is `wrong`, where the host can see the values."""
    if isinstance(values, jax.core.Tracer):
        _report_on_device(name, rule, values, wrong)
    if not seen(values):
        return
    values = np.asarray(values)
    bad = wrong(values)
    if isinstance(bad, jax.core.Tracer):  # by other values, such as lengths
        _report_on_device(name, rule, jnp.asarray(values), wrong)
    elif len(bad := np.argwhere(bad)):
        where = tuple(int(i) for i in bad[0])
        raise ValueError(f"{name}: {rule}, found {values[where]}" + (f" at index {list(where)}" if where else ""))


def _report_on_device(name: str, rule: str, values: jax.Array, wrong: Callable[[Any], Any]) -> None:
    """The same for what is being traced, by a check in the program, if such are asked for."""
    if not on_device.value or not values.size:
        return
    bad = wrong(values)
    first = jnp.argmax(bad)
    where: dict[str, Any] = {f"axis{axis}": i for axis, i in enumerate(jnp.unravel_index(first, values.shape))}
    at = f" at index [{', '.join(f'{{{axis}}}' for axis in where)}]" if where else ""
    rule = f"{name}: {rule}".replace("{", "{{").replace("}", "}}")
    checkify.check(~bad.any(), rule + ", found {found}" + at, found=values.reshape(-1)[first], **where)
