"""A layer whose params another network generates."""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl import functional
from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.layer import Layer, as_layer, compose, derive


def hypernetwork(layer: Layer | Callable, generator: Layer | Callable = lambda condition: condition) -> Layer:
    """Applies a layer with params that are generated from a condition: `layer(params = bias + generator(condition) kernel; x)`.

    All params of the layer are generated, and none is learnt itself. Features of the generator whose mean square is 1, such as
    `L.rms_norm()` gives, generate params that begin with the means and variances of the layer's own initialisation.

    In the paper's static form, layers of one shape share the generator and each learns its condition, an entry of an embedding, as
    in the example. In its dynamic form, the condition is computed from the data, and each sample has params of its own.

    Args:
      layer: any Layer; for a condition for each sample, one without state.
      generator: a Layer, or a function, from the condition to features.

    Returns:
      A Layer on `(x, condition, *others)`, where the layer takes `(x, *others)`. Features of the generator are `(features,)`, for
      all samples, or `(batch, features)`, one for each sample, whose params are in memory at once; then `others` have a first axis
      of samples too, and what is given by name is for all samples alike. The params under `generated` are the layer's, in `kernel`
      with a first axis of features, in `bias` as they are.

    Raises:
      ValueError: if features are neither of these, or if the layer has a state, and each sample a condition.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> mlp = L.chain(L.dense(8), jnp.tanh, L.rms_norm())
      >>> @L.compose(embed=L.embedding(3, 4), conv=L.hypernetwork(L.conv(2, 3), mlp))
      ... def three_layers(net, x):
      ...     for i in jnp.arange(3):
      ...         x = jax.nn.relu(net.conv(x, net.embed(i)))
      ...     return x
      >>> params, state = jax.eval_shape(three_layers.init, jax.random.key(0), jnp.ones((1, 5, 5, 2)))
      >>> params["conv"]["generated"]["kernel"]["kernel"].shape
      (8, 3, 3, 2, 2)

    Source: Ha, Dai and Le, "HyperNetworks", https://arxiv.org/abs/1609.09106; variances: Chang, Flokas and Lipson, "Principled
    Weight Initialization for Hypernetworks", https://openreview.net/forum?id=H1lma24tPB.
    """

    @compose(generator=as_layer(generator, "hypernetwork: generator"), generated=_generated(as_layer(layer, "hypernetwork: layer")))
    def forward(net, x, condition, *others, **named):
        return net.generated(net.generator(condition), x, *others, **named)

    return forward


def _generated(layer: Layer) -> Layer:
    """The layer on `(features, *inputs)`, with params that are linear in the features."""

    def init(key: jax.Array, features: Any, *inputs: Any, **named: Any) -> tuple[dict, dict]:
        each, count = _each(features, inputs), features.shape[-1]
        draw = lambda i: layer.init(derive(key, "generated", i), *inputs, **named)
        draws, states = jax.vmap(draw)(jnp.arange(2 * count))
        _alone(each, states)
        spread = math.sqrt((1 - 1 / (2 * count)) / (2 * count))  # differences have no mean, and the variance that the mean lacks
        kernel = jax.tree.map(lambda a: spread * (a[:count] - a[count:]), draws)
        bias = jax.tree.map(lambda a: a.mean(0), draws)
        return {"kernel": kernel, "bias": bias} if draws else {}, jax.tree.map(lambda a: a[0], states)

    def apply(
        params: dict, state: dict, features: Any, *inputs: Any, key: Any = None, train: bool = False, **named: Any
    ) -> tuple[Any, dict]:
        each = _each(features, inputs)
        own = jax.tree.map(functools.partial(_linear, widen(features)), params.get("kernel", {}), params.get("bias", {}))
        if not each:
            return layer.apply(own, state, *inputs, key=key, train=train, **named)
        _alone(each, state)

        def one(i: jax.Array, params: dict, inputs: Any) -> Any:
            inputs, subkey = jax.tree.map(lambda a: a[None], inputs), None if key is None else derive(key, "sample", i)
            output, _ = layer.apply(params, {}, *inputs, key=subkey, train=train, **named)
            return jax.tree.map(lambda a: a[0], output)

        return jax.vmap(one)(jnp.arange(len(features)), own, inputs), state

    return Layer(init, apply)


def _each(features: Any, inputs: tuple) -> bool:
    """Whether there is a condition for each sample; raises if features are neither that nor one condition for all."""
    features = _check.floating("hypernetwork", features, "what the generator gives")
    if features.ndim == 1:
        return False
    if features.ndim == 2 and all(jnp.shape(a)[:1] == features.shape[:1] for a in jax.tree.leaves(inputs)):
        return True
    wants = "(features,), for all samples, or (batch, features), for each of its inputs' samples"
    raise ValueError(f"hypernetwork: the generator must give {wants}, got {_check.describe(features)}")


def _alone(each: bool, state: dict) -> None:
    if each and state:
        raise ValueError("hypernetwork: a layer with a state needs one condition for all samples, not one for each")


def _linear(features: jax.Array, kernel: jax.Array, bias: jax.Array) -> jax.Array:
    if features.shape[-1] != len(kernel):
        given = f"the generator gives {_check.describe(features)}"
        raise ValueError(f"hypernetwork: kernel is of {len(kernel)} features, {given}")
    flat = functional.dense(features, kernel.reshape(len(kernel), -1), bias.reshape(-1))
    return flat.reshape(*features.shape[:-1], *bias.shape)
