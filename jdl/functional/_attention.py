"""Scaled dot-product attention: one function for every variant."""

import functools
import math
from collections.abc import Callable
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._attention_chunks import in_chunks, queries_at_a_time
from jdl.functional._attention_cudnn import fusable, fused
from jdl.functional._dropout import dropout
from jdl.functional._numbers import divisor, widen

_Named = Literal["auto", "xla", "chunked", "cudnn"]
Backend = _Named | Callable[..., Any]


def attention(
    query: jax.Array,
    keys: jax.Array,
    values: jax.Array,
    *,
    mask: jax.Array | None = None,
    bias: jax.Array | None = None,
    causal: bool = False,
    window: int | None = None,
    positions: tuple[jax.Array, jax.Array] | None = None,
    scale: float | jax.Array | None = None,
    soft_cap: float | jax.Array | None = None,
    sinks: jax.Array | None = None,
    rate: float | jax.Array = 0.0,
    key: jax.Array | None = None,
    return_weights: bool = False,
    backend: Backend = "auto",
) -> Any:
    """Mixes values by how well their keys fit a query: `softmax(scale * query keys^T + bias) values`, for every head.

    A query that may see no key gets zeros, and what is masked has no influence, not even through gradients.

    cuDNN's kernel needs no memory for logits, and has to be asked for: it has no forward mode and no second derivatives, and where
    `vmap` maps the cotangent alone, as for Jacobians, JAX up to 0.11 refuses. It takes bfloat16 and float16 on GPUs from compute
    capability 8.0 on, values of the shape of keys, a width that is a multiple of 8, up to 128 (256 for 9.x), and either a mask of
    keys, or `causal` for as many keys as queries, with a window or without. It takes no bias, masks of single logits, caps, sinks,
    dropout, weights, traced scale, nor positions, unless the host sees that they are 0, 1, 2, ... Sharded arrays must be sharded
    alike, over samples or heads.

    Args:
      query: `(batch, time, heads, width)`.
      keys: `(batch, memory, kv_heads, width)`; `kv_heads` divides `heads`, and neighbouring heads share keys and values
        (grouped-query attention; multi-query with one).
      values: `(batch, memory, kv_heads, value_width)`.
      mask: bools, `(batch, memory)` for the keys that count, or `(batch or 1, heads or 1, time, memory)` for what each query sees.
      bias: added to the logits, `(batch or 1, heads or 1, time, memory)`.
      causal: whether a query sees no key of a later position.
      window: how many of the latest positions a query sees, its own included; without `causal` it sees as many ahead. At least 1.
      positions: integers `(batch or 1, time)` of queries and `(batch or 1, memory)` of keys, by which `causal` and `window` go; a
        negative one marks a key that isn't there. 0, 1, 2, ... if not given.
      scale: of the logits, `1 / sqrt(width)` if not given.
      soft_cap: bounds the logits smoothly: `cap * tanh(logits / cap)`, above 0.
      sinks: `(heads,)`, a logit for each head that takes its share of the softmax and gives nothing.
      rate: probability of dropping a weight, in [0, 1]; may be traced. Used where there is a `key`.
      key: a typed key for dropout; nothing is dropped without.
      return_weights: whether to return `(output, weights)`, the weights `(batch, heads, time, memory)` after dropout.
      backend: `"xla"`, plain; `"chunked"`, which takes memory linear in `time` by computing some queries at a time, again in the
        backward pass; `"auto"`, plain unless its logits take more than half a gibibyte; `"cudnn"`, the fused kernel of NVIDIA GPUs
        where it can do what is asked, else as `"auto"`; or `parallel.ring_attention(mesh)`, which splits the sequence over devices.

    Returns:
      `(batch, time, heads, value_width)` in the dtype of `values`; logits and softmax are of float32 at least.

    Raises:
      ValueError: if ranks or sizes don't fit, or an option is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> x = jnp.arange(3.0).reshape(1, 3, 1, 1)
      >>> functional.attention(0 * x, x, x, causal=True).ravel().tolist()
      [0.0, 0.5, 1.0]

    Source: Vaswani et al., "Attention Is All You Need", https://arxiv.org/abs/1706.03762; groups: Ainslie et al., "GQA",
    https://arxiv.org/abs/2305.13245; windows: Beltagy et al., "Longformer", https://arxiv.org/abs/2004.05150; caps: Gemma Team,
    "Gemma 2", https://arxiv.org/abs/2408.00118; sinks: Xiao et al., "Efficient Streaming Language Models with Attention Sinks",
    https://arxiv.org/abs/2309.17453.
    """
    mask, bias, sinks = (None if x is None else jnp.asarray(x) for x in (mask, bias, sinks))
    query, keys, values = _checked(query, keys, values, mask, bias, positions, sinks)
    _check.positive("attention", **({} if window is None else {"window": window}))
    check_options(rate, soft_cap, backend, return_weights)
    time, width, memory = query.shape[1], query.shape[3], keys.shape[1]
    scale = 1 / math.sqrt(width) if scale is None else scale
    if backend == "cudnn" and not return_weights and all(x is None for x in (bias, soft_cap, sinks, key)):
        if fusable(query, keys, values, mask, positions, causal, window, scale):
            return fused(query, keys, values, mask, causal, window, scale)
    if mask is not None and mask.ndim == 2:
        mask = jnp.expand_dims(mask, (1, 2))
    if positions is None and (causal or window):
        positions = jnp.arange(time).reshape(1, -1), jnp.arange(memory).reshape(1, -1)
    at, of = positions or (None, None)
    logits_of = functools.partial(_logits, causal=causal, window=window, scale=scale, soft_cap=soft_cap)
    if callable(backend):
        return backend(logits_of, query, keys, values, mask, bias, at, of, sinks, rate, key)

    def some(query: jax.Array, mask: Any, bias: Any, at: Any, key: Any) -> Any:
        logits, seen = logits_of(query, keys, mask, bias, at, of)
        parts, total = _parts_of_softmax(logits, seen, sinks)
        parts = parts if key is None else dropout(key, parts, rate)
        output = divided(mixture(parts, values), total, values.dtype)
        return (output, parts / total) if return_weights else output

    chunk = queries_at_a_time(query, keys, plain=backend == "xla", chunked=backend == "chunked")
    inputs, axes = (query, mask, bias, at), (1, 2, 2, 1)
    return in_chunks(some, chunk, inputs, axes, key, (1, 2) if return_weights else 1)


def check_options(rate: Any, soft_cap: Any, backend: Any, return_weights: bool) -> None:
    """Raises ValueError if a number is out of range, or there is no such backend, or none that gives weights though wanted."""
    _check.within("attention", 0, 1, rate=rate)
    if soft_cap is not None:
        _check.above_zero("attention", soft_cap=soft_cap)
    if not callable(backend):
        _check.choice("attention", "backend", backend, get_args(_Named))
    elif return_weights:
        raise ValueError("attention: a backend over many devices gives no weights; leave out return_weights, or backend")


def _logits(
    query: jax.Array,
    keys: jax.Array,
    mask: Any,
    bias: Any,
    at: Any,
    of: Any,
    *,
    causal: bool,
    window: int | None,
    scale: Any,
    soft_cap: Any,
) -> tuple[jax.Array, Any]:
    """Logits of queries at positions `at` for keys of positions `of`, and which of them are seen, None for all."""
    # There are fewer queries than logits, but in low precision it would round them.
    exact = query.dtype == jnp.promote_types(query.dtype, jnp.float32)
    logits = _products(scale * query, keys) if exact else scale * _products(query, keys)
    if soft_cap is not None:
        logits = soft_cap * jnp.tanh(logits / soft_cap)
    logits = logits if bias is None else logits + bias
    seen = None if at is None else visible(at, of, causal, window)
    return logits, mask if seen is None else seen if mask is None else seen & mask


def visible(query_positions: jax.Array, key_positions: jax.Array, causal: bool, window: int | None) -> jax.Array:
    """Which keys a query sees, `(batch or 1, 1, time, memory)`, by positions `(batch or 1, time)` and `(batch or 1, memory)`."""
    at, of = jnp.expand_dims(query_positions, (1, 3)), jnp.expand_dims(key_positions, (1, 2))
    seen = jnp.broadcast_to(of >= 0, jnp.broadcast_shapes(at.shape, of.shape))
    if causal:
        seen &= of <= at
    if window:
        seen &= (at - of < window) & (of - at < window)
    return seen


def _checked(query: Any, keys: Any, values: Any, mask: Any, bias: Any, positions: Any, sinks: Any) -> tuple[jax.Array, ...]:
    """The three arrays, as JAX's; raises unless all fit."""
    query, keys, values = (
        _check.floating("attention", x, what) for x, what in ((query, "query"), (keys, "keys"), (values, "values"))
    )
    for what, x in (("query", query), ("keys", keys), ("values", values)):
        if x.ndim != 4:
            raise ValueError(f"attention: {what} must be (batch, time, heads, width), got {_check.describe(x)}")
    (batch, time, heads, width), (memory, kv_heads) = query.shape, keys.shape[1:3]
    if keys.shape[::3] != (batch, width) or values.shape[:3] != keys.shape[:3] or not kv_heads or heads % kv_heads:
        given = f"query is {_check.describe(query)}, keys {_check.describe(keys)}, values {_check.describe(values)}"
        raise ValueError(f"attention: batch and width must be equal, and heads a multiple of those of keys and values; {given}")
    full = (batch, heads, time, memory)
    for what, x in (("mask", mask), ("bias", bias)):
        if x is not None and not (what == "mask" and x.shape == (batch, memory)) and not _fits(x.shape, full):
            short = f"{[batch, memory]} or " if what == "mask" else ""
            raise ValueError(
                f"attention: {what} must be {short}{list(full)}, with 1 where it is the same, got {_check.describe(x)}"
            )
    if mask is not None and mask.dtype != bool:
        raise TypeError(f"attention: mask must be bools, True for what is seen, got {_check.describe(mask)}")
    for what, x, size in zip(("queries", "keys"), positions or (), (time, memory)):
        if not _fits(x.shape, (batch, size)) or not jnp.issubdtype(x.dtype, jnp.integer):
            raise ValueError(f"attention: positions of {what} must be integers {[batch, size]}, got {_check.describe(x)}")
    if sinks is not None and sinks.shape != (heads,):
        raise ValueError(f"attention: sinks must be one for each of {heads} heads, got {_check.describe(sinks)}")
    return query, keys, values


def _fits(shape: tuple[int, ...], full: tuple[int, ...]) -> bool:
    return len(shape) == len(full) and all(size in (1, whole) for size, whole in zip(shape, full))


def _products(query: jax.Array, keys: jax.Array) -> jax.Array:
    """Of every query with every key, `(batch, heads, time, memory)`, of float32 at least."""
    batch, time, heads, width = query.shape
    rows = query.swapaxes(1, 2).reshape(batch, keys.shape[2], -1, width)  # of all heads that share keys
    wide = jnp.promote_types(jnp.result_type(query, keys), jnp.float32)
    products = jnp.einsum("bkrd,bksd->bkrs", rows, keys.swapaxes(1, 2), preferred_element_type=wide)
    return products.reshape(batch, heads, time, keys.shape[1])


def mixture(parts: jax.Array, values: jax.Array) -> jax.Array:
    """Sums of values, `(batch, heads, time, width)`, of the precision of the parts."""
    batch, heads, time, memory = parts.shape
    rows = parts.astype(values.dtype).reshape(batch, values.shape[2], -1, memory)
    mixed = jnp.einsum("bkrs,bksd->bkrd", rows, values.swapaxes(1, 2), preferred_element_type=parts.dtype)
    return mixed.reshape(batch, heads, time, values.shape[3])


def divided(mixed: jax.Array, total: jax.Array, dtype: Any) -> jax.Array:
    """Mixtures, `(batch, time, heads, width)`; divided by the total last, as values are fewer than weights."""
    return (mixed / total).swapaxes(1, 2).astype(dtype)


def softmax_of_seen(logits: jax.Array, seen: jax.Array | None, sinks: jax.Array | None) -> jax.Array:
    """Along the last axis, over what is seen, with a further logit for each head; zeros where nothing is."""
    parts, total = _parts_of_softmax(logits, seen, sinks)
    return parts / total


def _parts_of_softmax(logits: jax.Array, seen: jax.Array | None, sinks: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """The exponentials, and what to divide them by, at least 1 where anything is seen."""
    least = None if sinks is None else jnp.broadcast_to(widen(sinks).reshape(1, -1, 1, 1), (*logits.shape[:-1], 1))
    parts, top = exponentials(logits, seen, least)
    total = parts.sum(-1, keepdims=True)
    total = total if least is None else total + jnp.exp(least - top)
    return parts, divisor(total) if seen is not None or not logits.size else total


def exponentials(logits: jax.Array, seen: jax.Array | None, least: jax.Array | None) -> tuple[jax.Array, jax.Array]:
    """Of logits less the highest that is seen, or `least` if that is higher; and what was subtracted, a constant."""
    if seen is not None:
        logits = jnp.where(seen, logits, -jnp.inf)
    top = logits.max(-1, keepdims=True, initial=jnp.finfo(logits.dtype).min)
    top = jax.lax.stop_gradient(top if least is None else jnp.maximum(top, least))
    return jnp.exp(logits - top), top
