"""Biases with which an LSTM remembers at first."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def forget_bias(value: float | jax.Array = 1.0) -> Callable[..., jax.Array]:
    """Makes the bias of an LSTM's gates i, f, g, o: `value` for those that forget, 0 for the others.

    Args:
      value: of the second block; may be traced. 1 was found to help nearly always.

    Returns:
      An initializer of biases, `(4 * features,)`; it draws nothing.

    Raises:
      ValueError: when called, if the shape is not that of four blocks.

    Example:
      >>> import jax
      >>> from jdl import initializers
      >>> initializers.forget_bias()(jax.random.key(0), (8,)).tolist()
      [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]

    Source: Jozefowicz, Zaremba and Sutskever, "An Empirical Exploration of Recurrent Network Architectures",
    https://proceedings.mlr.press/v37/jozefowicz15.html.
    """

    def init(key: Any, shape: Any, dtype: Any = None) -> jax.Array:
        del key  # nothing is drawn
        if len(shape) != 1 or shape[0] % 4:
            raise ValueError(f"forget_bias: the shape must be (4 * features,), got {tuple(shape)}")
        bias = jnp.zeros((4, shape[0] // 4), dtype)
        return bias.at[1].set(jnp.asarray(value, bias.dtype)).reshape(shape)

    return init
