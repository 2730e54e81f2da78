"""Layers that add Gaussian noise, or multiply by it."""

import functools

import jax
import numpy as np

from jdl import functional
from jdl.functional import _check
from jdl.functional._gaussian_noise import below_one
from jdl.layer import Layer
from jdl.layers._drawing import drawing, rated


def gaussian_dropout(rate: float | jax.Array) -> Layer:
    """Multiplies by Gaussian noise `N(1, rate / (1 - rate))` in training, and does nothing in evaluation.

    Args:
      rate: as in `dropout`, in [0, 1); may be traced.

    Returns:
      A Layer on floating-point arrays of any shape; in training it needs a key.

    Raises:
      ValueError: if `rate` is a number outside [0, 1), or no key is given in training.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.gaussian_dropout(0.2).apply({}, {}, jnp.ones(10_000), key=jax.random.key(0), train=True)[0].std().round(1).item()
      0.5

    Source: Srivastava et al., "Dropout", section 10, https://jmlr.org/papers/v15/srivastava14a.html.
    """
    below_one("gaussian_dropout", rate)
    return rated(functional.gaussian_dropout, rate, _check.floating)


def gaussian_noise(stddev: float | jax.Array) -> Layer:
    """Adds Gaussian noise in training, and does nothing in evaluation.

    Args:
      stddev: standard deviation of the noise, at least 0; may be traced.

    Returns:
      A Layer on floating-point arrays of any shape; in training it needs a key.

    Raises:
      ValueError: if `stddev` is a number below 0, or no key is given in training.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.gaussian_noise(2.0).apply({}, {}, jnp.ones(10_000), key=jax.random.key(0), train=True)[0].std().round(1).item()
      2.0

    Source: Bishop, "Training with Noise is Equivalent to Tikhonov Regularization", https://doi.org/10.1162/neco.1995.7.1.108.
    """
    _check.within("gaussian_noise", 0, np.inf, stddev=stddev)
    draw = functools.partial(functional.gaussian_noise, stddev=stddev)
    return drawing("gaussian_noise", draw, functools.partial(_check.floating, "gaussian_noise"))
