"""Attention by cuDNN's fused kernel, on NVIDIA GPUs."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl.functional._nvidia import compute_capability


def fusable(
    query: jax.Array, keys: jax.Array, values: jax.Array, mask: Any, positions: Any, causal: bool, window: int | None, scale: Any
) -> bool:
    """Whether the kernel can do this, and none of its known faults is near.

    Masks of single logits are left out: of them, gradients are NaN for some lengths (PyTorch's issue 196678), and under vmap it
    takes none that is shared by heads (JAX's issue 28974).
    """
    (batch, time, _, width), memory = query.shape, keys.shape[1]
    capability = compute_capability()
    return (
        capability >= (8, 0)
        and query.dtype in (jnp.bfloat16, jnp.float16)
        and query.dtype == keys.dtype == values.dtype
        and keys.shape == values.shape
        and width % 8 == 0
        and width <= (256 if capability[0] == 9 else 128)
        and 0 not in (batch, time, memory)
        and not isinstance(scale, jax.Array)
        and (positions is None or all(map(_counts, positions)))
        and (time == memory if causal else window is None)
        and (mask is None or (mask.shape == (batch, memory) and not causal))
    )


def fused(
    query: jax.Array, keys: jax.Array, values: jax.Array, mask: Any, causal: bool, window: int | None, scale: Any
) -> jax.Array:
    """Attention without logits in memory, for what is `fusable`; no forward mode, no second derivatives."""
    lengths, some = {}, None
    if mask is not None:
        # Attention doesn't know an order of keys, so those that count may come first, and a length stands for the mask.
        order = jnp.argsort(~mask, axis=-1, stable=True)[:, :, None, None]
        keys, values = (jnp.take_along_axis(a, order, 1) for a in (keys, values))
        some = mask.any(-1)[:, None, None, None]
        counted = jnp.maximum(mask.sum(-1), 1).astype(jnp.int32)
        lengths = {"query_seq_lengths": jnp.full_like(counted, query.shape[1]), "key_value_seq_lengths": counted}
    one = _one((query, keys, values, lengths))
    query, keys, values, lengths = jax.tree.map(lambda a: a * one.astype(a.dtype), (query, keys, values, lengths))
    span = None if window is None else (window - 1, 0)
    options = {"scale": float(scale), "is_causal": causal, "local_window_size": span, "implementation": "cudnn"}
    y = one.astype(query.dtype) * jax.nn.dot_product_attention(query, keys, values, **lengths, **options)
    return y if some is None else jnp.where(some, y, 0)


def _counts(positions: Any) -> bool:
    """Whether the host sees that they are 0, 1, 2, ..., for all samples."""
    return isinstance(positions, np.ndarray) and bool((positions == np.arange(positions.shape[-1])).all())


def _one(arrays: Any) -> jax.Array:
    """A 1 that is mapped by every `vmap` that maps some of the arrays; no part of the compiled program.

    Up to JAX 0.11 the kernel, and its backward pass, is mapped over all of its inputs or none: these times it are mapped alike.
    """
    nothing = sum(jax.lax.stop_gradient(a[:0].sum()).astype(jnp.int32) for a in jax.tree.leaves(arrays))
    return jnp.int32(1) + nothing
