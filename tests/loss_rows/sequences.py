"""Rows of the losses and metrics of sequences."""

import functools
import itertools

import jax.numpy as jnp
import numpy as np
from scipy import special

from jdl import losses, metrics
from loss_rows._row import Row, integers, normal

KERNEL, BIAS = (
    np.random.default_rng(seed).normal(size=size).astype(jnp.bfloat16).astype("float32") for seed, size in ((0, (4, 5)), (1, 5))
)


def labels(below, *shape):
    """None is the blank, 0."""
    return lambda rng, samples: rng.integers(1, below, size=(samples, *shape))


def merged(symbols):
    return [symbol for symbol, _ in itertools.groupby(symbols) if symbol != 0]


def ctc(logits, labels):
    """The sum over all strings of symbols that become the labels."""
    scores = special.log_softmax(logits, -1)
    strings = list(itertools.product(range(logits.shape[2]), repeat=logits.shape[1]))
    right = lambda b: [scores[b, np.arange(len(s)), s].sum() for s in strings if merged(s) == list(labels[b])]
    return np.array([-special.logsumexp(right(b)) for b in range(len(labels))])


def transducer(logits, labels):
    """The sum over all orders of frames and labels."""
    scores = special.log_softmax(logits, -1)

    def along(score, labels, emitting):
        time = count = total = 0
        for step in range(len(score) + len(labels)):
            emits = step in emitting
            total += score[time, count, labels[count] if emits else 0]
            time, count = time + (not emits), count + emits
        return total

    def one(score, labels):
        orders = itertools.combinations(range(len(score) - 1 + len(labels)), len(labels))
        return -special.logsumexp([along(score, labels, order) for order in orders])

    return np.array([one(*pair) for pair in zip(scores, labels)])


def linear_cross_entropy(x, labels, smoothing=0.0):
    scores = special.log_softmax(x @ KERNEL.astype(float) + BIAS, -1)
    return -((1 - smoothing) * np.take_along_axis(scores, labels[:, None], 1)[:, 0] + smoothing * scores.mean(1))


def linear(x, labels, **named):
    return losses.linear_cross_entropy(x, jnp.asarray(KERNEL), labels, bias=jnp.asarray(BIAS), chunk=4, **named)


@functools.cache
def distance(a, b):
    if not a or not b:
        return len(a) + len(b)
    return min(distance(a[1:], b) + 1, distance(a, b[1:]) + 1, distance(a[1:], b[1:]) + (a[0] != b[0]))


@functools.cache
def common(a, b):
    if not a or not b:
        return 0
    return max(common(a[1:], b), common(a, b[1:]), common(a[1:], b[1:]) + (a[0] == b[0]))


def pairs(function):
    """From a function of two tuples to one of two batches."""
    return lambda a, b: np.array([function(tuple(x), tuple(y)) for x, y in zip(a.tolist(), b.tolist())], float)


LOUD = 1e4 * np.cos(np.arange(2 * 6 * 4)).reshape(2, 6, 4).astype("float32")
TOKENS = np.zeros((2, 3), int)

ROWS = (
    Row(
        "ctc",
        losses.ctc,
        normal(5, 3),
        labels(3, 2),
        ctc,
        extremes=((jnp.asarray(LOUD), np.array([[1, 1, 2], [3, 2, 1]])),),
        wrong=(
            ((np.zeros((2, 5)), np.ones((2, 2), int)), r"logits must be \(batch, time, classes\)"),
            ((np.zeros((2, 5, 3)), np.ones(2, int)), r"labels must be \(batch, length\), got int"),
            ((np.zeros((2, 5, 3)), np.ones((3, 2), int)), "must be of one batch"),
            ((np.zeros((2, 5, 3)), np.ones((2, 2))), "labels must be integers"),
            ((np.zeros((2, 5, 3)), np.array([[1, 2], [3, 1]])), r"in 0\.\.2 and not be the blank, 0, found 3 at index \[1, 0\]"),
            ((np.zeros((2, 5, 3)), np.array([[1, 2], [2, 0]])), r"the blank, 0, found 0 at index \[1, 1\]"),
            ((np.zeros((2, 5, 3), int), np.ones((2, 2), int)), "logits must be a floating-point array"),
        ),
    ),
    Row(
        "rnn_transducer",
        losses.rnn_transducer,
        normal(3, 3, 4),
        labels(4, 2),
        transducer,
        extremes=((jnp.asarray(LOUD).reshape(1, 4, 3, 4), np.array([[1, 3]])),),
        wrong=(
            ((np.zeros((2, 5, 3)), np.ones((2, 2), int)), r"logits must be \(batch, time, length \+ 1, classes\)"),
            ((np.zeros((2, 5, 2, 3)), np.ones((2, 2), int)), r"length \+ 1, classes\), got float32\[2, 5, 2, 3\] for int"),
            ((np.zeros((2, 5, 3, 3)), np.array([[1, 2], [-1, 1]])), "found -1"),
        ),
    ),
    Row(
        "linear_cross_entropy",
        linear,
        normal(4),
        integers(5),
        linear_cross_entropy,
        extremes=((np.array([[1e4, -1e4, 0.0, 1.0]] * 3), np.arange(3)),),
        wrong=(
            ((np.zeros((2, 3)), np.zeros(2, int)), r"kernel must be \(width, vocabulary\), got float32\[4, 5\]"),
            ((np.zeros((2, 4)), np.zeros(3, int)), "labels must have the leading shape of x"),
            ((np.zeros((2, 4)), np.array([0, 5])), r"0\.\.4, found 5"),
            ((np.zeros((2, 4)), np.zeros(2)), "labels must be integers"),
            ((np.zeros((2, 4), int), np.zeros(2, int)), "x must be a floating-point array"),
        ),
    ),
    Row(
        "linear_cross_entropy_smooth",
        functools.partial(linear, label_smoothing=0.1),
        normal(4),
        integers(5),
        functools.partial(linear_cross_entropy, smoothing=0.1),
    ),
    Row(
        "edit_distance",
        metrics.edit_distance,
        integers(3, 5),
        integers(3, 4),
        pairs(distance),
        wrong=(
            ((np.zeros((2, 3)), TOKENS), "predictions must be integers"),
            ((TOKENS, np.zeros(3, int)), r"targets must be \(batch, length\)"),
            ((TOKENS, np.zeros((3, 3), int)), "must be of one batch"),
        ),
        smooth=False,
    ),
    Row("rouge_l", metrics.rouge_l, integers(3, 5), integers(3, 4), pairs(lambda a, b: 2 * common(a, b) / 9), smooth=False),
)
