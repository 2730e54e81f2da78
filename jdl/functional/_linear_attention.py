"""Attention whose weights are products of features, so that its cost is linear in length."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._decoder_attention import check_memory_mask
from jdl.functional._numbers import widen
from jdl.functional._ratio import ratio

_CHUNK = 64  # positions within which causal attention computes all products: about as many as a head is wide


def linear_attention(
    query: jax.Array,
    keys: jax.Array,
    values: jax.Array,
    *,
    mask: jax.Array | None = None,
    causal: bool = False,
    state: jax.Array | None = None,
    feature_map: Callable[[jax.Array], jax.Array] | None = None,
) -> tuple[jax.Array, jax.Array]:
    """Mixes values by products of features: `f(query) sum_s f(key_s)^T value_s / (f(query) sum_s f(key_s)^T)`, for every head.

    The sums are all that is ever known of keys: time and memory are linear in length, and a decoder's state is of one size. A query
    that sees no key gets zeros, and what is masked has no influence.

    Args:
      query: `(batch, time, heads, width)`.
      keys: `(batch, memory, heads, width)`.
      values: `(batch, memory, heads, value_width)`.
      mask: bools `(batch, memory)`, True for the keys that count.
      causal: whether a query sees no key of a later position; `memory` is `time` then.
      state: of an earlier call, or of `linear_attention_state`: what these queries see besides `keys`.
      feature_map: from `(..., width)` to numbers of at least 0, `(..., features)`; `elu_features` if not given.

    Returns:
      `(output, state)`: `(batch, time, heads, value_width)` in the dtype of `values`, and the sums over the state and all keys,
      `(batch, heads, features, value_width + 1)`, the last column those of the features alone. All is computed in float32 at least.

    Raises:
      TypeError: if `query`, `keys` or `values` are not floating point, or `mask` not bool.
      ValueError: if shapes don't fit.

    Example:
      >>> import functools, jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> x = jnp.arange(3.0).reshape(1, 3, 1, 1)
      >>> y, state = jax.jit(functools.partial(functional.linear_attention, causal=True))(0 * x, 0 * x, x)
      >>> y.ravel().tolist()
      [0.0, 0.5, 1.0]

    Source: Katharopoulos et al., "Transformers are RNNs: Fast Autoregressive Transformers with Linear Attention",
    https://arxiv.org/abs/2006.16236.
    """
    query, keys, values = _checked(query, keys, values, mask, causal)
    features = elu_features if feature_map is None else feature_map
    if mask is not None:
        keys, values = (jnp.where(jnp.expand_dims(mask, (2, 3)), x, jnp.zeros((), x.dtype)) for x in (keys, values))
    queries, seen = features(widen(query)), features(widen(keys))
    ones = jnp.ones((*values.shape[:-1], 1), seen.dtype)
    extended = jnp.concatenate([values.astype(seen.dtype), ones], -1)
    if mask is not None:
        seen = jnp.where(jnp.expand_dims(mask, (2, 3)), seen, 0)
    shape = (len(query), query.shape[2], queries.shape[-1], extended.shape[-1])
    if state is None:
        state = jnp.zeros(shape, seen.dtype)
    elif state.shape != shape:
        raise ValueError(f"linear_attention: state must be {list(shape)}, got {_check.describe(state)}")
    y, state = (_causal if causal else _whole)(queries, seen, extended, state)
    return ratio(y[..., :-1], y[..., -1:], 0).astype(values.dtype), state


def linear_attention_state(batch: int, heads: int, features: int, value_width: int, dtype: Any = jnp.float32) -> jax.Array:
    """The state of `linear_attention` before any key.

    Args:
      batch: samples.
      heads: how many.
      features: how many the feature map gives; for `elu_features`, the width of a head.
      value_width: of a head.
      dtype: float32, or float64.

    Returns:
      Zeros, `(batch, heads, features, value_width + 1)`.

    Raises:
      ValueError: if a size is not a positive integer.

    Example:
      >>> from jdl import functional
      >>> functional.linear_attention_state(2, 4, 8, 8).shape
      (2, 4, 8, 9)
    """
    _check.positive("linear_attention_state", batch=batch, heads=heads, features=features, value_width=value_width)
    return jnp.zeros((batch, heads, features, value_width + 1), dtype)


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


def favor_features(x: jax.Array, projection: jax.Array) -> jax.Array:
    """Positive random features: `exp(w x / d^(1/4) - |x|^2 / (2 sqrt(d))) / sqrt(count)` for every direction `w`.

    The inner product of those of two vectors is on average `exp(x1 x2 / sqrt(d))`, what attention with softmax weights with. Pass
    `functools.partial(favor_features, projection=projection)` as a `feature_map`.

    Args:
      x: queries or keys, `(..., width)`, floating point.
      projection: of `favor_projection`, `(width, count)`.

    Returns:
      `(..., count)`, of float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if widths differ.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> projection = functional.favor_projection(jax.random.key(0), 8, 32)
      >>> jax.jit(functional.favor_features)(jnp.ones((2, 5, 4, 8)), projection).shape
      (2, 5, 4, 32)

    Source: Choromanski et al., "Rethinking Attention with Performers", https://arxiv.org/abs/2009.14794.
    """
    x = widen(_check.floating("favor_features", x))
    if x.shape[-1:] != projection.shape[:1]:
        given = f"{_check.describe(projection)} for {_check.describe(x)}"
        raise ValueError(f"favor_features: projection must be (width, count) with the width of x, got {given}")
    width, count = projection.shape
    x = x / width**0.25
    exponents = jnp.tensordot(x, projection.astype(x.dtype), 1) - jnp.square(x).sum(-1, keepdims=True) / 2
    return jnp.exp(exponents - math.log(count) / 2)


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


def _whole(queries: jax.Array, keys: jax.Array, values: jax.Array, state: jax.Array) -> tuple[jax.Array, jax.Array]:
    state = state + jnp.einsum("bshf,bshv->bhfv", keys, values)
    return jnp.einsum("bthf,bhfv->bthv", queries, state), state


def _causal(queries: jax.Array, keys: jax.Array, values: jax.Array, state: jax.Array) -> tuple[jax.Array, jax.Array]:
    """In chunks: within each, all products, and before it, sums."""
    batch, time = queries.shape[:2]
    chunk = min(time, _CHUNK)
    cut = lambda x: jnp.pad(x, [(0, 0), (0, -time % chunk), (0, 0), (0, 0)]).reshape(batch, -1, chunk, *x.shape[2:])
    queries, keys, values = map(cut, (queries, keys, values))
    sums = jnp.einsum("bnshf,bnshv->bnhfv", keys, values)
    sums = jnp.cumsum(jnp.concatenate([jnp.expand_dims(state, 1).astype(sums.dtype), sums], 1), 1)
    products = jnp.tril(jnp.einsum("bnthf,bnshf->bnhts", queries, keys))
    y = jnp.einsum("bnhts,bnshv->bnthv", products, values) + jnp.einsum("bnthf,bnhfv->bnthv", queries, sums[:, :-1])
    return y.reshape(batch, -1, *y.shape[3:])[:, :time], sums[:, -1]


def _checked(query: Any, keys: Any, values: Any, mask: Any, causal: bool) -> tuple[jax.Array, ...]:
    """The three arrays, as JAX's; raises unless all fit."""
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
    check_memory_mask(name, mask, keys)
    return query, keys, values
