"""A bilinear layer of two inputs."""

from typing import Any

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.layer import Layer, stateless
from jdl.layers._fan import fan_in
from jdl.layers._parameter import parameter


def bilinear(
    features: int,
    *,
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """A bilinear map of two inputs: `y[o] = sum_ij x1[i] W[i, j, o] x2[j] + b[o]`.

    Args:
      features: size of the output.
      bias: whether to add one.
      kernel_init: makes the kernel as one matrix, `(in1 * in2, features)`, that is then reshaped to `(in1, in2, features)`.
      bias_init: makes the bias, `(features,)`.

    Returns:
      A Layer from `(..., in1)` and `(..., in2)` to `(..., features)` with params `kernel` and `bias`.

    Raises:
      ValueError: if `features` is not a positive integer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.bilinear(3).init(jax.random.key(0), jnp.ones((2, 5)), jnp.ones((2, 4)))
      >>> params["kernel"].shape
      (5, 4, 3)

    Source: Tenenbaum and Freeman, "Separating Style and Content with Bilinear Models", https://doi.org/10.1162/089976600300015349.
    """
    _check.positive("bilinear", features=features)

    def init(key: jax.Array, x1: Any, x2: Any) -> dict:
        for what, x in (("x1", x1), ("x2", x2)):
            _check.floating("bilinear", x, what)
            _check.rank("bilinear", x, range(1, 65), "(..., features)", what)
        shape = (x1.shape[-1], x2.shape[-1], features)
        params = {"kernel": parameter(key, "kernel", fan_in(kernel_init, (0, 1)), shape, x1)}
        return params | ({"bias": parameter(key, "bias", bias_init, (features,), x1)} if bias else {})

    return stateless(init, lambda params, x1, x2: functional.bilinear(x1, x2, params["kernel"], params.get("bias")))
