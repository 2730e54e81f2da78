"""Multi-head attention whose cost is linear in length."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.functional._dropout import sequences
from jdl.layer import Layer, compose
from jdl.layers._dense import dense
from jdl.layers._fitted import fitted


def linear_attention(
    heads: int,
    *,
    width: int | None = None,
    features: int | None = None,
    causal: bool = False,
    feature_map: Callable[[jax.Array], jax.Array] = functional.elu_features,
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """Multi-head linear attention, of a sequence to itself or to another, in the place of `attention`.

    Inputs are `(x, memory=None, *, mask=None, lengths=None, cache=None)`: queries come from `x`, keys and values from `memory`, or
    from `x` too; `mask` is bools `(batch, memory)`. With a `cache`, that of an earlier call or `functional.linear_attention_state`,
    queries see what it has seen too; of `x`, its first `lengths` positions in each sample. There are no logits to add a `bias` to,
    and positions are unknown: inputs of these names must be None.

    Args:
      heads: how many.
      width: of a head; the features of `x` by `heads` if not given.
      features: of the output; those of `x` if not given.
      causal: whether a position sees none that is later.
      feature_map: as in `functional.linear_attention`; a `functional.favor_features` with its projection approximates softmax.
      bias: whether the projections add one.
      kernel_init: makes the kernels, `(features, heads * width)`, and `(heads * width, features)` of the output.
      bias_init: makes the biases.

    Returns:
      A Layer from `(batch, time, features)` to `(y, cache)`, `cache` the state after all keys. Its dense layers are `query`, `key`,
      `value` and `out`.

    Raises:
      ValueError: if sizes are not positive or don't divide, or a cache is given with a memory.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> layer, x = L.linear_attention(4, causal=True), jnp.ones((2, 5, 16))
      >>> params, state = jax.jit(layer.init)(jax.random.key(0), x)
      >>> (y, cache), _ = jax.jit(layer.apply)(params, state, x)
      >>> y.shape, cache.shape
      ((2, 5, 16), (2, 4, 4, 5))

    Source: Katharopoulos et al., "Transformers are RNNs: Fast Autoregressive Transformers with Linear Attention",
    https://arxiv.org/abs/2006.16236.
    """
    given = {"width": width, "features": features}
    _check.positive("linear_attention", heads=heads, **{name: size for name, size in given.items() if size is not None})
    projection = functools.partial(dense, bias=bias, kernel_init=kernel_init, bias_init=bias_init)

    @functools.cache
    def sized(width: int, features: int) -> Layer:
        @compose(
            query=projection(heads * width),
            key=projection(heads * width),
            value=projection(heads * width),
            out=projection(features),
        )
        def forward(net, x, memory=None, *, mask=None, bias=None, positions=None, lengths=None, cache=None):
            if bias is not None or positions is not None:
                raise ValueError("linear_attention: has neither logits to add a bias to nor positions; leave them out")
            if memory is not None and cache is not None:
                raise ValueError("linear_attention: a cache holds what x itself was, so it can't be given with a memory")
            source = x if memory is None else sequences("linear_attention", memory)
            if lengths is not None:
                there = jnp.arange(x.shape[1]).reshape(1, -1) < lengths.reshape(-1, 1)
                mask = there if mask is None else mask & there
            split = lambda y: y.reshape(*y.shape[:2], heads, width)
            query, keys, values = split(net.query(x)), split(net.key(source)), split(net.value(source))
            options = {"mask": mask, "causal": causal, "state": cache, "feature_map": feature_map}
            mixed, cache = functional.linear_attention(query, keys, values, **options)
            return net.out(mixed.reshape(*x.shape[:2], -1)), cache

        return forward

    def choose(x: Any, memory: Any = None, **named: Any) -> Layer:
        x = sequences("linear_attention", x)
        if width is None and x.shape[-1] % heads:
            raise ValueError(f"linear_attention: {heads} heads don't divide the features of {_check.describe(x)}; give their width")
        return sized(x.shape[-1] // heads if width is None else width, x.shape[-1] if features is None else features)

    return fitted(choose)
