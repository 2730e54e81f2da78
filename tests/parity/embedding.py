"""Losses of pairs, triplets and several labels, and what PyTorch calls them."""

import numpy as np

from jdl import losses
from parity._case import Case

PAIR = {"first": (6, 4), "second": (6, 4)}
TRIPLET = {"anchors": (6, 4), "positives": (6, 4), "negatives": (6, 4)}
SIGNS = {"targets": np.array([1, -1, 1, -1, -1, 1])}
THERE = {"labels": np.array([[1, 0, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 1, 0, 0, 0]])}


def indices(torch, labels):
    """PyTorch's form of labels: the indices of classes that are there, filled up with -1."""
    rows = [np.flatnonzero(row) for row in labels.numpy()]
    return torch.tensor(np.stack([np.pad(row, (0, labels.shape[1] - len(row)), constant_values=-1) for row in rows]))


CASES = (
    Case(
        "triplet",
        TRIPLET,
        lambda anchors, positives, negatives: losses.triplet(anchors, positives, negatives, margin=0.7, reduction="none"),
        lambda torch, anchors, positives, negatives: torch.nn.functional.triplet_margin_loss(
            anchors, positives, negatives, margin=0.7, eps=0, reduction="none"
        ),
    ),
    Case(
        "triplet_swap",
        TRIPLET,
        lambda anchors, positives, negatives: losses.triplet(anchors, positives, negatives, swap=True),
        lambda torch, anchors, positives, negatives: torch.nn.functional.triplet_margin_loss(
            anchors, positives, negatives, eps=0, swap=True
        ),
    ),
    Case(
        "triplet_distance",
        TRIPLET,
        lambda anchors, positives, negatives: losses.triplet(
            anchors, positives, negatives, distance=lambda x, y: abs(x - y).sum(-1), swap=True, reduction="sum"
        ),
        lambda torch, anchors, positives, negatives: torch.nn.functional.triplet_margin_with_distance_loss(
            anchors, positives, negatives, distance_function=lambda x, y: abs(x - y).sum(-1), swap=True, reduction="sum"
        ),
    ),
    Case(
        "margin_ranking",
        {"first": (6,), "second": (6,)} | SIGNS,
        lambda first, second, targets: losses.margin_ranking((first, second), targets, margin=0.3),
        lambda torch, first, second, targets: torch.nn.functional.margin_ranking_loss(first, second, targets, margin=0.3),
    ),
    Case(
        "cosine_embedding",
        PAIR | SIGNS,
        lambda first, second, targets: losses.cosine_embedding((first, second), targets, margin=-0.2, reduction="none"),
        lambda torch, first, second, targets: torch.nn.functional.cosine_embedding_loss(
            first, second, targets, margin=-0.2, reduction="none"
        ),
    ),
    Case(
        "hinge_embedding",
        {"distances": (6,)} | SIGNS,
        lambda distances, targets: losses.hinge_embedding(distances, targets, margin=1.5, reduction="none"),
        lambda torch, distances, targets: torch.nn.functional.hinge_embedding_loss(
            distances, targets, margin=1.5, reduction="none"
        ),
    ),
    Case(
        "multi_label_margin",
        {"logits": (4, 5)} | THERE,
        lambda logits, labels: losses.multi_label_margin(logits, labels, reduction="none"),
        lambda torch, logits, labels: torch.nn.functional.multilabel_margin_loss(logits, indices(torch, labels), reduction="none"),
    ),
    Case(
        "multi_label_soft_margin",
        {"logits": (4, 5)} | THERE,
        lambda logits, labels: losses.multi_label_soft_margin(logits, labels),
        lambda torch, logits, labels: torch.nn.functional.multilabel_soft_margin_loss(logits, labels),
    ),
    Case(
        "soft_margin",
        {"logits": (6,)} | SIGNS,
        lambda logits, targets: losses.soft_margin(logits, targets, reduction="sum"),
        lambda torch, logits, targets: torch.nn.functional.soft_margin_loss(logits, targets, reduction="sum"),
    ),
)
