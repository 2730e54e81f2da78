"""Sums along a sorted axis that treat equals alike."""

import jax
import jax.numpy as jnp


def before_and_through(ordered: jax.Array, amounts: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Sums of `amounts` along the last axis: of entries before the equals of each, and of those up to the last of its equals.

    Args:
      ordered: sorted along its last axis, so that equals are neighbours.
      amounts: of the same shape.

    Returns:
      Two arrays of the same shape.
    """
    sums = jnp.cumsum(amounts, -1)
    axis, size = ordered.ndim - 1, ordered.shape[-1]
    index = jnp.broadcast_to(jnp.arange(size), ordered.shape)
    edge = jnp.ones((*ordered.shape[:-1], 1), bool)
    new = ordered[..., 1:] != ordered[..., :-1]
    first = jax.lax.cummax(jnp.where(jnp.concatenate([edge, new], -1), index, 0), axis)
    last = jax.lax.cummin(jnp.where(jnp.concatenate([new, edge], -1), index, size - 1), axis, reverse=True)
    padded = jnp.concatenate([jnp.zeros_like(sums[..., :1]), sums], -1)
    return jnp.take_along_axis(padded, first, -1), jnp.take_along_axis(padded, last + 1, -1)
