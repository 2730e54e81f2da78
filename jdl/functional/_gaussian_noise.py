"""Gaussian noise, multiplied and added."""

import jax
import jax.core
import jax.numpy as jnp
import numpy as np

from jdl.functional import _check
from jdl.functional._dropout import real
from jdl.functional._numbers import root, widen


def gaussian_dropout(key: jax.Array, x: jax.Array, rate: float | jax.Array) -> jax.Array:
    """Multiplies by Gaussian noise with the mean and the variance of dropout's: `y = x * n`, `n ~ N(1, rate / (1 - rate))`.

    Args:
      key: a typed key.
      x: input of any shape, floating point.
      rate: as in `dropout`, in [0, 1); may be traced. 0 returns `x` exactly, and there the gradient of `rate`, whose limit is
        infinite, is 0. A traced 1 gives what an infinite variance gives: nothing finite.

    Returns:
      An array like `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `rate` is a number outside [0, 1).

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.gaussian_dropout(jax.random.key(0), jnp.ones(10_000), 0.2).std().round(1).item()
      0.5

    Source: Srivastava et al., "Dropout", section 10, https://jmlr.org/papers/v15/srivastava14a.html.
    """
    x = _check.floating("gaussian_dropout", x)
    below_one("gaussian_dropout", rate)
    rate = jnp.asarray(rate, real(x))
    deviation = root(rate / (1 - rate))
    wide = widen(x)
    return (wide * (1 + deviation * jax.random.normal(key, x.shape, rate.dtype))).astype(x.dtype)


def gaussian_noise(key: jax.Array, x: jax.Array, stddev: float | jax.Array) -> jax.Array:
    """Adds Gaussian noise: `y = x + stddev * n`, `n ~ N(0, 1)`.

    Args:
      key: a typed key.
      x: input of any shape, floating point; noise of complex numbers is complex, of the same deviation.
      stddev: standard deviation of the noise, at least 0; may be traced. 0 returns `x` exactly.

    Returns:
      An array like `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `stddev` is a number below 0.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.gaussian_noise(jax.random.key(0), jnp.ones(10_000), 2.0).std().round(1).item()
      2.0

    Source: Bishop, "Training with Noise is Equivalent to Tikhonov Regularization", https://doi.org/10.1162/neco.1995.7.1.108.
    """
    x = _check.floating("gaussian_noise", x)
    _check.within("gaussian_noise", 0, np.inf, stddev=stddev)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    noise = jax.random.normal(key, x.shape, wide)
    return (x.astype(wide) + jnp.asarray(stddev, real(x)) * noise).astype(x.dtype)


def below_one(name: str, rate: float | jax.Array) -> None:
    """Raises ValueError if `rate` is a number outside [0, 1)."""
    _check.within(name, 0, 1, rate=rate)
    if not isinstance(rate, jax.core.Tracer) and np.any(np.asarray(rate) >= 1):
        raise ValueError(f"{name}: rate must be below 1, where the variance is infinite, got {rate}")
