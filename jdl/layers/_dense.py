"""A fully connected layer."""

from typing import Any

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.layer import Layer, stateless
from jdl.layers._parameter import parameter


def dense(
    features: int,
    *,
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """A fully connected layer: `y = x W + b` over the last axis.

    Args:
      features: size of the output.
      bias: whether to add one.
      kernel_init: makes the kernel, `(in, features)`.
      bias_init: makes the bias, `(features,)`.

    Returns:
      A Layer from `(..., in)` to `(..., features)` with params `kernel` and `bias`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.dense(3).init(jax.random.key(0), jnp.ones((2, 5)))
      >>> params["kernel"].shape, params["bias"].shape
      ((5, 3), (3,))
    """
    _check.positive("dense", features=features)

    def init(key: jax.Array, x: Any) -> dict:
        x = _check.floating("dense", x)
        _check.rank("dense", x, range(1, 65), "(..., features)")
        params = {"kernel": parameter(key, "kernel", kernel_init, (x.shape[-1], features), x)}
        return params | ({"bias": parameter(key, "bias", bias_init, (features,), x)} if bias else {})

    return stateless(init, lambda params, x: functional.dense(x, params["kernel"], params.get("bias")))
