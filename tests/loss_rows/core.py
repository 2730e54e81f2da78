"""Rows of the losses that everything else is tested with."""

import functools

import numpy as np
from scipy import special

from jdl import losses, metrics
from loss_rows._row import Row, integers, normal, uniform


def cross_entropy(logits, labels, smoothing=0.0):
    shares = labels if labels.ndim == logits.ndim else np.eye(logits.shape[-1])[labels]
    shares = (1 - smoothing) * shares + smoothing / logits.shape[-1]
    return -(shares * special.log_softmax(logits, -1)).sum(-1)


def binary_cross_entropy(logits, labels):
    return -(labels * special.log_expit(logits) + (1 - labels) * special.log_expit(-logits))


LARGE = np.array([[1e4, -1e4, 0.0]] * 3), np.arange(3)
SIGNS = np.array([1e4, -1e4, 1e4, -1e4, 0.0]), np.array([0.0, 0.0, 1.0, 1.0, 0.5])

ROWS = (
    Row(
        "mean_squared_error",
        losses.mean_squared_error,
        normal(3),
        normal(3),
        lambda predictions, targets: (predictions - targets) ** 2,
        extremes=((np.array([1e4, -1e4]), np.zeros(2)),),
        wrong=(((np.zeros((4, 1)), np.zeros(4)), "mean_squared_error: shapes differ: predictions is float32"),),
    ),
    Row(
        "cross_entropy",
        losses.cross_entropy,
        normal(4),
        integers(4),
        cross_entropy,
        extremes=(LARGE,),
        wrong=(
            ((np.zeros((2, 3)), np.array([0, 3])), r"0\.\.2, found 3 at index \[1\]"),
            ((np.zeros((2, 3)), np.array([-1, 0])), "found -1"),
            ((np.zeros((2, 3)), np.array([[0], [1]])), r"integers of shape \[2\]"),
            ((np.zeros((2, 3)), np.zeros(2)), "labels must be integers"),
            ((np.zeros((2, 3)), np.zeros((2, 4))), "shapes differ"),
        ),
    ),
    Row(
        "cross_entropy_smooth",
        functools.partial(losses.cross_entropy, label_smoothing=0.1),
        normal(4),
        integers(4),
        functools.partial(cross_entropy, smoothing=0.1),
        extremes=(LARGE,),
    ),
    Row(
        "binary_cross_entropy",
        losses.binary_cross_entropy,
        normal(),
        uniform(),
        binary_cross_entropy,
        extremes=(SIGNS,),
        wrong=(((np.zeros(2), np.array([0.0, 2.0])), r"found 2.0 at index \[1\]"),),
    ),
    Row(
        "accuracy",
        metrics.accuracy,
        normal(3),
        integers(3),
        lambda logits, labels: (logits.argmax(-1) == labels).astype(float),
        wrong=(((np.zeros((2, 3)), np.array([0])), "shapes differ"),),
        smooth=False,
    ),
)
