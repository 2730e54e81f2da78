"""Attention whose weights are products of features, so that its cost is linear in length."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check, _lengths
from jdl.functional._decoder_attention import check_memory_mask
from jdl.functional._numbers import lowest, widen
from jdl.functional._ratio import ratio

Cache = dict[str, jax.Array]
Features = jax.Array | tuple[jax.Array, jax.Array]

_CHUNK = 64  # positions within which causal attention computes all products: about as many as a head is wide
_LEAST = 1e-6  # of a random feature, whose largest is 1: no query and key have products of nothing but zeros


def linear_attention(
    query: jax.Array,
    keys: jax.Array,
    values: jax.Array,
    *,
    mask: jax.Array | None = None,
    causal: bool = False,
    lengths: jax.Array | None = None,
    cache: Cache | None = None,
    feature_map: Callable[[jax.Array], Features] | None = None,
) -> tuple[jax.Array, Cache]:
    """Mixes values by products of features: `f(query) sum_s f(key_s)^T value_s / (f(query) sum_s f(key_s)^T)`, for every head.

    The sums are all that is ever known of keys: time and memory are linear in length, and a decoder's cache is of one size. A query
    that sees no key gets zeros, and what is masked has no influence.

    Args:
      query: `(batch, time, heads, width)`.
      keys: `(batch, memory, heads, width)`.
      values: `(batch, memory, heads, value_width)`.
      mask: bools `(batch, memory)`, True for the keys that count.
      causal: whether a query sees no key of a later position; `memory` is `time` then.
      lengths: integers `(batch,)`, in 0..memory, how many keys there are in each sample, the first ones; all if not given.
      cache: of an earlier call, or of `linear_attention_cache`: what these queries see besides `keys`.
      feature_map: from `(..., width)` to numbers of at least 0, `(..., features)`, or to `(numbers, logarithms)`, logarithms
        `(..., 1)` of what the numbers are multiplied by, which may then be of any size; `elu_features` if not given.

    Returns:
      `(output, cache)`: `(batch, time, heads, value_width)` in the dtype of `values`, and the cache with all keys added. All is
      computed in float32 at least.

    Raises:
      TypeError: if `query`, `keys` or `values` are not floating point, `mask` not bool, or `lengths` not integers.
      ValueError: if shapes don't fit, or lengths are out of range.

    Example:
      >>> import functools, jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> x = jnp.arange(3.0).reshape(1, 3, 1, 1)
      >>> y, cache = jax.jit(functools.partial(functional.linear_attention, causal=True))(0 * x, 0 * x, x)
      >>> y.ravel().tolist()
      [0.0, 0.5, 1.0]

    Source: Katharopoulos et al., "Transformers are RNNs: Fast Autoregressive Transformers with Linear Attention",
    https://arxiv.org/abs/2006.16236.
    """
    query, keys, values, mask = _checked(query, keys, values, mask, causal)
    count = _lengths.given("linear_attention", "lengths", lengths, keys)
    if lengths is not None:
        there = _lengths.inside(count, keys.shape[1])
        mask = there if mask is None else mask & there
    features = elu_features if feature_map is None else feature_map
    if mask is not None:
        keys, values = (jnp.where(jnp.expand_dims(mask, (2, 3)), x, jnp.zeros((), x.dtype)) for x in (keys, values))
    (queries, _), (seen, scales) = (_scaled(features(widen(x))) for x in (query, keys))  # what scales a query makes no difference
    ones = jnp.ones((*values.shape[:-1], 1), seen.dtype)
    extended = jnp.concatenate([values.astype(seen.dtype), ones], -1)
    if mask is not None:
        seen = jnp.where(jnp.expand_dims(mask, (2, 3)), seen, 0)
        scales = jnp.where(jnp.expand_dims(mask, (2, 3)), scales, lowest(scales.dtype))
    batch, heads, wide, value_width = len(query), query.shape[2], queries.shape[-1], values.shape[-1]
    cache = _empty(batch, heads, wide, value_width, seen.dtype) if cache is None else cache
    if cache["sums"].shape != (batch, heads, wide, value_width + 1):
        given = _check.describe(cache["sums"])
        raise ValueError(f"linear_attention: sums of the cache must be {[batch, heads, wide, value_width + 1]}, got {given}")
    y, sums, scale = (_causal if causal else _whole)(queries, seen, extended, scales, cache["sums"], cache["scale"])
    output = ratio(y[..., :-1], y[..., -1:], 0).astype(values.dtype)
    return output, {"sums": sums, "scale": scale, "length": cache["length"] + jnp.asarray(count, jnp.int32)}


def linear_attention_cache(batch: int, heads: int, features: int, value_width: int, dtype: Any = jnp.float32) -> Cache:
    """The cache of `linear_attention` before any key.

    Args:
      batch: samples.
      heads: how many.
      features: how many the feature map gives; for `elu_features`, the width of a head.
      value_width: of a head.
      dtype: float32, or float64.

    Returns:
      A dict of `sums`, over all keys, `(batch, heads, features, value_width + 1)`, the last column those of the features alone;
      `scale`, `(batch, heads)`, the logarithm of what sums are multiplied by, which is the largest of the keys; and `length`,
      `(batch,)`, how many positions each sample has seen.

    Raises:
      ValueError: if a size is not a positive integer.

    Example:
      >>> from jdl import functional
      >>> functional.linear_attention_cache(2, 4, 8, 8)["sums"].shape
      (2, 4, 8, 9)
    """
    _check.positive("linear_attention_cache", batch=batch, heads=heads, features=features, value_width=value_width)
    return _empty(batch, heads, features, value_width, dtype)


def elu_features(x: jax.Array) -> jax.Array:
    """A feature map that is positive: `elu(x) + 1`, which is `x + 1` above 0 and `exp(x)` below.

    Args:
      x: queries or keys, of any shape, floating point.

    Returns:
      An array like `x`.

    Raises:
      TypeError: if `x` is not floating point.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.elu_features(jnp.array([0.0, 2.0])).tolist()
      [1.0, 3.0]

    Source: Katharopoulos et al., "Transformers are RNNs", https://arxiv.org/abs/2006.16236.
    """
    x = _check.floating("elu_features", x)
    return jnp.where(x > 0, x + 1, jnp.exp(jnp.minimum(x, 0)))  # not elu(x) + 1, which loses what is small


def favor_features(x: jax.Array, projection: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Positive random features: `exp(w x / d^(1/4) - |x|^2 / (2 sqrt(d))) / sqrt(count)` for every direction `w`.

    The inner product of those of two vectors is on average `exp(x1 x2 / sqrt(d))`, what attention with softmax weights with. Pass
    `functools.partial(favor_features, projection=projection)` as a `feature_map`. They are given as multiples of the largest, at
    least 1e-6: of vectors so far apart that nothing larger meets, the product is not 0.

    Args:
      x: queries or keys, `(..., width)`, floating point.
      projection: of `favor_projection`, `(width, count)`.

    Returns:
      `(multiples, logarithms)`, `(..., count)` and that of the largest feature, `(..., 1)`, of float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if widths differ.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> projection = functional.favor_projection(jax.random.key(0), 8, 32)
      >>> multiples, logarithms = jax.jit(functional.favor_features)(jnp.ones((2, 5, 4, 8)), projection)
      >>> multiples.shape, logarithms.shape
      ((2, 5, 4, 32), (2, 5, 4, 1))

    Source: Choromanski et al., "Rethinking Attention with Performers", https://arxiv.org/abs/2009.14794.
    """
    x = widen(_check.floating("favor_features", x))
    if x.shape[-1:] != projection.shape[:1]:
        given = f"{_check.describe(projection)} for {_check.describe(x)}"
        raise ValueError(f"favor_features: projection must be (width, count) with the width of x, got {given}")
    width, count = projection.shape
    x = x / width**0.25
    exponents = jnp.tensordot(x, projection.astype(x.dtype), 1)
    largest = exponents.max(-1, keepdims=True)
    logarithms = largest - jnp.square(x).sum(-1, keepdims=True) / 2 - math.log(count) / 2
    return jnp.exp(exponents - largest) + _LEAST, logarithms


def favor_projection(key: jax.Array, width: int, count: int) -> jax.Array:
    """Directions of `favor_features`: each normally distributed, and in groups of `width` orthogonal to each other.

    Args:
      key: a typed key.
      width: of a head.
      count: how many.

    Returns:
      `(width, count)`, float32.

    Raises:
      ValueError: if a size is not a positive integer.

    Example:
      >>> import jax
      >>> from jdl import functional
      >>> projection = functional.favor_projection(jax.random.key(0), 2, 2)
      >>> abs(projection[:, 0] @ projection[:, 1]).round(4).item()
      0.0

    Source: Choromanski et al., "Rethinking Attention with Performers", https://arxiv.org/abs/2009.14794.
    """
    _check.positive("favor_projection", width=width, count=count)
    turn, stretch = jax.random.split(key)
    rows = jax.random.orthogonal(turn, width, (-(-count // width),), jnp.float32).reshape(-1, width)[:count]
    lengths = jnp.linalg.norm(jax.random.normal(stretch, (count, width), jnp.float32), axis=-1, keepdims=True)
    return (rows * lengths).T


def _empty(batch: int, heads: int, features: int, value_width: int, dtype: Any) -> Cache:
    return {
        "sums": jnp.zeros((batch, heads, features, value_width + 1), dtype),
        "scale": jnp.full((batch, heads), lowest(dtype), dtype),
        "length": jnp.zeros(batch, jnp.int32),
    }


def _scaled(features: Features) -> tuple[jax.Array, jax.Array]:
    """Features, and logarithms of what they are multiplied by."""
    return features if isinstance(features, tuple) else (features, jnp.zeros((*features.shape[:-1], 1), features.dtype))


def _whole(
    queries: jax.Array, keys: jax.Array, values: jax.Array, scales: jax.Array, sums: jax.Array, scale: jax.Array
) -> tuple[jax.Array, ...]:
    largest = jnp.maximum(scale, jax.lax.stop_gradient(scales[..., 0]).max(1, initial=lowest(scales.dtype)))
    keys = keys * jnp.exp(scales - jnp.expand_dims(largest, (1, 3)))
    sums = sums * jnp.exp(jnp.expand_dims(scale - largest, (2, 3))) + jnp.einsum("bshf,bshv->bhfv", keys, values)
    return jnp.einsum("bthf,bhfv->bthv", queries, sums), sums, largest


def _causal(
    queries: jax.Array, keys: jax.Array, values: jax.Array, scales: jax.Array, sums: jax.Array, scale: jax.Array
) -> tuple[jax.Array, ...]:
    """In chunks: within each, all products, and before it, sums. All are multiples of the largest scale so far."""
    batch, time = queries.shape[:2]
    chunk = max(1, min(time, _CHUNK))
    chunks = -(-time // chunk)
    cut = lambda x: x.reshape(batch, chunks, chunk, *x.shape[2:])
    pad = lambda x, value: jnp.pad(x, [(0, 0), (0, chunks * chunk - time), (0, 0), (0, 0)], constant_values=value)
    queries, keys, values = (cut(pad(x, 0)) for x in (queries, keys, values))
    scales = pad(scales, lowest(scales.dtype))
    largest = jnp.concatenate([jnp.expand_dims(scale, (1, 3)).astype(scales.dtype), jax.lax.stop_gradient(scales)], 1)
    largest = jax.lax.cummax(largest, 1)
    ends, scales, largest = largest[:, ::chunk], cut(scales), cut(largest[:, 1:])
    own = jnp.einsum("bnshf,bnshv->bnhfv", keys * jnp.exp(scales - jnp.expand_dims(ends[:, 1:], 2)), values)
    sums = jnp.concatenate([jnp.expand_dims(sums, 1).astype(own.dtype), own], 1)
    add = lambda a, b: (b[0], a[1] * jnp.exp(a[0] - b[0]) + b[1])
    sums = jax.lax.associative_scan(add, (jnp.expand_dims(ends, 4), sums), axis=1)[1]
    by_head = lambda x: jnp.moveaxis(x[..., 0], 3, 2)
    relative = jnp.expand_dims(by_head(scales), 3) - jnp.expand_dims(by_head(largest), 4)
    seen = jnp.expand_dims(jnp.tri(chunk, dtype=bool), (0, 1, 2))
    products = jnp.einsum("bnthf,bnshf->bnhts", queries, keys) * jnp.exp(jnp.where(seen, relative, lowest(scales.dtype)))
    before = jnp.einsum("bnthf,bnhfv->bnthv", queries, sums[:, :-1]) * jnp.exp(jnp.expand_dims(ends[:, :-1], 2) - largest)
    y = jnp.einsum("bnhts,bnshv->bnthv", products, values) + before
    return y.reshape(batch, chunks * chunk, *y.shape[3:])[:, :time], sums[:, -1], ends[:, -1, :, 0]


def _checked(query: Any, keys: Any, values: Any, mask: Any, causal: bool) -> tuple[Any, ...]:
    """The three arrays, as JAX's, and the mask; raises unless all fit."""
    name = "linear_attention"
    query, keys, values = (_check.floating(name, x, what) for x, what in ((query, "query"), (keys, "keys"), (values, "values")))
    for what, x in (("query", query), ("keys", keys), ("values", values)):
        if x.ndim != 4:
            raise ValueError(f"{name}: {what} must be (batch, time, heads, width), got {_check.describe(x)}")
    given = f"query is {_check.describe(query)}, keys {_check.describe(keys)}, values {_check.describe(values)}"
    if query.shape[::2] != keys.shape[::2] or query.shape[3] != keys.shape[3] or keys.shape[:3] != values.shape[:3]:
        raise ValueError(f"{name}: batch, heads and width must be equal; {given}")
    if causal and query.shape[1] != keys.shape[1]:
        raise ValueError(f"{name}: causal attention has a key for every query; {given}")
    return query, keys, values, check_memory_mask(name, mask, keys)
