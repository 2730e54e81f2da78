"""The statistics of one image on the features of another."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._standardise import standardise, widened


def adain(x: jax.Array, style: jax.Array, *, epsilon: float = 1e-5) -> jax.Array:
    """Gives each channel of each sample the style's mean and deviation: `y = (x - mean(x)) / std(x) * std(style) + mean(style)`.

    Args:
      x: content, `(batch, *spatial, features)`, floating point.
      style: `(batch, *spatial, features)`; its spatial sizes may differ from those of `x`.
      epsilon: what is added to both variances.

    Returns:
      An array like `x`; computed in float32 at least.

    Raises:
      TypeError: if an input is not floating point.
      ValueError: if a rank is under 3, or batch or features differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> x, style = jnp.array([[[1.0], [3.0]]]), jnp.array([[[0.0], [10.0], [0.0], [10.0]]])
      >>> functional.adain(x, style, epsilon=0).ravel().tolist()
      [0.0, 10.0]

    Source: Huang and Belongie, "Arbitrary Style Transfer in Real-time with Adaptive Instance Normalization",
    https://arxiv.org/abs/1703.06868.
    """
    wide, style = widened("adain", x, epsilon=epsilon), widen(_check.floating("adain", style, "style"))
    for one in (x, style):
        _check.rank("adain", one, range(3, 65), "(batch, *spatial, features), and style likewise")
    if (x.shape[0], x.shape[-1]) != (style.shape[0], style.shape[-1]):
        raise ValueError(f"adain: batch or features differ: x is {_check.describe(x)}, style is {_check.describe(style)}")
    places = tuple(range(1, style.ndim - 1))
    mean, variance = style.mean(places), style.var(places)  # (batch, features)
    own = lambda a: jnp.expand_dims(a, range(1, x.ndim - 1)).astype(wide.dtype)
    return (standardise(wide, range(1, x.ndim - 1), epsilon) * own(jnp.sqrt(variance + epsilon)) + own(mean)).astype(x.dtype)
