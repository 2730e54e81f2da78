"""Losses of sequences whose alignment with their labels is not known: minus the log probability of all alignments together."""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check, _lengths
from jdl.functional._numbers import widen
from jdl.functional._reduce import Reduction, reduce

_NEVER = -1e30  # the log of probability 0, finite so that differences, and with them gradients, are numbers


def ctc(
    logits: jax.Array,
    labels: jax.Array,
    *,
    logit_lengths: jax.Array | None = None,
    label_lengths: jax.Array | None = None,
    blank: int = 0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Connectionist temporal classification: `-log sum_a prod_t softmax(logits_t)_{a_t}`, over all alignments `a` of the labels.

    An alignment has one symbol for each frame, and becomes the labels when repeated symbols are merged and then blanks dropped. For
    sequences that are longer than their labels and in the same order, such as speech and its letters.

    Labels that don't fit (fewer frames than labels and equal neighbours among them) have no alignment: their loss is infinite, with
    gradient 0. Leave them out by `where`.

    Args:
      logits: unnormalised scores, `(batch, time, classes)`.
      labels: integers in 0..classes-1, not the blank, `(batch, length)`, padded at the end with anything. Others are an error where
        the host sees them, and give NaN under jit.
      logit_lengths: how many frames of each sequence count, `(batch,)`; by default all.
      label_lengths: how many labels of each sequence count, `(batch,)`; by default all.
      blank: the class that stands for no label.
      where, weights, reduction: as in every loss, see `jdl.losses`; samples are sequences. The mean is not divided by lengths, as
        PyTorch's is: for that, use weights.

    Returns:
      A scalar, or for `"none"` one number for each sequence; of float32 at least.

    Raises:
      TypeError: if labels or lengths are not integers.
      ValueError: if shapes don't fit, or labels or lengths are out of range where the host sees them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> loss = losses.ctc(jnp.zeros((1, 2, 3)), jnp.array([[1]]))  # of 9 equally probable alignments, 3 are right: 11, 01 and 10
      >>> jnp.exp(-loss).round(4).item() == jnp.float32(3 / 9).round(4).item()
      True

    Source: Graves et al., "Connectionist Temporal Classification: Labelling Unsegmented Sequence Data with Recurrent Neural
    Networks", https://dl.acm.org/doi/10.1145/1143844.1143891.
    """
    labels = _check.array(labels)
    layout = "(batch, time, classes)", "(batch, length)"
    _check_batch("ctc", logits, labels, 3, layout)
    frames, count = _checked("ctc", logits, labels, logit_lengths, label_lengths, blank)
    total = _ctc(logits, labels, frames, count, blank)
    return reduce("ctc", _negative(total), where, weights, reduction)


def rnn_transducer(
    logits: jax.Array,
    labels: jax.Array,
    *,
    logit_lengths: jax.Array | None = None,
    label_lengths: jax.Array | None = None,
    blank: int = 0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """RNN transducer: `-log sum_a prod softmax(logits_{t,u})_{a}`, over all paths `a` from the first frame to the last.

    At frame `t`, after `u` labels, a path emits either the next label, and stays at the frame, or a blank, and goes on to the next
    frame; it ends with a blank at the last frame. Unlike in `ctc`, what is emitted may depend on the labels before it, and there
    may be more labels than frames. For streaming speech recognition.

    A sequence of no frames has no path: its loss is infinite, with gradient 0. Leave it out by `where`.

    Args:
      logits: unnormalised scores of the joint network, `(batch, time, length + 1, classes)`.
      labels: integers in 0..classes-1, not the blank, `(batch, length)`, padded at the end with anything. Others are an error where
        the host sees them, and give NaN under jit.
      logit_lengths: how many frames of each sequence count, `(batch,)`; by default all.
      label_lengths: how many labels of each sequence count, `(batch,)`; by default all.
      blank: the class that stands for no label.
      where, weights, reduction: as in every loss, see `jdl.losses`; samples are sequences.

    Returns:
      A scalar, or for `"none"` one number for each sequence; of float32 at least.

    Raises:
      TypeError: if labels or lengths are not integers.
      ValueError: if shapes don't fit, or labels or lengths are out of range where the host sees them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> loss = losses.rnn_transducer(jnp.zeros((1, 2, 2, 3)), jnp.array([[1]]))  # 2 paths of 3 symbols, each with probability 1/3
      >>> jnp.exp(-loss).round(4).item() == jnp.float32(2 / 27).round(4).item()
      True

    Source: Graves, "Sequence Transduction with Recurrent Neural Networks", https://arxiv.org/abs/1211.3711.
    """
    labels = _check.array(labels)
    layout = "(batch, time, length + 1, classes)", "(batch, length)"
    _check_batch("rnn_transducer", logits, labels, 4, layout)
    if logits.shape[2] != labels.shape[1] + 1:
        raise ValueError(f"rnn_transducer: logits must be {layout[0]}, got {_check.describe(logits)} for {_check.describe(labels)}")
    frames, count = _checked("rnn_transducer", logits, labels, logit_lengths, label_lengths, blank)
    total = _rnn_transducer(logits, labels, frames, count, blank)
    return reduce("rnn_transducer", _negative(total), where, weights, reduction)


def _check_batch(name: str, logits: jax.Array, labels: jax.Array, rank: int, layout: tuple[str, str]) -> None:
    for what, x, wants, axes in zip(("logits", "labels"), (logits, labels), layout, (rank, 2)):
        if x.ndim != axes:
            raise ValueError(f"{name}: {what} must be {wants}, got {_check.describe(x)}")
    if len(logits) != len(labels):
        given = f"{_check.describe(logits)} and {_check.describe(labels)}"
        raise ValueError(f"{name}: logits and labels must be of one batch, got {given}")


@functools.partial(jax.jit, static_argnames="blank")
def _ctc(logits: jax.Array, labels: jax.Array, frames: jax.Array, count: jax.Array, blank: int) -> jax.Array:
    """The log probability of all alignments."""
    labels = _known(labels, count, logits.shape[-1], blank)
    states = jnp.stack([jnp.full_like(labels, blank), labels], 2).reshape(len(labels), -1)  # blank, label, blank, label, ..., blank
    states = jnp.pad(states, ((0, 0), (0, 1)), constant_values=blank)
    before = jnp.pad(states, ((0, 0), (2, 0)), constant_values=blank)[:, :-2]
    skips = (states != blank) & (states != before)
    scores = _log_probabilities(widen(logits), jnp.expand_dims(states, 1))

    def step(alpha: jax.Array, frame: Any) -> tuple[jax.Array, None]:
        score, counts = frame
        skipping = jnp.where(skips, _shift(alpha, 2), _NEVER)
        moved = jnp.logaddexp(jnp.logaddexp(alpha, _shift(alpha, 1)), skipping) + score
        return jnp.where(jnp.expand_dims(counts, 1), moved, alpha), None

    start = jnp.where(jnp.arange(states.shape[1]) == 0, 0.0, _NEVER).astype(scores.dtype)
    counted = _lengths.inside(frames, logits.shape[1])
    alpha, _ = jax.lax.scan(step, jnp.tile(start, (len(states), 1)), (jnp.moveaxis(scores, 1, 0), counted.T))
    at_label = jnp.where(count > 0, _pick(alpha, jnp.maximum(2 * count - 1, 0)), _NEVER)
    return jnp.logaddexp(_pick(alpha, 2 * count), at_label)


@functools.partial(jax.jit, static_argnames="blank")
def _rnn_transducer(logits: jax.Array, labels: jax.Array, frames: jax.Array, count: jax.Array, blank: int) -> jax.Array:
    """The log probability of all paths."""
    labels = _known(labels, count, logits.shape[-1], blank)
    symbols = jnp.stack([jnp.full_like(labels, blank), labels], 2)
    symbols = jnp.pad(symbols, ((0, 0), (0, 1), (0, 0)), constant_values=blank)  # after the last label only blanks
    scores = _log_probabilities(widen(logits), jnp.expand_dims(symbols, 1))
    waits, emits = _diagonals(scores[..., 0]), _diagonals(scores[..., 1])

    def step(alpha: jax.Array, diagonal: Any) -> tuple[jax.Array, jax.Array]:
        wait, emit = diagonal
        waited = alpha + wait
        return jnp.logaddexp(waited, _shift(alpha + emit, 1)), _pick(waited, count)

    start = jnp.where(jnp.arange(logits.shape[2]) == 0, 0.0, _NEVER).astype(scores.dtype)
    _, ends = jax.lax.scan(step, jnp.tile(start, (len(labels), 1)), (waits, emits))
    ends = jnp.pad(ends.T, ((0, 0), (1, 0)), constant_values=_NEVER)  # first, the end of a sequence of no frames
    return _pick(ends, jnp.where(frames > 0, frames + count, 0))


def _checked(name: str, logits: jax.Array, labels: Any, logit_lengths: Any, label_lengths: Any, blank: int) -> tuple[Any, Any]:
    """The lengths; raises unless labels and lengths are integers in range, as far as the host sees them."""
    _check.floating(name, logits, "logits")
    classes = logits.shape[-1]
    _check.within(name, 0, classes - 1, blank=blank)
    frames = _lengths.given(name, "logit_lengths", logit_lengths, logits)
    count = _lengths.given(name, "label_lengths", label_lengths, labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"{name}: labels must be integers, got {_check.describe(labels)}")
    rule = f"labels must lie in 0..{classes - 1} and not be the blank, {blank}"
    inside = lambda: _lengths.inside(count, labels.shape[1])
    _check.report(name, rule, labels, lambda labels: inside() & _wrong(labels, classes, blank))
    return frames, count


def _wrong(labels: Any, classes: int, blank: int) -> Any:
    return (labels < 0) | (labels >= classes) | (labels == blank)


def _known(labels: jax.Array, count: jax.Array, classes: int, blank: int) -> jax.Array:
    """Labels with `blank` for padding, and the number of classes, of which the probability is NaN, for what is no label."""
    labels = labels.astype(int)
    labels = jnp.where(_wrong(labels, classes, blank), classes, labels)
    return jnp.where(_lengths.inside(count, labels.shape[1]), labels, blank)


def _log_probabilities(logits: jax.Array, classes: jax.Array) -> jax.Array:
    """Of some classes; of those out of range NaN."""
    chosen = jnp.take_along_axis(logits, classes, -1, mode="fill", fill_value=jnp.nan)
    return jnp.maximum(chosen - jax.nn.logsumexp(logits, -1, keepdims=True), _NEVER)


def _shift(x: jax.Array, by: int) -> jax.Array:
    """Each row moved to the right."""
    return jnp.pad(x, ((0, 0), (by, 0)), constant_values=_NEVER)[:, : x.shape[1]]


def _pick(x: jax.Array, index: jax.Array) -> jax.Array:
    return jnp.take_along_axis(x, jnp.expand_dims(index, 1), 1, mode="clip").squeeze(1)


def _diagonals(x: jax.Array) -> jax.Array:
    """`(batch, time, length)` as `(time + length - 1, batch, length)`, with entry `t, u` at `t + u, u`."""
    batch, time, length = x.shape
    rows = jnp.pad(jnp.moveaxis(x, 1, 2), ((0, 0), (0, 0), (0, length)), constant_values=_NEVER)
    width = time + length - 1
    shifted = rows.reshape(batch, -1)[:, : length * width].reshape(batch, length, width)
    return jnp.moveaxis(shifted, 2, 0)


def _negative(total: jax.Array) -> jax.Array:
    """Minus a log probability, infinite where no alignment is possible."""
    return jnp.where(total < _NEVER / 2, jnp.inf, -total)
