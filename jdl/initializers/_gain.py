"""How much an activation needs its input enlarged."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

_GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5 / 3, "relu": math.sqrt(2), "selu": 3 / 4}


def gain(activation: str | Callable[[jax.Array], jax.Array], slope: float = 0.01) -> float:
    """Says by what to multiply the standard deviation of the weights before an activation, so that signals keep their size.

    By name, these are the customary numbers, the same as PyTorch's. For any function f, it is `1 / sqrt(E f(z)^2)` with z normal,
    by numerical integration, which keeps the mean square exactly (and differs from custom for sigmoid, tanh and selu).

    Args:
      activation: `"linear"`, `"sigmoid"`, `"tanh"`, `"relu"`, `"leaky_relu"` or `"selu"`, or a function of arrays that works entry
        by entry.
      slope: of `"leaky_relu"`.

    Returns:
      A number; its square is what `variance_scaling` takes as scale.

    Raises:
      ValueError: if no activation of that name is in the table.

    Example:
      >>> import jax
      >>> from jdl import initializers
      >>> round(initializers.gain("tanh"), 4), round(initializers.gain(jax.nn.relu), 4), round(initializers.gain(jax.nn.gelu), 2)
      (1.6667, 1.4142, 1.53)
      >>> kernel_init = initializers.variance_scaling(initializers.gain(jax.nn.gelu) ** 2, "fan_in", "normal")

    Source: He et al., "Delving Deep into Rectifiers", https://arxiv.org/abs/1502.01852.
    """
    if callable(activation):
        return _integrated(activation)
    if activation == "leaky_relu":
        return math.sqrt(2 / (1 + slope**2))
    if activation not in _GAINS:
        names = ", ".join(sorted([*_GAINS, "leaky_relu"]))
        raise ValueError(f"gain: activation must be a function or one of {names}, got {activation!r}")
    return _GAINS[activation]


def _integrated(activation: Callable[[jax.Array], jax.Array]) -> float:
    z = np.linspace(-9, 9, 18001)
    with jax.ensure_compile_time_eval():  # under jit too, the gain is a number
        y = np.asarray(activation(jnp.asarray(z, jnp.float32)), np.float64)
    density = np.exp(-(z**2) / 2)
    return math.sqrt(density.sum() / (density * y**2).sum())
