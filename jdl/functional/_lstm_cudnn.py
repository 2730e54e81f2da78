"""All steps of an LSTM by cuDNN's kernel, on NVIDIA GPUs."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional._nvidia import compute_capability


def fused(params: dict, x: jax.Array, carry: Any, lengths: Any, reverse: bool) -> tuple[jax.Array, Any] | None:
    """`(y, carry)` of a plain LSTM in single precision, from `(batch, time, in)`; None where the kernel can't do it.

    Outputs that are padding are any numbers.
    """
    from jax.experimental import rnn  # not at import: it is for this alone

    if compute_capability() == (0, 0) or not params.keys() <= {"kernel", "recurrent_kernel", "bias"} or 0 in x.shape:
        return None
    if any(a.dtype != jnp.float32 for a in (x, *params.values())):
        return None
    (batch, time, width), features = x.shape, carry[0].shape[-1]
    bias = params.get("bias", jnp.zeros(4 * features))
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
