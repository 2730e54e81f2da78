"""Losses of classes and divergences, and what PyTorch calls them."""

import numpy as np

from jdl import losses
from parity._case import Case

LOGITS = {"logits": (6, 4)}
LABELS = {"labels": np.array([0, 3, 1, 1, 2, 3])}
SOME = {"labels": np.array([0, -100, 1, 1, -100, 3])}
SHARES = np.random.default_rng(0).dirichlet(np.ones(4), size=6).astype("float32")
INSIDE = np.random.default_rng(1).uniform(0.1, 0.9, size=(6, 4)).astype("float32")
WEIGHTS = np.array([0.5, 2.0, 1.25, 3.0])


def functional(torch):
    return torch.nn.functional


def torch_weights(torch):
    return torch.tensor(WEIGHTS)


CASES = (
    Case(
        "cross_entropy_of_class_weights",
        LOGITS | LABELS,
        lambda logits, labels: losses.cross_entropy(logits, labels, class_weights=WEIGHTS, label_smoothing=0.1),
        lambda torch, logits, labels: functional(torch).cross_entropy(logits, labels, torch_weights(torch), label_smoothing=0.1),
    ),
    Case(
        "cross_entropy_of_class_weights_without_ignored",
        LOGITS | SOME,
        lambda logits, labels: losses.cross_entropy(logits, labels, class_weights=WEIGHTS, ignore_index=-100, label_smoothing=0.2),
        lambda torch, logits, labels: functional(torch).cross_entropy(logits, labels, torch_weights(torch), label_smoothing=0.2),
    ),
    Case(
        "cross_entropy_of_class_weights_and_probabilities",
        LOGITS | {"labels": SHARES},
        lambda logits, labels: losses.cross_entropy(logits, labels, class_weights=WEIGHTS, label_smoothing=0.1, reduction="none"),
        lambda torch, logits, labels: functional(torch).cross_entropy(
            logits, labels, torch_weights(torch), label_smoothing=0.1, reduction="none"
        ),
    ),
    Case(
        "binary_cross_entropy_of_positive_weight",
        LOGITS | {"labels": INSIDE},
        lambda logits, labels: losses.binary_cross_entropy(logits, labels, positive_weight=WEIGHTS),
        lambda torch, logits, labels: functional(torch).binary_cross_entropy_with_logits(
            logits, labels, pos_weight=torch_weights(torch)
        ),
    ),
    Case(
        "binary_cross_entropy_from_probabilities",
        {"p": INSIDE, "labels": INSIDE[::-1].copy()},
        lambda p, labels: losses.binary_cross_entropy_from_probabilities(p, labels, reduction="none"),
        lambda torch, p, labels: functional(torch).binary_cross_entropy(p, labels, reduction="none"),
    ),
    Case(
        "negative_log_likelihood",
        {"scores": (6, 4)} | SOME,
        lambda scores, labels: losses.negative_log_likelihood(scores, labels, class_weights=WEIGHTS, ignore_index=-100),
        lambda torch, scores, labels: functional(torch).nll_loss(scores, labels, torch_weights(torch)),
    ),
    Case(
        "kl_divergence",
        {"scores": (6, 4), "targets": SHARES},
        lambda scores, targets: losses.kl_divergence(scores, targets),
        lambda torch, scores, targets: functional(torch).kl_div(scores, targets, reduction="batchmean"),
    ),
    Case(
        "kl_divergence_with_log_targets",
        {"scores": (6, 4), "targets": (6, 4)},
        lambda scores, targets: losses.kl_divergence_with_log_targets(scores, targets),
        lambda torch, scores, targets: functional(torch).kl_div(scores, targets, reduction="batchmean", log_target=True),
    ),
    Case(
        "multi_margin",
        LOGITS | LABELS,
        lambda logits, labels: losses.multi_margin(logits, labels, margin=0.75, reduction="none"),
        lambda torch, logits, labels: functional(torch).multi_margin_loss(logits, labels, margin=0.75, reduction="none"),
    ),
    Case(
        "multi_margin_squared",
        LOGITS | LABELS,
        lambda logits, labels: losses.multi_margin(logits, labels, p=2),
        lambda torch, logits, labels: functional(torch).multi_margin_loss(logits, labels, p=2),
    ),
)
