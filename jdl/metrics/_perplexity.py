"""How many tokens a language model hesitates between."""

import jax
import jax.numpy as jnp

from jdl.functional._reduce import reduce
from jdl.losses._classification import cross_entropy


def perplexity(
    logits: jax.Array,
    labels: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
) -> jax.Array:
    """The exponential of the mean cross-entropy of tokens. For several batches, sum `perplexity_counts`.

    Args:
      logits: unnormalised scores, `(batch, ..., vocabulary)`.
      labels: integers in 0..vocabulary-1, `(batch, ...)`. Integers out of range are an error where the host sees them, and give NaN
        under jit.
      where: bools of the leading shape of labels, which tokens count: False for padding.
      weights: of the leading shape of labels; a weight of 2 counts as two tokens.

    Returns:
      A scalar of float32 at least, at least 1; infinite where its logarithm exceeds 88.

    Raises:
      TypeError: if labels are not integers of the leading shape of logits.
      ValueError: if shapes don't fit, or labels are out of range where the host sees them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.perplexity(jnp.zeros((2, 3, 8)), jnp.zeros((2, 3), int)).round(4).item()
      8.0
    """
    return jnp.exp(cross_entropy(logits, labels, where=where, weights=weights))


def perplexity_counts(
    logits: jax.Array,
    labels: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
) -> dict[str, jax.Array]:
    """What `perplexity` sums, for each sequence: perplexity is `exp` of the sum of `total` by the sum of `tokens`.

    Args:
      logits: unnormalised scores, `(batch, ..., vocabulary)`.
      labels: integers in 0..vocabulary-1, `(batch, ...)`. Integers out of range are an error where the host sees them, and give NaN
        under jit.
      where: bools of the leading shape of labels, which tokens count: False for padding.
      weights: of the leading shape of labels; a weight of 2 counts as two tokens.

    Returns:
      A dict of arrays `(batch,)`: `total`, the sum of cross-entropies, and `tokens`, how many (or, the sum of their weights).

    Raises:
      TypeError: if labels are not integers of the leading shape of logits.
      ValueError: if shapes don't fit, or labels are out of range where the host sees them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> where = jnp.array([[True, True, False], [True, False, False]])
      >>> metrics.perplexity_counts(jnp.zeros((2, 3, 8)), jnp.zeros((2, 3), int), where=where)["tokens"].tolist()
      [2.0, 1.0]
    """
    losses = cross_entropy(logits, labels, where=where, weights=weights, reduction="none")
    shares = reduce("perplexity_counts", jnp.ones_like(losses), where, weights, "none")
    return {name: a.sum(range(1, a.ndim)) for name, a in {"total": losses, "tokens": shares}.items()}
