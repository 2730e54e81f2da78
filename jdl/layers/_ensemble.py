"""Many networks as one."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.layer import Layer, as_layer, derive


def ensemble(layer: Layer | Callable, members: int) -> Layer:
    """Makes a layer of `members` layers like this one, each with params, state and randomness of its own, by `vmap`.

    All get the same inputs. To average predictions, `chain(ensemble(model, 5), lambda y: jax.nn.softmax(y).mean(0))`; to train
    members on their own, with data in another order each, see `train.population`.

    Args:
      layer: any layer.
      members: how many.

    Returns:
      A Layer whose params, state and outputs have one more axis, the first, of `members`.

    Raises:
      ValueError: if `members` is not positive.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> model, x = L.ensemble(L.chain(L.dense(16), jax.nn.relu, L.dense(3)), 5), jnp.ones((2, 8))
      >>> params, state = model.init(jax.random.key(0), x)
      >>> model.apply(params, state, x)[0].shape
      (5, 2, 3)

    Source: Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles",
    https://arxiv.org/abs/1612.01474.
    """
    _check.positive("ensemble", members=members)
    layer = as_layer(layer, "ensemble: layer")

    def keys_of(key: Any) -> Any:
        return jax.vmap(lambda i: derive(key, "ensemble", i))(jnp.arange(members))

    def init(key: Any, *inputs: Any, **named: Any) -> tuple[dict, dict]:
        return jax.vmap(lambda key: layer.init(key, *inputs, **named))(keys_of(key))

    def apply(params: dict, state: dict, *inputs: Any, key: Any = None, train: bool = False, **named: Any) -> tuple[Any, dict]:
        def one(params: dict, state: dict, key: Any) -> tuple[Any, dict]:
            return layer.apply(params, state, *inputs, key=key, train=train, **named)

        return jax.vmap(one, axis_size=members)(params, state, None if key is None else keys_of(key))

    return Layer(init, apply)
