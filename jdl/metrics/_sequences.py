"""Metrics of token sequences, on padded arrays.

Rates of a corpus are ratios of sums, not means of ratios: each has a function that gives the counts of every sequence, whose sums
over any number of batches are exact, and are divided once.
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check, _lengths
from jdl.functional._reduce import Reduction, reduce
from jdl.losses._classification import cross_entropy

_ORDERS = 4  # of BLEU: the longest windows


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
    pair = _checked("edit_distance", predictions, targets, prediction_lengths, target_lengths)
    return reduce("edit_distance", _distances(*pair).astype(jnp.float32), where, weights, reduction)


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
    errors, words = _sums("word_error_rate", counts, where, weights).values()
    return _ratio(errors, words)


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
    pair = _checked("word_error_counts", predictions, targets, prediction_lengths, target_lengths)
    return {"errors": _distances(*pair), "words": pair[3]}


def rouge_l(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    prediction_lengths: jax.Array | None = None,
    target_lengths: jax.Array | None = None,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """ROUGE-L: `2 c / (m + n)`, with `c` the length of the longest common subsequence and `m`, `n` those of the sequences.

    This is the harmonic mean of precision `c / m` and recall `c / n`; two empty sequences have 0. For summaries.

    Args:
      predictions: integers, `(batch, length)`, padded at the end with anything.
      targets: likewise; its length may be another.
      prediction_lengths: how many tokens of each prediction count, `(batch,)`; by default all.
      target_lengths: how many tokens of each target count, `(batch,)`; by default all.
      where, weights, reduction: as in every loss, see `jdl.losses`; samples are sequences.

    Returns:
      A float32 scalar, or for `"none"` one number in [0, 1] for each sequence.

    Raises:
      TypeError: if tokens or lengths are not integers.
      ValueError: if shapes don't fit, or lengths are out of range where the host sees them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import metrics
      >>> metrics.rouge_l(jnp.array([[1, 2, 3, 4]]), jnp.array([[1, 9, 3, 4]])).item()
      0.75

    Source: Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", https://aclanthology.org/W04-1013.
    """
    pair = _checked("rouge_l", predictions, targets, prediction_lengths, target_lengths)
    predictions, targets, lengths, target_lengths = pair

    def step(row: jax.Array, same: jax.Array) -> jax.Array:
        longer = jnp.pad(row[:, :-1] + same, ((0, 0), (1, 0)))
        return jax.lax.cummax(jnp.maximum(row, longer), 1)

    start = jnp.zeros((len(targets), targets.shape[1] + 1), int)
    common = _by_rows(step, start, *pair)
    return reduce("rouge_l", _ratio(2 * common, lengths + target_lengths), where, weights, reduction)


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
    return bleu_from_counts(_sums("bleu", counts, where, weights))


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
      ([[4, 3, 2, 0]], [[5, 4, 3, 2]])
    """
    pair = _checked("bleu_counts", predictions, targets, prediction_lengths, target_lengths)
    predictions, targets, lengths, target_lengths = pair
    own = _same_ngrams(predictions, predictions, lengths, lengths)
    shared = _same_ngrams(predictions, targets, lengths, target_lengths)
    matches = [_clipped(*pair) for pair in zip(own, shared)]
    ngrams = [jnp.maximum(lengths - order, 0) for order in range(_ORDERS)]
    return {"matches": jnp.stack(matches, 1), "ngrams": jnp.stack(ngrams, 1), "words": lengths, "target_words": target_lengths}


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
    precisions = _ratio(counts["matches"], counts["ngrams"])
    some = (precisions > 0).all(-1)
    mean = jnp.exp(jnp.log(jnp.where(precisions > 0, precisions, 1)).mean(-1))
    brevity = jnp.exp(jnp.minimum(0, 1 - _ratio(counts["target_words"], counts["words"])))
    return jnp.where(some, brevity * mean, 0)


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
    return {name: a.reshape(len(a), -1).sum(1) for name, a in {"total": losses, "tokens": shares}.items()}


def _checked(name: str, predictions: Any, targets: Any, lengths: Any, target_lengths: Any) -> tuple[jax.Array, ...]:
    """Both sequences and their lengths, as JAX's arrays."""
    given = {"predictions": _check.array(predictions), "targets": _check.array(targets)}
    for what, tokens in given.items():
        if not jnp.issubdtype(tokens.dtype, jnp.integer):
            raise TypeError(f"{name}: {what} must be integers, got {_check.describe(tokens)}")
        if tokens.ndim != 2:
            raise ValueError(f"{name}: {what} must be (batch, length), got {_check.describe(tokens)}")
    predictions, targets = given.values()
    if len(predictions) != len(targets):
        raise ValueError(f"{name}: predictions and targets must be of one batch, got {_check.describe(list(given.values()))}")
    lengths = _lengths.given(name, "prediction_lengths", lengths, predictions)
    target_lengths = _lengths.given(name, "target_lengths", target_lengths, targets)
    return jnp.asarray(predictions), jnp.asarray(targets), jnp.asarray(lengths, int), jnp.asarray(target_lengths, int)


def _by_rows(
    step: Callable[[jax.Array, jax.Array], jax.Array],
    start: jax.Array,
    predictions: jax.Array,
    targets: jax.Array,
    lengths: jax.Array,
    target_lengths: jax.Array,
) -> jax.Array:
    """The last entry of a table with a row for each token of a prediction, which `step` makes of the row before and of matches."""

    def one(row: jax.Array, token: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        token, counts = token
        return jnp.where(jnp.expand_dims(counts, 1), step(row, jnp.expand_dims(token, 1) == targets), row), None

    row, _ = jax.lax.scan(one, start, (predictions.T, _lengths.inside(lengths, predictions.shape[1]).T))
    return jnp.take_along_axis(row, jnp.expand_dims(target_lengths, 1), 1, mode="clip").squeeze(1)


def _distances(predictions: jax.Array, targets: jax.Array, lengths: jax.Array, target_lengths: jax.Array) -> jax.Array:
    columns = jnp.tile(jnp.arange(targets.shape[1] + 1), (len(targets), 1))

    def step(row: jax.Array, same: jax.Array) -> jax.Array:
        substituted = jnp.concatenate([row[:, :1] + 1, row[:, :-1] + ~same], 1)
        return jax.lax.cummin(jnp.minimum(row + 1, substituted) - columns, 1) + columns  # inserting costs 1 for each column

    return _by_rows(step, columns, predictions, targets, lengths, target_lengths)


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


def _sums(name: str, counts: dict[str, jax.Array], where: Any, weights: Any) -> dict[str, jax.Array]:
    """Over sequences."""
    weighted = {key: reduce(name, a.astype(jnp.float32), where, weights, "none") for key, a in counts.items()}
    return {key: a.sum(0) for key, a in weighted.items()}


def _ratio(a: jax.Array, b: jax.Array) -> jax.Array:
    """In float32; 0 if there is nothing to count."""
    return jnp.where(b > 0, a, 0).astype(jnp.float32) / jnp.where(b > 0, b, 1)
