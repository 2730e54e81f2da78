"""Generalised-mean pooling with a learnt power."""

from typing import Any

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.functional._window import spatial_axes
from jdl.layer import Layer, stateless
from jdl.layers._parameter import parameter

_POWER = initializers.constant(3.0)


def generalized_mean_pool(*, epsilon: float = 1e-6, power_init: initializers.Initializer = _POWER) -> Layer:
    """Takes the generalised mean (GeM) over all spatial axes, with one power that is learnt.

    Args:
      epsilon: what smaller entries are taken for, above 0.
      power_init: makes the power, a scalar.

    Returns:
      A Layer from `(batch, *spatial, channels)` to `(batch, channels)` with param `power`.

    Raises:
      ValueError: if `epsilon` is not above 0.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.generalized_mean_pool().init(jax.random.key(0), jnp.ones((2, 8, 8, 3)))
      >>> params["power"].item()
      3.0

    Source: Radenovic et al., "Fine-tuning CNN Image Retrieval with No Human Annotation", https://arxiv.org/abs/1711.02512.
    """
    _check.above_zero("generalized_mean_pool", epsilon=epsilon)

    def init(key: jax.Array, x: Any) -> dict:
        x = _check.floating("generalized_mean_pool", x)
        spatial_axes("generalized_mean_pool", x)
        return {"power": parameter(key, "power", power_init, (), x)}

    return stateless(init, lambda params, x: functional.generalized_mean_pool(x, params["power"], epsilon=epsilon))
