"""Max pooling to any fraction of the size, by windows at random places."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._max_pool import max_pool
from jdl.functional._window import check_sizes, expand, spatial_axes


def fractional_max_pool(
    key: jax.Array | None,
    x: jax.Array,
    window: int | Sequence[int],
    *,
    size: int | Sequence[int] | None = None,
    ratio: float | None = None,
) -> jax.Array:
    """Takes the largest value in windows whose places are a pseudo-random sequence, so that the size shrinks by any fraction.

    Along an axis of `n`, window `i` of `m` begins at `floor((i + u) a) - floor(u a)` with `a = (n - window) / (m - 1)`, and the
    last one ends with the axis. Each sample draws one `u` in [0, 1) for each axis, which its channels share.

    Args:
      key: a typed key; or None for the sequence in the middle, `u = 1/2`, which draws nothing.
      x: input, `(batch, *spatial, channels)` with one to three spatial axes, floating point.
      window: size of the window, one for all axes or one each.
      size: spatial size of the output, one for all axes or one each; or give `ratio`.
      ratio: size of the output relative to that of the input, in (0, 1), rounded down.

    Returns:
      `(batch, *size, channels)`, of the dtype of `x`. The gradient goes to the first of equal values.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if ranks don't fit, not one of `size` and `ratio` is given, or an axis has no places for so many windows.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.fractional_max_pool(jax.random.key(0), jnp.ones((2, 9, 9, 3)), 2, ratio=0.7).shape
      (2, 6, 6, 3)

    Source: Graham, "Fractional Max-Pooling", https://arxiv.org/abs/1412.6071.
    """
    x = _check.floating("fractional_max_pool", x)
    spatial_axes("fractional_max_pool", x)
    check_size("fractional_max_pool", size, ratio)
    axes = x.ndim - 2
    windows = expand("fractional_max_pool", "window", window, axes)
    sizes = tuple(int(n * ratio) for n in x.shape[1:-1]) if ratio is not None else size
    sizes = expand("fractional_max_pool", "size", sizes, axes)  # type: ignore[arg-type]
    for n, w, count in zip(x.shape[1:-1], windows, sizes):
        if n - w + 1 < count:
            raise ValueError(f"fractional_max_pool: an axis of {n} has no places for {count} windows of {w}")
    samples = jnp.full((len(x), axes), 0.5) if key is None else jax.random.uniform(key, (len(x), axes))
    return pool_at(samples, x, windows, sizes)


def check_size(name: str, size: int | Sequence[int] | None, ratio: float | None) -> None:
    """Raises ValueError unless one of the two is given, and in range."""
    if (size is None) == (ratio is None):
        raise ValueError(f"{name}: give one of size and ratio, got size={size!r} and ratio={ratio!r}")
    if size is not None:
        check_sizes(name, size=size)
    elif not 0 < ratio < 1:  # type: ignore[operator]
        raise ValueError(f"{name}: ratio must be in (0, 1), got {ratio!r}")


def pool_at(samples: jax.Array, x: jax.Array, windows: Sequence[int], sizes: Sequence[int]) -> jax.Array:
    """Pools with the given `u`, `(batch, axes)`."""

    def one(samples, y):
        for axis, (n, w, count) in enumerate(zip(x.shape[1:-1], windows, sizes)):
            y = jnp.take(y, _starts(samples[axis], n - w, count), axis=axis, mode="clip")
        return y

    return jax.vmap(one)(samples, max_pool(x, tuple(windows), stride=1))


def _starts(sample: jax.Array, last: int, count: int) -> jax.Array:
    """Where windows begin along an axis, from 0 to `last`."""
    places = jnp.arange(count)
    step = last / max(count - 1, 1)
    starts = jnp.floor((places.astype(sample.dtype) + sample) * step) - jnp.floor(sample * step)
    return jnp.where(places == count - 1, last, starts.astype(jnp.int32))
