"""Monte-Carlo dropout: layers that draw in evaluation too, and the mean and spread of what a model then predicts."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import root
from jdl.layer import Layer, as_layer, derive


def always(layer: Layer) -> Layer:
    """Lets a layer act as in training whenever it is given a key, in evaluation too: `L.always(L.dropout(0.5))`.

    Wrap single layers, not a model: batch norm around them goes on as in evaluation. Params and state are those of the layer, so
    that what was trained without `always` can be evaluated with it.

    Args:
      layer: a layer that draws in training.

    Returns:
      A Layer that equals `layer`, except in evaluation with a key.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> drop = L.always(L.dropout(1.0))
      >>> drop.apply({}, {}, jnp.ones(3))[0].tolist(), drop.apply({}, {}, jnp.ones(3), key=jax.random.key(0))[0].tolist()
      ([1.0, 1.0, 1.0], [0.0, 0.0, 0.0])

    Source: Gal and Ghahramani, "Dropout as a Bayesian Approximation", https://arxiv.org/abs/1506.02142.
    """
    layer = as_layer(layer, "always: layer")

    def apply(params: dict, state: dict, *inputs: Any, key: Any = None, train: bool = False, **named: Any) -> tuple[Any, dict]:
        return layer.apply(params, state, *inputs, key=key, train=train or key is not None, **named)

    return Layer(layer.init, apply)


def monte_carlo(
    model: Layer, params: dict, state: dict, *inputs: Any, key: jax.Array, samples: int, **named: Any
) -> tuple[Any, Any]:
    """Takes the mean and the standard deviation of a model's predictions over `samples` draws, in evaluation.

    Only layers in `always` draw: without one, all predictions are equal, and the deviation is 0. State stays as it is.

    Args:
      model: a Layer.
      params: its params.
      state: its state.
      *inputs: what it is applied to.
      key: a typed key; each sample has one of its own.
      samples: number of predictions, all made at once by `vmap`.
      **named: inputs by keyword.

    Returns:
      Two trees like the model's output, of the mean and of the (biased) standard deviation; computed in float32 at least.

    Raises:
      TypeError: if `key` is not a typed key, or an output is not floating point.
      ValueError: if `samples` is not positive.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> model, x = L.chain(L.dense(64), L.batch_norm(), jax.nn.relu, L.always(L.dropout(0.5)), L.dense(3)), jnp.ones((2, 8))
      >>> params, state = model.init(jax.random.key(0), x)
      >>> sample = jax.jit(lambda params, x, key: L.monte_carlo(model, params, state, x, key=key, samples=100))
      >>> mean, deviation = sample(params, x, jax.random.key(1))
      >>> mean.shape, bool((deviation > 0).all())
      ((2, 3), True)

    Source: Gal and Ghahramani, "Dropout as a Bayesian Approximation", https://arxiv.org/abs/1506.02142.
    """
    _check.positive("monte_carlo", samples=samples)
    keys = jax.random.split(derive(key, "monte_carlo"), samples)
    outputs = jax.vmap(lambda key: model.apply(params, state, *inputs, key=key, **named)[0])(keys)
    wide = jax.tree.map(lambda y: y.astype(jnp.promote_types(_check.floating("monte_carlo", y).dtype, jnp.float32)), outputs)
    like = lambda tree: jax.tree.map(lambda a, y: a.astype(y.dtype), tree, outputs)
    deviation = lambda y: root((y - y[:1]).var(0))  # exactly 0 where all are equal, whose mean may round
    return like(jax.tree.map(lambda y: y.mean(0), wide)), like(jax.tree.map(deviation, wide))
