"""A layer is a pair of pure functions. This file is the architecture of jdl: read it first.

    params, state = init(key, *inputs)                                     # shapes of inputs are all that matters
    output, state = apply(params, state, *inputs, key=None, train=False)

`params` and `state` are nested dicts of arrays. There are three ways to make a layer: write the pair (`Layer`, or `stateless` where
there is no state and no randomness), pass any function of arrays (`function` is applied to it), or build it from other layers with
`compose`, on which `chain`, `residual` and `parallel` stand. `repeat` scans one layer over stacked parameters.
"""

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from zlib import crc32

import jax
import jax.numpy as jnp

from jdl._net import Made, Net
from jdl._net import observe as observe
from jdl.functional._check import describe, is_key, positive, same_shape
from jdl.functional._shapes import Shapes


class Layer(NamedTuple):
    """A pair of pure functions.

    Attributes:
      init: `(key, *inputs) -> (params, state)`. Inputs may be arrays or `jax.ShapeDtypeStruct`s.
      apply: `(params, state, *inputs, key=None, train=False) -> (output, state)`. `key` is a typed key (`jax.random.key`), needed
        where the layer draws random numbers; `train` is a static bool.
    """

    init: Callable[..., tuple[dict, dict]]
    apply: Callable[..., tuple[Any, dict]]


def stateless(init: Callable[..., dict], forward: Callable[..., Any]) -> Layer:
    """Makes a Layer that keeps no state and draws nothing.

    Args:
      init: `(key, *inputs) -> params`.
      forward: `(params, *inputs) -> output`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> scale = L.stateless(lambda key, x: {"scale": jnp.ones(x.shape[-1])}, lambda params, x: x * params["scale"])
      >>> scale.init(jax.random.key(0), jnp.ones(3))[0]["scale"].shape
      (3,)
    """

    def apply(params, state, *inputs, key=None, train=False, **named):
        return forward(params, *inputs, **named), state

    return Layer(lambda key, *inputs, **named: (init(key, *inputs, **named), {}), apply)


def function(fn: Callable[..., Any]) -> Layer:
    """Makes a Layer without parameters from a function of arrays.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.function(jnp.negative).apply({}, {}, jnp.ones(2))[0].tolist()
      [-1.0, -1.0]
    """
    return stateless(lambda key, *inputs, **named: {}, lambda params, *inputs, **named: fn(*inputs, **named))


def as_layer(layer: Layer | Callable, name: str = "model") -> Layer:
    """A Layer as it is, a function of arrays as a Layer."""
    if isinstance(layer, Layer):
        return layer
    if callable(layer):
        return function(layer)
    raise TypeError(f"{name} must be a Layer or a function of arrays, got {layer!r}")


def derive(key: jax.Array, name: str, count: Any = 0) -> jax.Array:
    """A key for `name`, and for the `count`-th use of it. Keys follow names, so a new layer changes no sibling's numbers."""
    if not is_key(key):
        raise TypeError(f"key must be a typed key, such as jax.random.key(0), got {describe(key)}")
    return jax.random.fold_in(jax.random.fold_in(key, crc32(name.encode())), count)


def compose(**layers: Layer | Callable) -> Callable[[Callable[..., Any]], Layer]:
    """Builds a layer from named sublayers and a function `forward(net, *inputs)` that calls them.

    `net.name(*inputs)` calls a sublayer, threading its parameters, state and key; `net.params[name]` are its parameters, for
    weights that are used twice. Inputs may be passed by keyword if `forward` names them.

    Args:
      **layers: Layers, or functions of arrays. A sublayer may be called several times: parameters are shared, state goes from call
        to call, each call has a key of its own. Its first call gives the shapes of its parameters.

    Returns:
      A decorator that turns `forward` into a Layer, with params and state `{name: ...}` for the sublayers that have any.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> @L.compose(encode=L.dense(3), decode=L.dense(8))
      ... def autoencoder(net, x):
      ...     return net.decode(jax.nn.relu(net.encode(x)))
      >>> params, state = autoencoder.init(jax.random.key(0), jnp.ones((2, 8)))
      >>> params["encode"]["kernel"].shape
      (8, 3)
    """
    if "params" in layers:
        raise ValueError("compose: no sublayer may be named params, net.params is the tree of parameters")
    sublayers = {name: as_layer(layer, f"sublayer {name!r}") for name, layer in layers.items()}

    def decorate(forward: Callable[..., Any]) -> Layer:
        @functools.cache
        def first_inputs(shapes: Shapes) -> dict[str, Shapes]:  # of every sublayer, found by one abstract pass over `forward`
            seen: dict[str, Shapes] = {}

            def run(inputs, named):
                params, states, key = Made(), {}, jax.random.key(0)  # nothing is computed, so the key's value never matters

                def call(name, *inputs, **named):
                    if name not in seen:
                        seen[name] = Shapes.of((inputs, named))
                        params[name], states[name] = sublayers[name].init(key, *inputs, **named)
                    return sublayers[name].apply(params[name], states[name], *inputs, key=key, **named)[0]

                return forward(Net(sublayers, call, params), *inputs, **named)

            shapes.evaluate(run)
            if unused := sorted(sublayers.keys() - seen.keys()):
                raise ValueError(
                    f"{forward.__name__} never called net.{', net.'.join(unused)}: call it, or leave it out of compose"
                )
            return seen

        def init(key, *inputs, **named):
            params, states = {}, {}
            for name, shapes in first_inputs(Shapes.of((inputs, named))).items():
                inputs, named = shapes.tree
                made, state = sublayers[name].init(derive(key, name), *inputs, **named)
                params.update({name: made} if made else {})
                states.update({name: state} if state else {})
            return params, states

        def apply(params, state, *inputs, key=None, train=False, **named):
            states, calls = dict(state), Counter()

            def call(name, *inputs, **named):
                subkey = None if key is None else derive(key, name, calls[name])
                calls[name] += 1
                own = params.get(name, {}), states.get(name, {})
                output, new = sublayers[name].apply(*own, *inputs, key=subkey, train=train, **named)
                states.update({name: new} if new else {})
                return output

            return forward(Net(sublayers, call, params), *inputs, **named), states

        return Layer(init, apply)

    return decorate


def chain(*layers: Layer | Callable, **named: Layer | Callable) -> Layer:
    """Applies layers one after the other. They are named by position ("0", "1", ...), or by keyword.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.chain(L.dense(8), jax.nn.relu, head=L.dense(2)).init(jax.random.key(0), jnp.ones((4, 3)))
      >>> sorted(params)
      ['0', 'head']
    """
    sublayers = numbered(layers, named)

    @compose(**sublayers)
    def forward(net, x):
        for name in sublayers:
            x = getattr(net, name)(x)
        return x

    return forward


def residual(layer: Layer | Callable, skip: Layer | Callable = lambda x: x) -> Layer:
    """Adds a layer's output to its input: `skip(x) + layer(x)`. Shapes must be equal; nothing is broadcast.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.residual(jnp.square).apply({}, {}, jnp.array([3.0]))[0].item()
      12.0

    Source: He et al., "Deep Residual Learning for Image Recognition", https://arxiv.org/abs/1512.03385.
    """

    @compose(skip=skip, layer=layer)
    def forward(net, x):
        kept, new = net.skip(x), net.layer(x)
        same_shape("residual", skip=kept, layer=new)
        return kept + new

    return forward


def parallel(merge: Callable[[list], Any], *layers: Layer | Callable, **named: Layer | Callable) -> Layer:
    """Gives every layer the same input and merges the list of their outputs. They are named as in `chain`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.parallel(jnp.concatenate, jnp.sin, jnp.cos).apply({}, {}, jnp.zeros(1))[0].tolist()
      [0.0, 1.0]
    """
    sublayers = numbered(layers, named)

    @compose(**sublayers)
    def forward(net, x):
        return merge([getattr(net, name)(x) for name in sublayers])

    return forward


def repeat(layer: Layer | Callable, times: int, *, scanned: Sequence[str] = ()) -> Layer:
    """Applies a layer `times` times, each with parameters, state and key of its own, as one `lax.scan`: it is compiled once.

    Args:
      layer: `(x, *shared) -> x`; `x` keeps its shape and dtype, further inputs go to every repetition.
      times: how often; params and state gain a first axis of this length.
      scanned: names of keyword inputs with a first axis of `times`, an entry for each repetition (such as caches). The layer then
        returns `(x, out)`, and so does this one, with `out` stacked.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.repeat(L.dense(3), 5).init(jax.random.key(0), jnp.ones((2, 3)))
      >>> params["kernel"].shape
      (5, 3, 3)
    """
    positive("repeat", times=times)
    layer = as_layer(layer)

    @functools.cache
    def init_of(shapes: Shapes) -> Callable:  # one after the other: drawing takes four times the memory of what is drawn
        inputs, named = shapes.tree
        return jax.jit(lambda keys: jax.lax.map(lambda key: layer.init(key, *inputs, **named), keys))

    def init(key, *inputs, **named):
        for name in scanned:
            named[name] = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), named.get(name))
        return init_of(Shapes.of((inputs, named)))(keys_of(key, times))

    def apply(params, state, x, *shared, key=None, train=False, **named):
        each = {name: named.pop(name, None) for name in scanned}

        def step(x, own):
            params, state, key, each = own
            output, state = layer.apply(params, state, x, *shared, key=key, train=train, **named, **each)
            new, out = output if scanned else (output, None)
            if Shapes.of(new) != Shapes.of(x):
                raise ValueError(
                    f"repeat: a repeated layer must keep shape and dtype, this one maps {describe(x)} to {describe(new)}"
                )
            return new, (state, out)

        own = params, state, None if key is None else keys_of(key, times), each
        x, (state, outs) = jax.lax.scan(step, x, own, length=times)
        return (x, outs) if scanned else x, state

    return Layer(init, apply)


def keys_of(key: jax.Array, times: int) -> jax.Array:
    """A key for each repetition."""
    return jax.vmap(lambda i: derive(key, "repeat", i))(jnp.arange(times))


def numbered(
    layers: Sequence[Layer | Callable], named: dict[str, Layer | Callable], what: str = "two layers"
) -> dict[str, Layer | Callable]:
    """Layers by name, the first ones "0", "1", ...; raises ValueError, of `what`, if two have one name."""
    by_place = {str(i): layer for i, layer in enumerate(layers)}
    if twice := sorted(by_place.keys() & named.keys()):
        raise ValueError(f"{what} are named {twice[0]!r}: one by position, one by keyword")
    return by_place | named
