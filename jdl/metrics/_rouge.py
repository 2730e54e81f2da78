"""How much token sequences have in common."""

import jax
import jax.numpy as jnp

from jdl.functional._reduce import Reduction, reduce
from jdl.metrics import _tokens


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
    pair = _tokens.checked("rouge_l", predictions, targets, prediction_lengths, target_lengths)
    return reduce("rouge_l", _score(*pair), where, weights, reduction)


@jax.jit
def _score(predictions: jax.Array, targets: jax.Array, lengths: jax.Array, target_lengths: jax.Array) -> jax.Array:
    def step(row: jax.Array, same: jax.Array) -> jax.Array:
        longer = jnp.pad(row[:, :-1] + same, ((0, 0), (1, 0)))
        return jax.lax.cummax(jnp.maximum(row, longer), 1)

    start = jnp.zeros((len(targets), targets.shape[1] + 1), int)
    common = _tokens.by_rows(step, start, predictions, targets, lengths, target_lengths)
    return _tokens.ratio(2 * common, lengths + target_lengths)
