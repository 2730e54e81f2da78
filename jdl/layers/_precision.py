"""Arithmetic in half precision, with weights that stay in single."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl.layer import Layer, as_layer


def precision(layer: Layer | Callable, dtype: Any) -> Layer:
    """Computes a layer in another dtype: what it is applied to is cast, and so are its params where they are used.

    Gradients reach params in their own dtype, so the optimizer works on float32 masters. State and inputs by keyword (carries,
    caches, masks, biases) are neither cast nor rounded, and norms, softmax, statistics and losses are of float32 at least in any
    case.

    Args:
      layer: any layer.
      dtype: `"bfloat16"`, `"float16"`, ...; a floating-point one.

    Returns:
      A Layer with the same params and state; its output is of `dtype`, as outputs follow inputs.

    Raises:
      TypeError: if `dtype` is not of floating point.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> model, x = L.precision(L.chain(L.dense(16), jax.nn.gelu, L.dense(4)), "bfloat16"), jnp.ones((2, 8))
      >>> params, state = model.init(jax.random.key(0), x)
      >>> model.apply(params, state, x)[0].dtype, params["0"]["kernel"].dtype
      (dtype(bfloat16), dtype('float32'))

    Source: Micikevicius et al., "Mixed Precision Training", https://arxiv.org/abs/1710.03740.
    """
    layer = as_layer(layer, "precision: layer")
    if not jnp.issubdtype(dtype, jnp.floating):
        raise TypeError(f"precision: dtype must be of floating point, such as 'bfloat16', got {dtype!r}")

    def cast(tree: Any) -> Any:
        return jax.tree.map(lambda a: a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a, tree)

    def apply(params: dict, state: dict, *inputs: Any, key: Any = None, train: bool = False, **named: Any) -> tuple[Any, dict]:
        return layer.apply(cast(params), state, *cast(inputs), key=key, train=train, **named)

    return Layer(layer.init, apply)
