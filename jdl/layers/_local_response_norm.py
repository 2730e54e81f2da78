"""Normalisation by neighbouring channels."""

import functools

from jdl import functional
from jdl.functional._local_response_norm import check_options
from jdl.layer import Layer, function


def local_response_norm(*, size: int = 5, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Layer:
    """Divides by the activity of neighbouring channels: `y = x / (k + alpha * mean(x^2 of neighbours))^beta`.

    Args:
      size: how many channels the window covers.
      alpha: weight of the mean square; `size` times that of the paper, which writes a sum.
      beta: power of the divisor.
      k: what the divisor starts from; positive.

    Returns:
      A Layer on `(batch, ..., features)`.

    Raises:
      ValueError: if `size` is not a positive integer, `alpha` is below 0, or `k` not above it.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.local_response_norm(size=1, alpha=0.75, beta=0.5).apply({}, {}, jnp.array([[2.0]]))[0].tolist()
      [[1.0]]

    Source: Krizhevsky et al., "ImageNet Classification with Deep Convolutional Neural Networks",
    https://papers.nips.cc/paper/4824-imagenet-classification-with-deep-convolutional-neural-networks.
    """
    check_options(size, alpha, k)
    return function(functools.partial(functional.local_response_norm, size=size, alpha=alpha, beta=beta, k=k))
