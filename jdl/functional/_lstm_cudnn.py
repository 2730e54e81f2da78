"""All steps of an LSTM by cuDNN's kernel, on NVIDIA GPUs."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional._nvidia import compute_capability

_PRECISIONS = None, "high", "highest", "tensorfloat32", "float32"  # of products; JAX's kernel raises for others


def fused(params: dict, x: jax.Array, carry: Any, lengths: Any, reverse: bool) -> tuple[jax.Array, Any] | None:
    """`(y, carry)` of a plain LSTM in single precision, from `(batch, time, in)`; None where the kernel can't do it.

    Outputs that are padding are any numbers. Inside `shard_map` its gradient would be that of one shard alone, as JAX's kernel
    doesn't say over which axes its results vary.
    """
    from jax.experimental import rnn  # not at import: it is for this alone

    plain = params.keys() <= {"kernel", "recurrent_kernel", "bias"} and 0 not in x.shape
    precision = jax.config.jax_default_matmul_precision  # type: ignore[attr-defined]
    if not plain or compute_capability() == (0, 0) or precision not in _PRECISIONS:
        return None
    if any(a.dtype != jnp.float32 or jax.typeof(a).manual_axis_type.varying for a in (x, *params.values(), *carry)):
        return None
    (batch, time, width), features = x.shape, carry[0].shape[-1]
    bias = params.get("bias", jnp.zeros(4 * features, x.dtype))
    parts = params["kernel"].T, params["recurrent_kernel"].T, bias, jnp.zeros_like(bias)
    weights = jnp.concatenate([part.ravel() for part in parts])
    ends = jnp.full(batch, time) if lengths is None else jnp.clip(lengths, 1, time)
    starts = tuple(a[None] for a in carry)
    source = _turned(x, ends) if reverse else x
    found: Any = rnn.lstm(source, *starts, weights, ends.astype(jnp.int32), width, features, 1, 0.0, False)
    y, *last = found
    y = _turned(y, ends) if reverse else y
    some = True if lengths is None else jnp.expand_dims(lengths > 0, 1)
    return y, tuple(jnp.where(some, new[0], old) for new, old in zip(last, carry))


def _turned(x: jax.Array, ends: jax.Array) -> jax.Array:
    """In reverse up to the end of each sample, and behind it as it was."""
    at, ends = jnp.arange(x.shape[1])[None], ends[:, None]
    return jnp.take_along_axis(x, jnp.where(at < ends, ends - 1 - at, at)[:, :, None], 1)
