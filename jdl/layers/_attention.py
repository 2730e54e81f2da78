"""Multi-head attention."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.functional._attention import Backend, check_options
from jdl.functional._dropout import sequences
from jdl.layer import Layer, compose
from jdl.layers._dense import dense
from jdl.layers._drawing import draws, need_key
from jdl.layers._fitted import fitted


def attention(
    heads: int,
    *,
    kv_heads: int | None = None,
    width: int | None = None,
    features: int | None = None,
    causal: bool = False,
    window: int | None = None,
    soft_cap: float | None = None,
    sinks: bool = False,
    qk_norm: Layer | Callable | None = None,
    rope: Callable[[jax.Array, jax.Array], jax.Array] | None = None,
    position_bias: Layer | Callable | None = None,
    rate: float | jax.Array = 0.0,
    bias: bool = True,
    return_weights: bool = False,
    backend: Backend = "auto",
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """Multi-head attention, of a sequence to itself or to another: every head mixes values by how well keys fit its queries.

    Inputs are `(x, memory=None, *, mask=None, bias=None, positions=None, lengths=None, cache=None)`: queries come from `x`, keys
    and values from `memory`, or from `x` too. `mask` and `bias` are those of `functional.attention`. `positions`, integers
    `(batch or 1, time)`, count on from the cache if not given. With a `cache` of `functional.attention_cache`, keys and values of
    `x` (of its first `lengths` positions in each sample) are appended to it, and attended to with all that it holds.

    Args:
      heads: of queries.
      kv_heads: of keys and values; divides `heads`. As many if not given.
      width: of a head; the features of `x` by `heads` if not given.
      features: of the output; those of `x` if not given.
      causal: whether a position sees none that is later.
      window: how many of the latest positions one sees, its own included.
      soft_cap: bounds the logits smoothly, above 0.
      sinks: whether each head has a learnt logit that takes its share of the softmax and gives nothing.
      qk_norm: a layer for queries and one like it for keys, such as `rms_norm()`, on `(batch, time, heads, width)`.
      rope: rotates queries and keys, `(x, positions) -> x`, such as `functional.rope`.
      position_bias: from positions of queries and keys to a bias, `(batch or 1, heads, time, memory)`, such as
        `relative_position_bias(heads)` or `functools.partial(functional.alibi, heads=heads)`.
      rate: probability of dropping a weight in training, in [0, 1]; may be traced. The number 0 needs no key.
      bias: whether the projections add one.
      return_weights: whether to return the weights too.
      backend: as in `functional.attention`.
      kernel_init: makes the kernels, `(features, heads * width)`, and `(heads * width, features)` of the output.
      bias_init: makes the biases.

    Returns:
      A Layer from `(batch, time, features)` to `(y, cache)`, the cache None if none was given, or `(y, cache, weights)`. Its dense
      layers are `query`, `key`, `value` and `out`.

    Raises:
      ValueError: if sizes are not positive or don't divide, a number is out of range, the backend is unknown, or a cache is given
        with a memory.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> layer, x = L.attention(4, kv_heads=2, causal=True), jnp.ones((2, 5, 16))
      >>> params, state = layer.init(jax.random.key(0), x)
      >>> (y, _), _ = layer.apply(params, state, x)
      >>> y.shape, {name: projection["kernel"].shape for name, projection in params.items()}
      ((2, 5, 16), {'query': (16, 16), 'key': (16, 8), 'value': (16, 8), 'out': (16, 16)})

    Source: Vaswani et al., "Attention Is All You Need", https://arxiv.org/abs/1706.03762; normalised queries and keys: Henry et
    al., "Query-Key Normalization for Transformers", https://arxiv.org/abs/2010.04245.
    """
    groups = _groups(heads, kv_heads, width=width, features=features, window=window)
    check_options(rate, soft_cap, backend, return_weights)
    options = {"causal": causal, "window": window, "soft_cap": soft_cap, "return_weights": return_weights, "backend": backend}
    projection = functools.partial(dense, bias=bias, kernel_init=kernel_init, bias_init=bias_init)

    @functools.cache
    def sized(width: int, features: int) -> Layer:
        optional = {"query_norm": qk_norm, "key_norm": qk_norm, "position_bias": position_bias}

        @compose(
            query=projection(heads * width),
            key=projection(groups * width),
            value=projection(groups * width),
            attend=_attend(heads, sinks, rate, options),
            out=projection(features),
            **{name: layer for name, layer in optional.items() if layer is not None},
        )
        def forward(net, x, memory=None, *, mask=None, bias=None, positions=None, lengths=None, cache=None):
            if memory is not None and cache is not None:
                raise ValueError("attention: a cache holds what x itself was, so it can't be given with a memory")
            source = x if memory is None else sequences("attention", memory, "memory")
            positions = _positions(x, cache) if positions is None else positions
            places = positions if memory is None else _positions(memory)
            query, keys, values = _projected(net, x, source, width, normalised=qk_norm is not None)
            query, keys = (query, keys) if rope is None else (rope(query, positions), rope(keys, places))
            if cache is not None:
                (keys, values, places), cache = functional.extend_cache(cache, keys, values, lengths=lengths, window=window)
            if position_bias is not None:
                distance = net.position_bias(positions, places)
                bias = distance if bias is None else bias + distance
            mixed, *weights = net.attend(query, keys, values, mask=mask, bias=bias, positions=(positions, places))
            return net.out(mixed.reshape(*x.shape[:2], -1)), cache, *weights

        return forward

    def choose(x: Any, memory: Any = None, **named: Any) -> Layer:
        x = sequences("attention", x)
        return sized(width or _width(x, heads), x.shape[-1] if features is None else features)

    return fitted(choose)


def _groups(heads: int, kv_heads: int | None, **sizes: int | None) -> int:
    """How many heads keys and values have; raises unless they divide those of queries, and all sizes are positive."""
    groups = heads if kv_heads is None else kv_heads
    given = {name: size for name, size in sizes.items() if size is not None}
    _check.positive("attention", heads=heads, kv_heads=groups, **given)
    if heads % groups:
        raise ValueError(f"attention: heads must be a multiple of kv_heads, got {heads} and {groups}")
    return groups


def _width(x: jax.Array, heads: int) -> int:
    """That of a head, if they share the features of `x`."""
    if x.shape[-1] % heads:
        raise ValueError(f"attention: {heads} heads don't divide the features of {_check.describe(x)}; give their width")
    return x.shape[-1] // heads


def _projected(net: Any, x: Any, source: Any, width: int, *, normalised: bool) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Queries, keys and values, `(batch, time, heads, width)`."""
    split = lambda y: y.reshape(*y.shape[:2], y.shape[-1] // width, width)
    query, keys, values = split(net.query(x)), split(net.key(source)), split(net.value(source))
    return (net.query_norm(query), net.key_norm(keys), values) if normalised else (query, keys, values)


def _positions(x: Any, cache: dict[str, Any] | None = None) -> Any:
    """Where the entries of a sequence are, `(batch or 1, time)`, which the host sees; they count on from the cache."""
    positions = np.arange(x.shape[1], dtype=np.int32).reshape(1, -1)
    return positions if cache is None else positions + cache["length"].reshape(-1, 1)


def _attend(heads: int, sinks: bool, rate: float | jax.Array, options: dict[str, Any]) -> Layer:
    """What the projections feed: it has the sinks and draws the dropped weights. It gives `(mixed,)`, and weights if wanted."""
    drops = draws(rate)

    def init(key: Any, query: Any, *inputs: Any, **named: Any) -> tuple[dict, dict]:
        return ({"sinks": jnp.zeros(heads, jnp.promote_types(query.dtype, jnp.float32))} if sinks else {}), {}

    def apply(params: dict, state: dict, *inputs: Any, key: Any = None, train: bool = False, **named: Any) -> tuple[Any, dict]:
        if drops and train:
            need_key("attention", key)
        key = key if drops and train else None
        found = functional.attention(*inputs, **named, sinks=params.get("sinks"), rate=rate, key=key, **options)
        return found if options["return_weights"] else (found,), state

    return Layer(init, apply)
