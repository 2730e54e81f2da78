"""Squeeze and excitation."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.functional._dropout import images
from jdl.layer import Layer, compose
from jdl.layers._dense import dense


def squeeze_excite(
    reduction: int = 16,
    *,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """Weighs channels by what is in all of the image: `y = x * sigmoid(W2 relu(W1 mean(x) + b1) + b2)`.

    Args:
      reduction: how many times fewer units than channels there are between the two dense layers, which are at least one.
      kernel_init: makes the kernels, `(channels, hidden)` and `(hidden, channels)`.
      bias_init: makes the biases, `(hidden,)` and `(channels,)`.

    Returns:
      A Layer that keeps the shape of `(batch, *spatial, channels)`, with params of two dense layers, `reduce` and `expand`.

    Raises:
      ValueError: if `reduction` is not a positive integer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.squeeze_excite(4).init(jax.random.key(0), jnp.ones((2, 8, 8, 32)))
      >>> params["reduce"]["kernel"].shape, params["expand"]["kernel"].shape
      ((32, 8), (8, 32))

    Source: Hu et al., "Squeeze-and-Excitation Networks", https://arxiv.org/abs/1709.01507.
    """
    _check.positive("squeeze_excite", reduction=reduction)

    @functools.cache
    def block(channels: int) -> Layer:
        make = functools.partial(dense, kernel_init=kernel_init, bias_init=bias_init)

        @compose(reduce=make(max(1, channels // reduction)), expand=make(channels))
        def forward(net, x):
            weight = jax.nn.sigmoid(net.expand(jax.nn.relu(net.reduce(functional.global_avg_pool(x)))))
            return x * jnp.expand_dims(weight, range(1, x.ndim - 1))

        return forward

    def of(x: Any) -> Layer:
        return block(images("squeeze_excite", x).shape[-1])

    def apply(params: dict, state: dict, x: Any, **rest: Any) -> tuple[Any, dict]:
        layer, channels = of(x), params["reduce"]["kernel"].shape[0]
        if channels != x.shape[-1]:
            raise ValueError(f"squeeze_excite: kernel takes {channels} channels, x is {_check.describe(x)}")
        return layer.apply(params, state, x, **rest)

    return Layer(lambda key, x: of(x).init(key, x), apply)
