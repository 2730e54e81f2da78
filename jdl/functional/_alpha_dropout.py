"""Alpha dropout, for networks that normalise themselves."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._dropout import _draw, images, mask_shape, share_kept
from jdl.functional._numbers import widen

_LOWEST = -1.7580993408473766  # the limit of SELU at minus infinity: -scale * alpha


def alpha_dropout(key: jax.Array, x: jax.Array, rate: float | jax.Array, *, shared: int | Sequence[int] = ()) -> jax.Array:
    """Sets entries to the lowest value of SELU, then scales and shifts all: `y = a * where(kept, x, lowest) + b`.

    `a` and `b` keep the mean at 0 and the variance at 1 where they are so in `x`.

    Args:
      key: a typed key.
      x: input of any shape, floating point.
      rate: probability of *dropping*, in [0, 1]; may be traced. 0 returns `x`, and 1 zeros (the limit, as in PyTorch), exactly.
      shared: axes along which one mask is shared, as in `dropout`.

    Returns:
      An array like `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `rate` is a number outside [0, 1], or `x` lacks a shared axis.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> x = jax.random.normal(jax.random.key(0), (1000,))
      >>> functional.alpha_dropout(jax.random.key(1), x, 0.5).std().round(1).item()
      1.0

    Source: Klambauer et al., "Self-Normalizing Neural Networks", https://arxiv.org/abs/1706.02515.
    """
    return _alpha("alpha_dropout", key, _check.floating("alpha_dropout", x), rate, shared)


def feature_alpha_dropout(key: jax.Array, x: jax.Array, rate: float | jax.Array) -> jax.Array:
    """Does what `alpha_dropout` does to whole channels.

    Args:
      key: a typed key.
      x: input, `(batch, *spatial, channels)` with one to three spatial axes, floating point.
      rate: probability of *dropping* a channel of a sample, in [0, 1]; may be traced. 0 returns `x` and 1 zeros, exactly.

    Returns:
      An array like `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if ranks don't fit, or `rate` is a number outside [0, 1].

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> y = functional.feature_alpha_dropout(jax.random.key(0), jnp.ones((2, 5, 3)), 0.5)
      >>> bool((y == y[:, :1]).all())
      True

    Source: Klambauer et al., "Self-Normalizing Neural Networks", https://arxiv.org/abs/1706.02515.
    """
    x = images("feature_alpha_dropout", x)
    return _alpha("feature_alpha_dropout", key, x, rate, range(1, x.ndim - 1))


def _alpha(name: str, key: jax.Array, x: jax.Array, rate: float | jax.Array, shared: int | Sequence[int]) -> jax.Array:
    keep = share_kept(name, x, rate)
    variance = keep * (1 + _LOWEST**2 * (1 - keep))  # of where(kept, x, lowest)
    a = jnp.where(keep > 0, jax.lax.rsqrt(jnp.where(keep > 0, variance, 1)), 0)  # no 1 / 0, whose gradient is NaN
    b = -a * (1 - keep) * _LOWEST
    wide = widen(x)
    kept = _draw(key, mask_shape(name, x, shared), keep)
    return jnp.where(kept, a * wide + b, a * keep * _LOWEST).astype(x.dtype)  # the last is a * lowest + b without cancellation
