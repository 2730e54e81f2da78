"""Activations with settings or parameters; those without are functions."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.layer import Layer, function, stateless
from jdl.layers._drawing import drawing
from jdl.layers._parameter import parameter


def prelu(*, per_channel: bool = False, slope_init: initializers.Initializer = initializers.constant(0.25)) -> Layer:
    """Multiplies what is negative by a learned slope: `y = x where x > 0, slope * x elsewhere`.

    Args:
      per_channel: whether each entry of the last axis has a slope of its own, or all share one.
      slope_init: makes the slope, `(channels,)` or `()`.

    Returns:
      A Layer on `(..., channels)` with the param `slope`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> x, layer = jnp.array([[-4.0, 4.0]]), L.prelu()
      >>> layer.apply(*layer.init(jax.random.key(0), x), x)[0].tolist()
      [[-1.0, 4.0]]

    Source: He et al., "Delving Deep into Rectifiers", https://arxiv.org/abs/1502.01852.
    """
    return _learned("prelu", functional.prelu, "slope", slope_init, per_channel)


def parametric_swish(*, per_channel: bool = False, beta_init: initializers.Initializer = initializers.ones) -> Layer:
    """Multiplies by a gate of learned steepness: `y = x * sigmoid(beta * x)`. At `beta = 1` it is `swish`.

    Args:
      per_channel: whether each entry of the last axis has a beta of its own, or all share one.
      beta_init: makes beta, `(channels,)` or `()`.

    Returns:
      A Layer on `(..., channels)` with the param `beta`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.parametric_swish(per_channel=True).init(jax.random.key(0), jnp.ones((2, 3)))[0]["beta"].tolist()
      [1.0, 1.0, 1.0]

    Source: Ramachandran, Zoph and Le, "Searching for Activation Functions", https://arxiv.org/abs/1710.05941.
    """
    return _learned("parametric_swish", functional.parametric_swish, "beta", beta_init, per_channel)


def snake(*, per_channel: bool = False, frequency_init: initializers.Initializer = initializers.ones) -> Layer:
    """Adds a wave of learned frequency, for periodic targets: `y = x + sin(frequency * x)^2 / frequency`.

    Args:
      per_channel: whether each entry of the last axis has a frequency of its own, or all share one.
      frequency_init: makes the frequency, `(channels,)` or `()`.

    Returns:
      A Layer on `(..., channels)` with the param `frequency`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.snake(per_channel=True).init(jax.random.key(0), jnp.ones((2, 3)))[0]["frequency"].tolist()
      [1.0, 1.0, 1.0]

    Source: Ziyin, Hartwig and Ueda, "Neural Networks Fail to Learn Periodic Functions and How to Fix It",
    https://arxiv.org/abs/2006.08195.
    """
    return _learned("snake", functional.snake, "frequency", frequency_init, per_channel)


def rrelu(lower: float | jax.Array = 1 / 8, upper: float | jax.Array = 1 / 3) -> Layer:
    """Multiplies what is negative by random slopes in training, and by their mean in evaluation.

    Args:
      lower: the smallest slope; may be traced.
      upper: the largest slope; may be traced.

    Returns:
      A Layer on floating-point arrays of any shape; in training it needs a key.

    Raises:
      ValueError: if `lower` and `upper` are numbers and `lower` is larger, or no key is given in training.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.rrelu(0.25, 0.75).apply({}, {}, jnp.array([-4.0, 4.0]))[0].tolist()
      [-2.0, 4.0]

    Source: Xu et al., "Empirical Evaluation of Rectified Activations in Convolutional Network", https://arxiv.org/abs/1505.00853.
    """
    _check.ordered("rrelu", lower=lower, upper=upper)

    draw = functools.partial(functional.rrelu, lower=lower, upper=upper)
    check = functools.partial(_check.floating, "rrelu")
    return drawing("rrelu", draw, check, evaluate=lambda x: functional.prelu(x, (lower + upper) / 2))


def threshold(limit: float | jax.Array, value: float | jax.Array) -> Layer:
    """Replaces what does not exceed a limit: `y = x where x > limit, value elsewhere`.

    Args:
      limit: a number; may be traced.
      value: likewise.

    Returns:
      A Layer on floating-point arrays of any shape.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.threshold(1.0, -1.0).apply({}, {}, jnp.array([0.5, 2.0]))[0].tolist()
      [-1.0, 2.0]
    """
    return function(functools.partial(functional.threshold, limit=limit, value=value))


def k_winners(k: int) -> Layer:
    """Keeps the `k` largest entries of the last axis and sets the others to 0; of equal ones, the first stay.

    Args:
      k: how many stay.

    Returns:
      A Layer on `(..., features)`.

    Raises:
      ValueError: if `k` is not a positive integer.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.k_winners(2).apply({}, {}, jnp.array([3.0, -1.0, 2.0]))[0].tolist()
      [3.0, 0.0, 2.0]

    Source: Xiao, Zhong and Zheng, "Enhancing Adversarial Defense by k-Winners-Take-All", https://arxiv.org/abs/1905.10510.
    """
    _check.positive("k_winners", k=k)
    return function(functools.partial(functional.k_winners, k=k))


def _learned(
    name: str, activation: Callable[..., jax.Array], weight: str, make: initializers.Initializer, per_channel: bool
) -> Layer:
    def init(key: jax.Array, x: Any) -> dict:
        x = _check.floating(name, x)
        _check.rank(name, x, range(int(per_channel), 65), "(..., channels)")
        return {weight: parameter(key, weight, make, x.shape[-1:] if per_channel else (), x)}

    return stateless(init, lambda params, x: activation(x, params[weight]))
