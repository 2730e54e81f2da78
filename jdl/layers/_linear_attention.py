"""Multi-head attention whose cost is linear in length."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.functional._dropout import sequences
from jdl.functional._linear_attention import Features
from jdl.layer import Layer, compose
from jdl.layers._dense import dense
from jdl.layers._fitted import fitted


def linear_attention(
    heads: int,
    *,
    width: int | None = None,
    features: int | None = None,
    causal: bool = False,
    feature_map: Callable[[jax.Array], Features] = functional.elu_features,
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """Multi-head linear attention, of a sequence to itself or to another, in the place of `attention`.

    Inputs are `(x, memory=None, *, mask=None, positions=None, lengths=None, cache=None)`: queries come from `x`, keys and values
    from `memory`, or from `x` too; `mask` is bools `(batch, memory)`. With a `cache`, that of an earlier call or
    `functional.linear_attention_cache`, queries see what it has seen too. Of `x`, its first `lengths` positions in each sample are
    keys. `positions` make no difference: they are taken because models hand them to every `attention`. There are no logits to add a
    `bias` to: it must be None.

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
      A Layer from `(batch, time, features)` to `(y, cache)`, the cache None if none was given. Its dense layers are `query`, `key`,
      `value` and `out`.

    Raises:
      TypeError: if `lengths` are not integers.
      ValueError: if sizes are not positive or don't divide, lengths are out of range, or a bias is given, or a cache with a memory.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional, layers as L
      >>> layer, x = L.linear_attention(4, causal=True), jnp.ones((2, 5, 16))
      >>> params, state = jax.jit(layer.init)(jax.random.key(0), x)
      >>> empty = functional.linear_attention_cache(2, 4, 4, 4)
      >>> (y, cache), _ = jax.jit(layer.apply)(params, state, x, cache=empty)
      >>> y.shape, cache["length"].tolist()
      ((2, 5, 16), [5, 5])

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
            if bias is not None:
                raise ValueError("linear_attention: has no logits to add a bias to; leave it out")
            if memory is not None and cache is not None:
                raise ValueError("linear_attention: a cache holds what x itself was, so it can't be given with a memory")
            source = x if memory is None else sequences("linear_attention", memory, "memory")
            split = lambda y: y.reshape(*y.shape[:2], heads, width)
            query, keys, values = split(net.query(x)), split(net.key(source)), split(net.value(source))
            options = {"mask": mask, "causal": causal, "cache": cache, "feature_map": feature_map}
            options |= {"lengths": lengths} if memory is None else {}
            mixed, after = functional.linear_attention(query, keys, values, **options)
            return net.out(mixed.reshape(*x.shape[:2], heads * width)), None if cache is None else after

        return forward

    def choose(x: Any, memory: Any = None, **named: Any) -> Layer:
        x = sequences("linear_attention", x)
        if width is None and x.shape[-1] % heads:
            raise ValueError(f"linear_attention: {heads} heads don't divide the features of {_check.describe(x)}; give their width")
        return sized(x.shape[-1] // heads if width is None else width, x.shape[-1] if features is None else features)

    return fitted(choose)
