"""A fully connected layer."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.functional._dense import lengths
from jdl.layer import Layer, stateless
from jdl.layers._fan import fan_in
from jdl.layers._parameter import parameter


def dense(
    features: int | Sequence[int],
    *,
    axis: int | Sequence[int] = -1,
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """A fully connected layer: `y = x W + b` over the last axis, or over some axes.

    Args:
      features: size of the output, or of each of its axes.
      axis: the axis of the input that is multiplied, or several.
      bias: whether to add one.
      kernel_init: makes the kernel, `(in, features)`; with several axes as one matrix, `(prod(in), prod(features))`, that is then
        reshaped to `(*in, *features)`.
      bias_init: makes the bias, `(features,)`, or `(*features,)`.

    Returns:
      A Layer from `(..., in)` to `(..., features)` with params `kernel` and `bias`. Of several axes, those that are multiplied are
      left out, and those of the output come last.

    Raises:
      ValueError: if a size is not a positive integer, or an axis not an integer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.dense(3).init(jax.random.key(0), jnp.ones((2, 5)))
      >>> params["kernel"].shape, params["bias"].shape
      ((5, 3), (3,))
      >>> heads = L.dense((4, 8))
      >>> params, state = heads.init(jax.random.key(0), jnp.ones((2, 7, 32)))
      >>> params["kernel"].shape, heads.apply(params, state, jnp.ones((2, 7, 32)))[0].shape
      ((32, 4, 8), (2, 7, 4, 8))
    """
    sizes = tuple(features) if isinstance(features, Sequence) else (features,)
    axes = tuple(axis) if isinstance(axis, Sequence) else (axis,)
    _check.all_positive("dense", features=sizes if isinstance(features, Sequence) else features)
    if not sizes or not axes or any(isinstance(one, bool) or not isinstance(one, int) for one in axes):
        raise ValueError(f"dense: features and axis must be integers, one or more, got {features!r} and {axis!r}")

    def init(key: jax.Array, x: Any) -> dict:
        x = _check.floating("dense", x)
        _check.rank("dense", x, range(1, 65), "(..., features)")
        into = lengths(x, axes)
        if not into:
            raise ValueError(f"dense: x must have the axes {list(axes)}, each another, got {_check.describe(x)}")
        kernel = parameter(key, "kernel", fan_in(kernel_init, range(len(axes))), (*into, *sizes), x)
        return {"kernel": kernel} | ({"bias": parameter(key, "bias", bias_init, sizes, x)} if bias else {})

    return stateless(init, lambda params, x: functional.dense(x, params["kernel"], params.get("bias"), axis=axis))
