"""Rows of the metrics that are means over samples."""

import functools

import numpy as np
from sklearn import metrics as sk

from jdl import metrics
from loss_rows._row import Row, distribution, integers, normal


def top_k(logits, labels, k):
    own = np.take_along_axis(logits, labels[..., None], -1)
    return ((logits > own).sum(-1) < k).astype(float)


def brier(probabilities, labels):
    return ((probabilities - np.eye(probabilities.shape[-1])[labels]) ** 2).sum(-1)


def ndcg(scores, relevance, k=None):
    return np.array([sk.ndcg_score(one[None], other[None], k=k) for one, other in zip(relevance, scores)])


def reciprocal_rank(scores, relevant):
    ordered = [list(one[np.argsort(-score)]) for score, one in zip(scores, relevant)]
    return np.array([1 / (1 + one.index(1)) if 1 in one else 0.0 for one in ordered])


def average_precision(scores, relevant):
    return np.array([sk.average_precision_score(one, score) if one.any() else 0.0 for score, one in zip(scores, relevant)])


def average_precision_at_2(scores, relevant):
    first, second = (np.take_along_axis(relevant, np.argsort(-scores)[:, i : i + 1], 1)[:, 0] for i in (0, 1))
    return (first + second * (first + second) / 2) / np.clip(relevant.sum(1), 1, 2)


def relevance(rng, samples):
    return rng.integers(4, size=(samples, 5)).astype(float)


ROWS = (
    Row(
        "top_k_accuracy",
        functools.partial(metrics.top_k_accuracy, k=2),
        normal(4),
        integers(4),
        functools.partial(top_k, k=2),
        wrong=(
            ((np.zeros((2, 3)), np.array([0])), "shapes differ"),
            ((np.zeros((2, 3)), np.array([0, 3])), "found 3"),
            ((np.zeros((2, 1)), np.array([0, 0])), r"k must be in \[1, 1\], got 2"),
        ),
        smooth=False,
    ),
    Row(
        "brier_score",
        metrics.brier_score,
        distribution(3),
        integers(3),
        brier,
        wrong=(
            ((np.zeros((2, 3)), np.array([0])), r"labels must have shape \[2\]"),
            ((np.zeros((2, 3)), np.array([0, -1])), "found -1"),
        ),
        smooth=False,
    ),
    Row(
        "ndcg",
        metrics.ndcg,
        normal(5),
        relevance,
        ndcg,
        wrong=(((np.zeros((2, 3)), np.zeros(2)), "ndcg: shapes differ: scores is"),),
        smooth=False,
    ),
    Row("ndcg_at_3", functools.partial(metrics.ndcg, k=3), normal(5), relevance, functools.partial(ndcg, k=3), smooth=False),
    Row(
        "mean_reciprocal_rank",
        metrics.mean_reciprocal_rank,
        normal(5),
        integers(2, 5),
        reciprocal_rank,
        wrong=(((np.zeros((2, 3)), np.zeros(2)), "mean_reciprocal_rank: shapes differ"),),
        smooth=False,
    ),
    Row(
        "average_precision_at_k",
        metrics.average_precision_at_k,
        normal(5),
        integers(2, 5),
        average_precision,
        wrong=(((np.zeros((2, 3)), np.zeros(2)), "average_precision_at_k: shapes differ"),),
        smooth=False,
    ),
    Row(
        "average_precision_at_2",
        functools.partial(metrics.average_precision_at_k, k=2),
        normal(5),
        integers(2, 5),
        average_precision_at_2,
        smooth=False,
    ),
)
