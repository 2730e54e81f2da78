"""Padding and cropping of spatial axes."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._window import expand, spatial_axes, widths

MODES = {"zeros": "constant", "circular": "wrap", "reflect": "reflect", "replicate": "edge"}  # NumPy's names for them


def pad(x: jax.Array, padding: int | Sequence[tuple[int, int]], *, mode: str = "zeros", value: float | jax.Array = 0) -> jax.Array:
    """Pads spatial axes: `a b c` by 2 becomes `0 0 a b c 0 0`, or, by mode, what is said below.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes.
      padding: a width for all sides, or a `(low, high)` pair for each axis.
      mode: `"zeros"` (or another `value`), `"circular"` (`b c a b c a b`), `"reflect"` (`c b a b c b a`) or `"replicate"`
        (`a a a b c c c`).
      value: what `"zeros"` pads with; may be traced.

    Returns:
      `(batch, *spatial_out, channels)`, of the dtype of `x`.

    Raises:
      ValueError: if ranks don't fit, the mode is unknown, or `value` is given to a mode that pads with entries of `x`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.pad(jnp.arange(3.0).reshape(1, 3, 1), [(0, 2)], mode="reflect").ravel().tolist()
      [0.0, 1.0, 2.0, 1.0, 0.0]
    """
    pairs = widths("pad", padding, spatial_axes("pad", x))
    check_mode("pad", mode, value)
    if mode == "zeros":
        return jnp.pad(x, [(0, 0), *pairs, (0, 0)], constant_values=jnp.asarray(value, x.dtype))
    return jnp.pad(x, [(0, 0), *pairs, (0, 0)], mode=MODES[mode])


def check_mode(name: str, mode: str, value: float | jax.Array) -> None:
    """Raises ValueError unless there is such a mode, and it takes such a value."""
    _check.choice(name, "mode", mode, tuple(MODES))
    if mode != "zeros" and (isinstance(value, jax.Array) or value != 0):
        raise ValueError(f"{name}: value is for mode zeros, {mode} pads with entries of x, got value {value}")


def crop(x: jax.Array, padding: int | Sequence[tuple[int, int]]) -> jax.Array:
    """Takes off what `pad` adds.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes.
      padding: how much, as a width for all sides, or as a `(low, high)` pair for each axis.

    Returns:
      `(batch, *spatial_out, channels)`, of the dtype of `x`.

    Raises:
      ValueError: if ranks don't fit, or nothing would be left.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.crop(jnp.arange(5.0).reshape(1, 5, 1), [(1, 2)]).ravel().tolist()
      [1.0, 2.0]
    """
    pairs = widths("crop", padding, spatial_axes("crop", x))
    stop = [n - high for n, (_, high) in zip(x.shape[1:-1], pairs)]
    if any(low >= end for (low, _), end in zip(pairs, stop)):
        raise ValueError(f"crop: nothing is left of {_check.describe(x)} without {pairs}")
    start = 0, *(low for low, _ in pairs), 0
    return jax.lax.slice(jnp.asarray(x), start, (x.shape[0], *stop, x.shape[-1]))


def center_crop(x: jax.Array, size: int | Sequence[int]) -> jax.Array:
    """Takes the middle; of an odd number of entries to take off, one more goes at the end.

    Args:
      x: input, `(batch, *spatial, channels)` with one to three spatial axes.
      size: of the spatial axes of the result, one for all or one each.

    Returns:
      `(batch, *size, channels)`, of the dtype of `x`.

    Raises:
      ValueError: if ranks don't fit, or `x` is smaller than `size`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.center_crop(jnp.arange(5.0).reshape(1, 5, 1), 2).ravel().tolist()
      [1.0, 2.0]
    """
    size = expand("center_crop", "size", size, spatial_axes("center_crop", x))
    extra = [n - s for n, s in zip(x.shape[1:-1], size)]
    if min(extra) < 0:
        raise ValueError(f"center_crop: {_check.describe(x)} is smaller than {size}")
    return crop(x, [(e // 2, e - e // 2) for e in extra])
