"""How many edits lie between token sequences, and their rate in a corpus: a ratio of sums, not a mean of ratios."""

import jax
import jax.numpy as jnp

from jdl.functional._reduce import Reduction, reduce
from jdl.metrics import _tokens


def edit_distance(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    prediction_lengths: jax.Array | None = None,
    target_lengths: jax.Array | None = None,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Levenshtein distance: the fewest insertions, deletions and substitutions of tokens that make the target of the prediction.

    Args:
      predictions: integers, `(batch, length)`, padded at the end with anything.
      targets: likewise; its length may be another.
      prediction_lengths: how many tokens of each prediction count, `(batch,)`; by default all.
      target_lengths: how many tokens of each target count, `(batch,)`; by default all.
      where, weights, reduction: as in every loss, see `jdl.losses`; samples are sequences.

    Returns:
      A float32 scalar, or for `"none"` one number for each sequence.

    Raises:
      TypeError: if tokens or lengths are not integers.
      ValueError: if shapes don't fit, or lengths are out of range where the host sees them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> kitten, sitting = (jnp.array([[ord(c) for c in word]]) for word in ("kitten", "sitting"))
      >>> metrics.edit_distance(kitten, sitting).item()
      3.0
    """
    pair = _tokens.checked("edit_distance", predictions, targets, prediction_lengths, target_lengths)
    return reduce("edit_distance", _distances(*pair).astype(float), where, weights, reduction)


def word_error_rate(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    prediction_lengths: jax.Array | None = None,
    target_lengths: jax.Array | None = None,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Edit distances of all sequences together, divided by the number of their targets' tokens.

    With letters for tokens, this is the character error rate. It may exceed 1. For several batches, sum `word_error_counts`.

    Args:
      predictions: integers, `(batch, length)`, padded at the end with anything.
      targets: likewise; its length may be another.
      prediction_lengths: how many tokens of each prediction count, `(batch,)`; by default all.
      target_lengths: how many tokens of each target count, `(batch,)`; by default all.
      where: bools, `(batch,)`: which sequences count.
      weights: `(batch,)`; a weight of 2 counts as two sequences.

    Returns:
      A float32 scalar; 0 if there is nothing to count.

    Raises:
      TypeError: if tokens or lengths are not integers.
      ValueError: if shapes don't fit, or lengths are out of range where the host sees them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.word_error_rate(jnp.array([[1, 2, 3, 4], [5, 6, 0, 0]]), jnp.array([[1, 2, 9, 4], [5, 6, 0, 0]])).item()
      0.125
    """
    counts = word_error_counts(predictions, targets, prediction_lengths=prediction_lengths, target_lengths=target_lengths)
    errors, words = _tokens.sums("word_error_rate", counts, where, weights).values()
    return _tokens.ratio(errors, words)


def word_error_counts(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    prediction_lengths: jax.Array | None = None,
    target_lengths: jax.Array | None = None,
) -> dict[str, jax.Array]:
    """What `word_error_rate` sums, for each sequence: the rate is the sum of `errors` by the sum of `words`.

    Args:
      predictions: integers, `(batch, length)`, padded at the end with anything.
      targets: likewise; its length may be another.
      prediction_lengths: how many tokens of each prediction count, `(batch,)`; by default all.
      target_lengths: how many tokens of each target count, `(batch,)`; by default all.

    Returns:
      A dict of integers `(batch,)`: `errors`, the edit distances, and `words`, the lengths of targets.

    Raises:
      TypeError: if tokens or lengths are not integers.
      ValueError: if shapes don't fit, or lengths are out of range where the host sees them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> counts = metrics.word_error_counts(jnp.array([[1, 2, 3], [4, 0, 0]]), jnp.array([[1, 3], [4, 5]]))
      >>> counts["errors"].tolist(), counts["words"].tolist()
      ([1, 2], [2, 2])
    """
    pair = _tokens.checked("word_error_counts", predictions, targets, prediction_lengths, target_lengths)
    return {"errors": _distances(*pair), "words": pair[3]}


@jax.jit
def _distances(predictions: jax.Array, targets: jax.Array, lengths: jax.Array, target_lengths: jax.Array) -> jax.Array:
    columns = jnp.tile(jnp.arange(targets.shape[1] + 1), (len(targets), 1))

    def step(row: jax.Array, same: jax.Array) -> jax.Array:
        substituted = jnp.concatenate([row[:, :1] + 1, row[:, :-1] + ~same], 1)
        return jax.lax.cummin(jnp.minimum(row + 1, substituted) - columns, 1) + columns  # inserting costs 1 for each column

    return _tokens.by_rows(step, columns, predictions, targets, lengths, target_lengths)
