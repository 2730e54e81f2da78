"""BLEU of a corpus. N-grams are compared with each other, not hashed, so that none are taken for others."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp

from jdl.functional import _lengths
from jdl.metrics import _tokens

_ORDERS = 4  # the longest n-grams


def bleu(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    prediction_lengths: jax.Array | None = None,
    target_lengths: jax.Array | None = None,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
) -> jax.Array:
    """BLEU-4 of a corpus with one reference each: the geometric mean of the precisions of 1- to 4-grams, times a brevity penalty.

    The precision of n-grams is the share of those in predictions that the target has too; one that occurs there k times counts at
    most k times. The penalty is `min(1, exp(1 - n / m))`, with `m` tokens in all predictions and `n` in all targets. Nothing is
    smoothed: without a common 4-gram it is 0. For several batches, sum `bleu_counts`. Memory is that of bools
    `(batch, length, length)`.

    Args:
      predictions: integers, `(batch, length)`, padded at the end with anything.
      targets: likewise; its length may be another.
      prediction_lengths: how many tokens of each prediction count, `(batch,)`; by default all.
      target_lengths: how many tokens of each target count, `(batch,)`; by default all.
      where: bools, `(batch,)`: which sequences count.
      weights: `(batch,)`; a weight of 2 counts as two sequences.

    Returns:
      A float32 scalar in [0, 1].

    Raises:
      TypeError: if tokens or lengths are not integers.
      ValueError: if shapes don't fit, or lengths are out of range where the host sees them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.bleu(jnp.array([[1, 2, 3, 4, 5]]), jnp.array([[1, 2, 3, 4, 5]])).item()
      1.0

    Source: Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", https://aclanthology.org/P02-1040.
    """
    counts = bleu_counts(predictions, targets, prediction_lengths=prediction_lengths, target_lengths=target_lengths)
    return bleu_from_counts(_tokens.sums("bleu", counts, where, weights))


def bleu_counts(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    prediction_lengths: jax.Array | None = None,
    target_lengths: jax.Array | None = None,
) -> dict[str, jax.Array]:
    """What `bleu` sums, for each sequence; `bleu_from_counts` makes the figure of the sums.

    Args:
      predictions: integers, `(batch, length)`, padded at the end with anything.
      targets: likewise; its length may be another.
      prediction_lengths: how many tokens of each prediction count, `(batch,)`; by default all.
      target_lengths: how many tokens of each target count, `(batch,)`; by default all.

    Returns:
      A dict of integers: `matches`, n-grams of the prediction that the target has too, and `ngrams`, all of the prediction's, both
      `(batch, 4)`, for n of 1 to 4; `words` and `target_words`, the lengths, `(batch,)`.

    Raises:
      TypeError: if tokens or lengths are not integers.
      ValueError: if shapes don't fit, or lengths are out of range where the host sees them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> counts = metrics.bleu_counts(jnp.array([[1, 1, 1, 2, 3]]), jnp.array([[1, 1, 2, 3]]))
      >>> counts["matches"].tolist(), counts["ngrams"].tolist()
      ([[4, 3, 2, 1]], [[5, 4, 3, 2]])
    """
    pair = _tokens.checked("bleu_counts", predictions, targets, prediction_lengths, target_lengths)
    return _counts(*pair)


def bleu_from_counts(counts: dict[str, jax.Array]) -> jax.Array:
    """BLEU-4 of summed counts.

    Args:
      counts: what `bleu_counts` gives, summed over sequences and batches.

    Returns:
      A float32 scalar in [0, 1].

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import metrics
      >>> tokens = jnp.arange(12).reshape(2, 6)
      >>> batches = [metrics.bleu_counts(tokens[:1], tokens[:1]), metrics.bleu_counts(tokens[1:], tokens[1:])]
      >>> metrics.bleu_from_counts(jax.tree.map(lambda *a: jnp.concatenate(a).sum(0), *batches)).item()
      1.0

    Source: Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", https://aclanthology.org/P02-1040.
    """
    return _score(counts)


@jax.jit
def _score(counts: dict[str, jax.Array]) -> jax.Array:
    precisions = _tokens.ratio(counts["matches"], counts["ngrams"])
    some = (precisions > 0).all(-1)
    mean = jnp.exp(jnp.log(jnp.where(precisions > 0, precisions, 1)).mean(-1))
    brevity = jnp.exp(jnp.minimum(0, 1 - _tokens.ratio(counts["target_words"], counts["words"])))
    return jnp.where(some, brevity * mean, 0)


@jax.jit
def _counts(predictions: jax.Array, targets: jax.Array, lengths: jax.Array, target_lengths: jax.Array) -> dict[str, jax.Array]:
    own = _same_ngrams(predictions, predictions, lengths, lengths)
    shared = _same_ngrams(predictions, targets, lengths, target_lengths)
    matches = [_clipped(*pair) for pair in zip(own, shared)]
    ngrams = [jnp.maximum(lengths - order, 0) for order in range(_ORDERS)]
    return {"matches": jnp.stack(matches, 1), "ngrams": jnp.stack(ngrams, 1), "words": lengths, "target_words": target_lengths}


def _same_ngrams(a: jax.Array, b: jax.Array, lengths: jax.Array, other_lengths: jax.Array) -> Iterator[jax.Array]:
    """For n of 1 to 4, bools `(batch, n-grams of a, n-grams of b)`: which are the same."""
    inside, other_inside = _lengths.inside(lengths, a.shape[1]), _lengths.inside(other_lengths, b.shape[1])
    tokens = (jnp.expand_dims(a, 2) == jnp.expand_dims(b, 1)) & jnp.expand_dims(inside, 2) & jnp.expand_dims(other_inside, 1)
    same = tokens
    for order in range(1, _ORDERS + 1):
        yield same
        same = same[:, :-1, :-1] & tokens[:, order:, order:]


def _clipped(own: jax.Array, shared: jax.Array) -> jax.Array:
    """How many n-grams of a prediction its target has too: an n-gram's k-th occurrence counts if it occurs there k times."""
    return (jnp.triu(own, 1).sum(1) < shared.sum(2)).sum(1)
