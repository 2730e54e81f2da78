"""Attention with one head, as recurrent decoders have it: of one query, or of all."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._attention import attention, softmax_of_seen


def additive_attention(
    query: jax.Array,
    keys: jax.Array,
    values: jax.Array,
    kernel: jax.Array,
    *,
    mask: jax.Array | None = None,
    return_weights: bool = False,
) -> Any:
    """Mixes values by a network's scores: `softmax_s(tanh(query + keys_s) v) values_s`.

    A query that may see no key gets zeros, and what is masked has no influence. With all queries at once the hidden layer takes
    `batch * time * memory * width` numbers. As a matrix times two vectors, one after the other, is the sum of two products, this is
    Luong's concatenation too.

    Args:
      query: `(batch, width)`, or `(batch, time, width)`, already multiplied by its matrix.
      keys: `(batch, memory, width)`, likewise.
      values: `(batch, memory, features)`.
      kernel: `v`, `(width, 1)`, cast to the dtype of `query`.
      mask: bools `(batch, memory)`, True for the keys that count.
      return_weights: whether to return `(output, weights)`, the weights `(batch, memory)`, or `(batch, time, memory)`.

    Returns:
      `(batch, features)`, or `(batch, time, features)`, in the dtype of `values`; scores and softmax are of float32 at least.

    Raises:
      TypeError: if `query`, `keys` or `values` are not floating point, or `mask` not bool.
      ValueError: if shapes don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> values = jnp.array([[[1.0], [3.0]]])
      >>> functional.additive_attention(jnp.ones((1, 2)), jnp.zeros((1, 2, 2)), values, jnp.ones((2, 1))).tolist()
      [[2.0]]

    Source: Bahdanau, Cho and Bengio, "Neural Machine Translation by Jointly Learning to Align and Translate",
    https://arxiv.org/abs/1409.0473.
    """
    query, keys, values, mask = _checked("additive_attention", query, keys, values, mask)
    if kernel.shape != (query.shape[-1], 1):
        raise ValueError(f"additive_attention: kernel must be {[query.shape[-1], 1]}, got {_check.describe(kernel)}")
    dtype = jnp.result_type(query, keys)
    hidden = jnp.tanh(jnp.expand_dims(query, -2) + (keys if query.ndim == 2 else jnp.expand_dims(keys, 1)))
    wide = jnp.promote_types(dtype, jnp.float32)
    logits = jnp.einsum("...w,w->...", hidden, kernel[:, 0].astype(dtype), preferred_element_type=wide)
    seen = mask if mask is None or query.ndim == 2 else jnp.expand_dims(mask, 1)
    weights = softmax_of_seen(logits, seen, None)
    output = jnp.einsum("b...s,bsf->b...f", weights.astype(values.dtype), values)
    return (output, weights) if return_weights else output


def dot_attention(
    query: jax.Array, keys: jax.Array, values: jax.Array, *, mask: jax.Array | None = None, return_weights: bool = False
) -> Any:
    """Mixes values by products, without a scale: `softmax_s(query keys_s) values_s`, Luong's global attention.

    Args:
      query: `(batch, width)`, or `(batch, time, width)`.
      keys: `(batch, memory, width)`.
      values: `(batch, memory, features)`.
      mask: bools `(batch, memory)`, True for the keys that count.
      return_weights: whether to return `(output, weights)`, the weights `(batch, memory)`, or `(batch, time, memory)`.

    Returns:
      `(batch, features)`, or `(batch, time, features)`, in the dtype of `values`; products and softmax are of float32 at least.

    Raises:
      TypeError: if `query`, `keys` or `values` are not floating point, or `mask` not bool.
      ValueError: if shapes don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> values = jnp.array([[[1.0], [3.0]]])
      >>> functional.dot_attention(jnp.zeros((1, 2)), jnp.ones((1, 2, 2)), values).tolist()
      [[2.0]]

    Source: Luong, Pham and Manning, "Effective Approaches to Attention-based Neural Machine Translation",
    https://arxiv.org/abs/1508.04025.
    """
    query, keys, values, mask = _checked("dot_attention", query, keys, values, mask)
    single = query.ndim == 2
    headed = (jnp.expand_dims(x, 2) for x in (jnp.expand_dims(query, 1) if single else query, keys, values))
    output, weights = attention(*headed, mask=mask, scale=1.0, return_weights=True)
    output, weights = output[:, :, 0], weights[:, 0]
    output, weights = (output[:, 0], weights[:, 0]) if single else (output, weights)
    return (output, weights) if return_weights else output


def _checked(name: str, query: Any, keys: Any, values: Any, mask: Any) -> tuple[Any, ...]:
    """The three arrays, as JAX's, and the mask; raises unless all fit."""
    query, keys, values = (_check.floating(name, x, what) for x, what in ((query, "query"), (keys, "keys"), (values, "values")))
    for what, x, ranks, layout in (
        ("query", query, (2, 3), "(batch, width) or (batch, time, width)"),
        ("keys", keys, (3,), "(batch, memory, width)"),
        ("values", values, (3,), "(batch, memory, features)"),
    ):
        if x.ndim not in ranks:
            raise ValueError(f"{name}: {what} must be {layout}, got {_check.describe(x)}")
    if keys.shape[::2] != (len(query), query.shape[-1]) or values.shape[:2] != keys.shape[:2]:
        given = f"query is {_check.describe(query)}, keys {_check.describe(keys)}, values {_check.describe(values)}"
        raise ValueError(f"{name}: batch, width and memory must be equal; {given}")
    return query, keys, values, check_memory_mask(name, mask, keys)


def check_memory_mask(name: str, mask: Any, keys: Any) -> Any:
    """The mask as an array; raises unless it is bools, one for each of the keys, `(batch, memory, ...)`; or there is none."""
    if mask is None:
        return None
    mask = _check.array(mask)
    if mask.shape != keys.shape[:2]:
        raise ValueError(f"{name}: mask must be {list(keys.shape[:2])}, got {_check.describe(mask)}")
    if mask.dtype != bool:
        raise TypeError(f"{name}: mask must be bools, True for what is seen, got {_check.describe(mask)}")
    return mask
