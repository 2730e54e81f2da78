"""Relatives of the rectifier: what becomes of the numbers below 0."""

import jax
import jax.numpy as jnp

from jdl.functional import _check


def prelu(x: jax.Array, slope: float | jax.Array) -> jax.Array:
    """Multiplies what is negative by a slope: `y = x where x > 0, slope * x elsewhere`.

    Args:
      x: input, `(..., channels)`, floating point.
      slope: a scalar, or `(channels,)`.

    Returns:
      An array like `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `slope` is neither a scalar nor as long as the last axis of `x`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.prelu(jnp.array([-4.0, 4.0]), jnp.array(0.25)).tolist()
      [-1.0, 4.0]

    Source: He et al., "Delving Deep into Rectifiers", https://arxiv.org/abs/1502.01852.
    """
    x = _check.floating("prelu", x)
    return jnp.where(x > 0, x, _check.per_channel("prelu", x, slope=slope).astype(x.dtype) * x)


def rrelu(key: jax.Array, x: jax.Array, lower: float | jax.Array = 1 / 8, upper: float | jax.Array = 1 / 3) -> jax.Array:
    """Multiplies what is negative by random slopes, uniform in [lower, upper], one for each entry.

    Args:
      key: a typed key.
      x: input of any shape, floating point.
      lower: the smallest slope; may be traced.
      upper: the largest slope; may be traced.

    Returns:
      An array like `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `lower` and `upper` are numbers and `lower` is larger.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> y = functional.rrelu(jax.random.key(0), jnp.array([-24.0, 1.0]))
      >>> bool(-8 <= y[0] <= -3), y[1].item()
      (True, 1.0)

    Source: Xu et al., "Empirical Evaluation of Rectified Activations in Convolutional Network", https://arxiv.org/abs/1505.00853.
    """
    x = _check.floating("rrelu", x)
    _check.ordered("rrelu", lower=lower, upper=upper)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    slope = lower + (upper - lower) * jax.random.uniform(key, x.shape, wide)
    return jnp.where(x > 0, x, (slope * x).astype(x.dtype))


def squared_relu(x: jax.Array) -> jax.Array:
    """Squares what is positive: `y = max(x, 0)^2`.

    Args:
      x: input of any shape, floating point.

    Returns:
      An array like `x`.

    Raises:
      TypeError: if `x` is not floating point.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.squared_relu(jnp.array([-3.0, 3.0])).tolist()
      [0.0, 9.0]

    Source: So et al., "Primer: Searching for Efficient Transformers for Language Modeling", https://arxiv.org/abs/2109.08668.
    """
    return jnp.square(jax.nn.relu(_check.floating("squared_relu", x)))


def crelu(x: jax.Array, axis: int = -1) -> jax.Array:
    """Keeps both signs, each in channels of its own: `y = [max(x, 0), max(-x, 0)]`.

    Args:
      x: input, `(..., channels)`, floating point.
      axis: which axis doubles.

    Returns:
      An array like `x`, twice as long along `axis`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `x` is a scalar.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.crelu(jnp.array([-3.0, 2.0])).tolist()
      [0.0, 2.0, 3.0, 0.0]

    Source: Shang et al., "Understanding and Improving Convolutional Neural Networks via Concatenated Rectified Linear Units",
    https://arxiv.org/abs/1603.05201.
    """
    x = _check.floating("crelu", x)
    _check.rank("crelu", x, range(1, 65), "(..., channels)")
    return jnp.concatenate([jax.nn.relu(x), jax.nn.relu(-x)], axis)
