"""Rows of losses of segmentations, images, boxes and rankings."""

import functools

import jax.numpy as jnp
import numpy as np
from scipy import special

from jdl import losses
from loss_rows._row import Row, integers, normal


def tversky(logits, labels, alpha=0.5, beta=0.5, smooth=1.0, squash=lambda logits: special.softmax(logits, -1)):
    p, t = squash(logits), np.eye(logits.shape[-1])[labels] if labels.ndim < logits.ndim else labels
    total = lambda x: x.reshape(len(x), -1, x.shape[-1]).sum(1)
    index = (total(p * t) + smooth) / (total(p * t) + alpha * total(p * (1 - t)) + beta * total((1 - p) * t) + smooth)
    return 1 - index.mean(-1)


def jaccard_of_mistakes(mistakes, inside):
    """One minus the intersection over union of a prediction that is wrong at these pixels."""
    union = (inside | mistakes).sum()
    return 1 - (inside & ~mistakes).sum() / union if union else 0.0


def lovasz_extension(errors, inside):
    """By its definition: a sum over the pixels, by decreasing error, of errors times growths of the set function."""
    order, before, total = np.argsort(-errors), np.zeros(len(errors), bool), 0.0
    for i in order:
        after = before | (np.arange(len(errors)) == i)
        total += errors[i] * (jaccard_of_mistakes(after, inside) - jaccard_of_mistakes(before, inside))
        before = after
    return total


def lovasz_softmax(logits, labels):
    p = special.softmax(logits, -1).reshape(len(logits), -1, logits.shape[-1])
    values = []
    for one, label in zip(p, labels.reshape(len(labels), -1)):
        values.append(np.mean([lovasz_extension(np.abs((label == c) - one[:, c]), label == c) for c in np.unique(label)]))
    return np.array(values)


def lovasz_hinge(logits, labels):
    flat = lambda x: np.moveaxis(x, -1, 1).reshape(x.shape[0], x.shape[-1], -1)
    hinge = np.maximum(0, 1 - np.where(flat(labels) == 1, 1, -1) * flat(logits))
    return np.array([[lovasz_extension(e, t == 1) for e, t in zip(*one)] for one in zip(hinge, flat(labels))]).mean(-1)


EXTREME = 1e4 * jnp.array([[[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [0.0, 0.0, 0.0]]] * 2)
SEGMENTATION = ((EXTREME, jnp.array([[0, 0, 1, 1], [0, 1, 0, 2]])),)
MASKS = ((EXTREME, jnp.stack([jnp.zeros((4, 3)), jnp.ones((4, 3))])),)
BAD_LABELS = (
    ((jnp.zeros((2, 3)), jnp.zeros(2, int)), r"logits must be \(batch, \*spatial, classes\), got float32\[2, 3\]"),
    ((jnp.zeros((2, 4, 3)), jnp.full((2, 4), 3)), r"0\.\.2, found 3 at index \[0, 0\]"),
    ((jnp.zeros((2, 4, 3)), jnp.zeros((2, 5), int)), r"integers of shape \[2, 4\]"),
)
BAD_MASKS = (
    ((jnp.zeros((2, 4, 1)), jnp.zeros((2, 4))), "shapes differ"),
    ((jnp.zeros((2, 4, 1)), jnp.full((2, 4, 1), 2)), "labels must .* found 2"),
)
masks = lambda *shape: lambda rng, samples: rng.integers(2, size=(samples, *shape))


ROWS = (
    Row("dice_loss", losses.dice_loss, normal(4, 5, 3), integers(3, 4, 5), tversky, SEGMENTATION, BAD_LABELS),
    Row(
        "tversky_loss",
        functools.partial(losses.tversky_loss, alpha=0.3, beta=0.7, smooth=0.0),
        normal(4, 5, 3),
        integers(3, 4, 5),
        functools.partial(tversky, alpha=0.3, beta=0.7, smooth=0.0),
        SEGMENTATION,
    ),
    Row(
        "binary_jaccard_loss",
        losses.binary_jaccard_loss,
        normal(4, 5, 3),
        masks(4, 5, 3),
        functools.partial(tversky, alpha=1.0, beta=1.0, squash=special.expit),
        MASKS,
        BAD_MASKS,
    ),
    Row("lovasz_softmax", losses.lovasz_softmax, normal(4, 5, 3), integers(3, 4, 5), lovasz_softmax, SEGMENTATION, BAD_LABELS),
    Row("lovasz_hinge", losses.lovasz_hinge, normal(4, 5, 3), masks(4, 5, 3), lovasz_hinge, MASKS, BAD_MASKS),
)
