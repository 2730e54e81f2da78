"""Dropping tokens, which makes sequences shorter."""

import jax
import jax.numpy as jnp

from jdl.functional import _check


def token_drop(key: jax.Array, x: jax.Array, keep: int, *, prefix: int = 0) -> tuple[jax.Array, jax.Array]:
    """Keeps `keep` random tokens of every sample, in their order; the work of what follows shrinks with their number.

    Args:
      key: a typed key.
      x: input, `(batch, tokens, features)`, floating point.
      keep: number of tokens to keep behind the first `prefix`.
      prefix: number of first tokens that are always kept, such as 1 for a class token.

    Returns:
      The kept tokens, `(batch, prefix + keep, features)`, and where each was in `x`, `(batch, prefix + keep)`, increasing integers.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if ranks don't fit, or `x` has fewer tokens than are to be kept.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> x = jnp.arange(6.0).reshape(1, 6, 1)
      >>> tokens, indices = functional.token_drop(jax.random.key(1), x, 2, prefix=1)
      >>> tokens.ravel().tolist(), indices.tolist()
      ([0.0, 2.0, 5.0], [[0, 2, 5]])

    Source: Liu et al., "PatchDropout: Economizing Vision Transformers Using Patch Dropout", https://arxiv.org/abs/2208.07220.
    """
    x = enough_tokens(x, keep, prefix)
    batch, tokens, _ = x.shape
    draws = jax.random.bits(key, (batch, tokens - prefix), jnp.uint32)
    chosen = prefix + jnp.sort(jax.lax.top_k(draws, keep)[1], axis=-1)
    first = jnp.broadcast_to(jnp.expand_dims(jnp.arange(prefix, dtype=chosen.dtype), 0), (batch, prefix))
    indices = jnp.concatenate([first, chosen], axis=1)
    return jnp.take_along_axis(x, jnp.expand_dims(indices, -1), axis=1, mode="promise_in_bounds"), indices


def enough_tokens(x: jax.Array, keep: int, prefix: int) -> jax.Array:
    """`x` as JAX's array; raises unless it is `(batch, tokens, features)` with at least `prefix + keep` tokens."""
    x = _check.floating("token_drop", x)
    _check.rank("token_drop", x, (3,), "(batch, tokens, features)")
    sizes("token_drop", keep, prefix)
    if x.shape[1] < prefix + keep:
        raise ValueError(f"token_drop: {prefix + keep} tokens are to be kept, x is {_check.describe(x)}")
    return x


def sizes(name: str, keep: int, prefix: int) -> None:
    """Raises ValueError unless `keep` is at least 1 and `prefix` at least 0, both integers."""
    _check.positive(name, keep=keep)
    if isinstance(prefix, bool) or not isinstance(prefix, int) or prefix < 0:
        raise ValueError(f"{name}: prefix must be an integer of at least 0, got {prefix!r}")
