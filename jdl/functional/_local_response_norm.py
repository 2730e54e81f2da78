"""Normalisation by neighbouring channels."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._avg_pool import avg_pool
from jdl.functional._numbers import widen


def local_response_norm(x: jax.Array, *, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> jax.Array:
    """Divides by the activity of neighbouring channels: `y = x / (k + alpha * mean(x^2 of neighbours))^beta`.

    The mean counts channels that are not there as zeros, as in PyTorch. The paper writes a sum: its alpha is `alpha / size` here
    (it used a size of 5, a sum weighted with 1e-4, and k = 2).

    Args:
      x: input, `(batch, ..., features)`, floating point.
      size: how many channels the window covers: `size // 2` before, the channel itself, the others after.
      alpha: weight of the mean square.
      beta: power of the divisor.
      k: what the divisor starts from; positive.

    Returns:
      An array like `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `size` is not a positive integer, or the rank is under 2.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.local_response_norm(jnp.array([[2.0, 0.0]]), size=1, alpha=0.75, beta=0.5).tolist()
      [[1.0, 0.0]]

    Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks",
    https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks.
    """
    x = _check.floating("local_response_norm", x)
    _check.rank("local_response_norm", x, range(2, 65), "(batch, ..., features)")
    check_options(size, alpha, k)
    wide = widen(x)
    squares = jnp.square(wide).reshape(-1, x.shape[-1], 1)  # channels as places
    mean = avg_pool(squares, size, stride=1, padding=((size // 2, (size - 1) // 2),)).reshape(x.shape)
    return (wide * jnp.power(k + alpha * mean, -beta)).astype(x.dtype)


def check_options(size: int, alpha: float, k: float) -> None:
    """Raises ValueError where the divisor could be 0 or less, or there is no window."""
    _check.positive("local_response_norm", size=size)
    _check.within("local_response_norm", 0, float("inf"), alpha=alpha)
    _check.above_zero("local_response_norm", k=k)
