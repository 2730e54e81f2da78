"""Dropout, of single entries or with one mask for whole axes."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._window import spatial_axes


def dropout(key: jax.Array, x: jax.Array, rate: float | jax.Array, *, shared: int | Sequence[int] = ()) -> jax.Array:
    """Sets each entry to zero with probability `rate` and divides the others by `1 - rate`, so that the mean stays.

    A random word of 32 bits serves two entries, which halves the cost; entries are dropped with the multiple of `2**-16` nearest to
    `rate`.

    Args:
      key: a typed key.
      x: input of any shape, floating point.
      rate: probability of *dropping*, in [0, 1]; may be traced. 0 returns `x` and 1 zeros, exactly.
      shared: axes along which one mask is shared: entries that differ in these indices only are dropped together.

    Returns:
      An array like `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `rate` is a number outside [0, 1], or `x` lacks a shared axis.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> y = functional.dropout(jax.random.key(0), jnp.ones(1000), 0.2)
      >>> sorted(set(y.tolist())), (y == 0).mean().round(1).item()
      ([0.0, 1.25], 0.20000000298023224)

    Source: Srivastava et al., "Dropout", https://jmlr.org/papers/v15/srivastava14a.html.
    """
    return drop("dropout", key, _check.floating("dropout", x), rate, shared)


def spatial_dropout(key: jax.Array, x: jax.Array, rate: float | jax.Array) -> jax.Array:
    """Sets whole channels to zero with probability `rate` and divides the others by `1 - rate`.

    Args:
      key: a typed key.
      x: input, `(batch, *spatial, channels)` with one to three spatial axes, floating point.
      rate: probability of *dropping* a channel of a sample, in [0, 1]; may be traced. 0 returns `x` and 1 zeros, exactly.

    Returns:
      An array like `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if ranks don't fit, or `rate` is a number outside [0, 1].

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.spatial_dropout(jax.random.key(1), jnp.ones((1, 2, 4)), 0.5).tolist()
      [[[2.0, 0.0, 2.0, 2.0], [2.0, 0.0, 2.0, 2.0]]]

    Source: Tompson et al., "Efficient Object Localization Using Convolutional Networks", https://arxiv.org/abs/1411.4280.
    """
    x = images("spatial_dropout", x)
    return drop("spatial_dropout", key, x, rate, range(1, x.ndim - 1))


def locked_dropout(key: jax.Array, x: jax.Array, rate: float | jax.Array) -> jax.Array:
    """Drops the same features at all times (variational dropout), and divides the others by `1 - rate`.

    Args:
      key: a typed key.
      x: input, `(batch, time, features)`, floating point.
      rate: probability of *dropping* a feature of a sample, in [0, 1]; may be traced. 0 returns `x` and 1 zeros, exactly.

    Returns:
      An array like `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if ranks don't fit, or `rate` is a number outside [0, 1].

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.locked_dropout(jax.random.key(1), jnp.ones((1, 2, 4)), 0.5).tolist()
      [[[2.0, 0.0, 2.0, 2.0], [2.0, 0.0, 2.0, 2.0]]]

    Source: Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks",
    https://arxiv.org/abs/1512.05287.
    """
    return drop("locked_dropout", key, sequences("locked_dropout", x), rate, 1)


def images(name: str, x: jax.Array) -> jax.Array:
    """`x` as JAX's array; raises unless it is `(batch, *spatial, channels)`."""
    x = _check.floating(name, x)
    spatial_axes(name, x)
    return x


def sequences(name: str, x: jax.Array, what: str = "x") -> jax.Array:
    """`x` as JAX's array; raises unless it is `(batch, time, features)`."""
    x = _check.floating(name, x, what)
    _check.rank(name, x, (3,), "(batch, time, features)", what)
    return x


def drop(name: str, key: jax.Array, x: jax.Array, rate: float | jax.Array, shared: int | Sequence[int]) -> jax.Array:
    """Dropout in the name of another function."""
    keep = share_kept(name, x, rate)
    factor = jnp.where(keep > 0, 1 / jnp.where(keep > 0, keep, 1), 0)  # no 1 / 0, whose gradient is NaN
    kept = _draw(key, mask_shape(name, x, shared), keep)
    wide = widen(x)  # a factor in half precision would move the mean
    return jnp.where(kept, (wide * factor).astype(x.dtype), jnp.zeros((), x.dtype))


def share_kept(name: str, x: jax.Array, rate: float | jax.Array) -> jax.Array:
    """`1 - rate` in the precision of `x`, float32 at least; raises ValueError if `rate` is a number outside [0, 1]."""
    _check.within(name, 0, 1, rate=rate)
    return 1 - jnp.asarray(rate, real(x))


def real(x: jax.Array) -> jnp.dtype:
    """The dtype of real numbers to compute in for `x`: float32 at least."""
    return jnp.promote_types(jnp.finfo(x.dtype).dtype, jnp.float32)


def mask_shape(name: str, x: jax.Array, shared: int | Sequence[int]) -> tuple[int, ...]:
    """The shape of `x`, with 1 for shared axes; raises ValueError if `x` lacks one."""
    axes = check_shared(name, shared)
    if not all(-x.ndim <= axis < x.ndim for axis in axes):
        raise ValueError(f"{name}: shared must be axes of x, got {axes} for {_check.describe(x)}")
    alone = {axis % x.ndim for axis in axes}
    return tuple(1 if axis in alone else size for axis, size in enumerate(x.shape))


def check_shared(name: str, shared: int | Sequence[int]) -> tuple[int, ...]:
    """The axes as a tuple; raises ValueError unless they are integers."""
    return () if isinstance(shared, Sequence) and len(shared) == 0 else _check.axes(name, shared=shared)


def _draw(key: jax.Array, shape: tuple[int, ...], keep: jax.Array) -> jax.Array:
    """True with probability `keep`, exactly so for 0 and 1."""
    *leading, last = shape or (1,)
    words = jax.random.bits(key, (*leading, -(-last // 2)), jnp.uint32)  # not the default, which has 64 bits under x64
    limit = jnp.round(keep * 2**16).astype(jnp.uint32)
    kept = jnp.concatenate([words >> 16 < limit, words & 0xFFFF < limit], axis=-1)
    return kept[..., :last].reshape(shape)
