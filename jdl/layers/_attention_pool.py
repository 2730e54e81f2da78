"""Pooling by learnt attention."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.functional._window import spatial_axes
from jdl.layer import Layer, compose
from jdl.layers._dense import dense


def attention_pool(
    features: int,
    *,
    heads: int = 1,
    gated: bool = False,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
) -> Layer:
    """Takes a mean over all spatial axes that is weighted by what the entries are: `y = sum_p softmax(tanh(x V) w)[p] x[p]`.

    Args:
      features: width of the hidden layer that scores entries.
      heads: number of scores; each weights its share of the channels.
      gated: whether the hidden layer is multiplied by a gate, `tanh(x V) * sigmoid(x U)`.
      kernel_init: makes the kernels of `hidden` (V) and `gate` (U), `(channels, features)`, and of `score` (w),
        `(features, heads)`.

    Returns:
      A Layer from `(batch, *spatial, channels)`, or a set `(batch, n, channels)`, to `(batch, channels)`, with an input `mask=`,
      `(batch, *spatial)` bool, if you like, and params `hidden`, `score` and, if gated, `gate`.

    Raises:
      ValueError: if `features` or `heads` is not a positive integer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.attention_pool(16, heads=2).init(jax.random.key(0), jnp.ones((4, 7, 6)))
      >>> params["hidden"]["kernel"].shape, params["score"]["kernel"].shape
      ((6, 16), (16, 2))

    Source: Ilse et al., "Attention-based Deep Multiple Instance Learning", https://arxiv.org/abs/1802.04712.
    """
    _check.positive("attention_pool", features=features, heads=heads)

    @compose(**scorer(features, heads, gated, kernel_init))
    def forward(net, x, mask=None):
        x = _check.floating("attention_pool", x)
        spatial_axes("attention_pool", x)
        return functional.attention_pool(x, scores(net, x, gated), mask)

    return forward


def scorer(features: int, heads: int, gated: bool, kernel_init: initializers.Initializer) -> dict[str, Layer]:
    """The sublayers that `scores` calls."""
    sublayers = {name: dense(features, bias=False, kernel_init=kernel_init) for name in ("hidden", "gate")[: 1 + gated]}
    return sublayers | {"score": dense(heads, bias=False, kernel_init=kernel_init)}


def scores(net: Any, x: jax.Array, gated: bool) -> jax.Array:
    """How much every entry counts, before the softmax: `(..., heads)`."""
    hidden = jnp.tanh(net.hidden(x))
    if gated:
        hidden = hidden * jax.nn.sigmoid(net.gate(x))
    return net.score(hidden)
