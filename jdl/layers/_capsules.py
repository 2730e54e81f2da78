"""A layer of capsules."""

from typing import Any

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.layer import Layer, stateless
from jdl.layers._fan import fan_in
from jdl.layers._parameter import parameter


def capsules(
    count: int,
    width: int,
    *,
    routings: int = 3,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
) -> Layer:
    """Capsules of which every one sees every capsule of its input, with votes that are routed by agreement.

    A part votes for each capsule by a matrix of its own; `functional.dynamic_routing` weighs the votes. The length of a capsule is
    the probability that what it stands for is there, `losses.capsule_margin` its loss. Primary capsules are channels of a
    convolution in groups, as in the example.

    Args:
      count: how many capsules there are.
      width: numbers in each.
      routings: rounds of routing, a positive integer.
      kernel_init: makes the matrix of a part for all capsules, `(in, count * width)`.

    Returns:
      A Layer from `(batch, parts, in)` to `(batch, count, width)`, with a param `kernel`, `(parts, in, count, width)`.

    Raises:
      ValueError: if a size is not a positive integer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional, layers as L
      >>> primary = lambda x: functional.squash(x.reshape(len(x), -1, 4))
      >>> model, x = L.chain(L.conv(16, 3, stride=2), primary, L.capsules(10, 8)), jnp.ones((2, 9, 9, 1))
      >>> params, state = model.init(jax.random.key(0), x)
      >>> params["2"]["kernel"].shape, jnp.linalg.norm(model.apply(params, state, x)[0], axis=-1).shape
      ((100, 4, 10, 8), (2, 10))

    Source: Sabour, Frosst and Hinton, "Dynamic Routing Between Capsules", https://arxiv.org/abs/1710.09829.
    """
    _check.positive("capsules", count=count, width=width, routings=routings)
    each_part = fan_in(kernel_init, (1,), (0,))

    def init(key: jax.Array, x: Any) -> dict:
        x = _input(x)
        return {"kernel": parameter(key, "kernel", each_part, (*x.shape[1:], count, width), x)}

    def forward(params: dict, x: Any) -> jax.Array:
        x, kernel = _input(x), params["kernel"]
        if x.shape[1:] != kernel.shape[:2]:
            raise ValueError(f"capsules: kernel takes {list(kernel.shape[:2])} of each sample, x is {_check.describe(x)}")
        parts = x.swapaxes(0, 1)  # a product of matrices for each
        votes = jax.lax.batch_matmul(parts, kernel.astype(x.dtype).reshape(*kernel.shape[:2], -1))
        votes = votes.reshape(*parts.shape[:2], *kernel.shape[2:]).swapaxes(0, 1)
        return functional.dynamic_routing(votes, routings=routings)

    return stateless(init, forward)


def _input(x: Any) -> Any:
    x = _check.floating("capsules", x)
    _check.rank("capsules", x, (3,), "(batch, parts, features)")
    return x
