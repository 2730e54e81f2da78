"""Layers that a condition scales and shifts."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.layer import Layer, stateless
from jdl.layers._dense import dense


def film(
    *,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """Scales and shifts features by what a dense layer makes of a condition: `y = x * (1 + scale) + shift`.

    Args:
      kernel_init: makes the kernel, `(condition features, 2 * features)`: the scale's columns, then the shift's.
      bias_init: makes the bias, `(2 * features,)`.

    Returns:
      A Layer on `(batch, ..., features)` and a condition `(batch, condition features)`, with params `kernel` and `bias`. The
      condition may have more of the leading axes of the input, such as one for each token.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> x, condition = jnp.ones((2, 8, 8, 3)), jnp.ones((2, 5))
      >>> params, state = L.film().init(jax.random.key(0), x, condition)
      >>> params["kernel"].shape
      (5, 6)

    Source: Perez et al., "FiLM: Visual Reasoning with a General Conditioning Layer", https://arxiv.org/abs/1709.07871.
    """
    return _modulated("film", lambda x: x, kernel_init, bias_init)


def adaptive_layer_norm(
    *,
    epsilon: float = 1e-5,
    kernel_init: initializers.Initializer = initializers.zeros,
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """Layer norm whose scale and shift a dense layer makes of a condition: `y = layer_norm(x) * (1 + scale) + shift`.

    It starts as a plain layer norm. In the paper, the condition goes through `silu` first.

    Args:
      epsilon: what keeps the root away from zero.
      kernel_init: makes the kernel, `(condition features, 2 * features)`: the scale's columns, then the shift's.
      bias_init: makes the bias, `(2 * features,)`.

    Returns:
      A Layer on `(batch, ..., features)` and a condition `(batch, condition features)`, with params `kernel` and `bias`. The
      condition may have more of the leading axes of the input, such as one for each token.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> x, condition = jnp.array([[1.0, 3.0]]), jnp.ones((1, 5))
      >>> params, state = L.adaptive_layer_norm(epsilon=0).init(jax.random.key(0), x, condition)
      >>> L.adaptive_layer_norm(epsilon=0).apply(params, state, x, condition)[0].tolist()
      [[-1.0, 1.0]]

    Source: Peebles and Xie, "Scalable Diffusion Models with Transformers", https://arxiv.org/abs/2212.09748.
    """
    _check.within("adaptive_layer_norm", 0, float("inf"), epsilon=epsilon)
    return _modulated("adaptive_layer_norm", lambda x: functional.layer_norm(x, epsilon=epsilon), kernel_init, bias_init)


def _modulated(name: str, normalise: Any, kernel_init: Any, bias_init: Any) -> Layer:
    def check(x: Any, condition: Any) -> None:
        x, condition = _check.floating(name, x), _check.floating(name, condition, "condition")
        _check.rank(name, x, range(2, 65), "(batch, ..., features)")
        if not 1 < condition.ndim <= x.ndim or condition.shape[:-1] != x.shape[: condition.ndim - 1]:
            raise ValueError(
                f"{name}: condition must be (batch, features) for {_check.describe(x)}, got {_check.describe(condition)}"
            )

    def init(key: jax.Array, x: Any, condition: Any) -> dict:
        check(x, condition)
        return dense(2 * x.shape[-1], kernel_init=kernel_init, bias_init=bias_init).init(key, condition)[0]

    def forward(params: dict, x: jax.Array, condition: jax.Array) -> jax.Array:
        check(x, condition)
        if params["kernel"].shape[-1] != 2 * x.shape[-1]:
            raise ValueError(f"{name}: kernel is for {params['kernel'].shape[-1] // 2} features, x is {_check.describe(x)}")
        scale, shift = jnp.split(functional.dense(condition, params["kernel"], params["bias"]), 2, axis=-1)
        return functional.modulate(normalise(x), scale, shift)

    return stateless(init, forward)
