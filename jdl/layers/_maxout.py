"""Maxout layer."""

from typing import Any

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.layer import Layer
from jdl.layers._dense import dense


def maxout(
    features: int,
    pieces: int,
    *,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """A dense layer with several pieces for each feature, of which it takes the largest: a convex function that is learnt.

    Args:
      features: size of the output.
      pieces: how many affine functions each output is the largest of.
      kernel_init: makes the kernel, `(in, features * pieces)`; the pieces of a feature are neighbours.
      bias_init: makes the bias, `(features * pieces,)`.

    Returns:
      A Layer from `(..., in)` to `(..., features)` with params `kernel` and `bias`.

    Raises:
      ValueError: if `features` or `pieces` is not a positive integer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.maxout(3, 2).init(jax.random.key(0), jnp.ones((2, 5)))
      >>> params["kernel"].shape
      (5, 6)

    Source: Goodfellow et al., "Maxout Networks", https://arxiv.org/abs/1302.4389.
    """
    _check.positive("maxout", features=features, pieces=pieces)
    affine = dense(features * pieces, kernel_init=kernel_init, bias_init=bias_init)

    def apply(params: dict, state: dict, x: Any, *, key: Any = None, train: bool = False) -> tuple[jax.Array, dict]:
        y, state = affine.apply(params, state, x, key=key, train=train)
        return functional.maxout(y, pieces), state

    return Layer(affine.init, apply)
