"""Losses of sequences and what PyTorch calls them."""

import numpy as np

from jdl import losses
from parity._case import Case

LABELS = np.array([[1, 1, 2], [3, 2, 3], [2, 1, 1], [3, 3, 3]])
FRAMES, COUNTS = np.array([7, 5, 4, 2]), np.array([3, 2, 1, 0])
ARRAYS = {"logits": (4, 7, 4), "labels": LABELS, "frames": FRAMES, "counts": COUNTS}


def ctc(torch, logits, labels, frames, counts, **options):
    scores = logits.log_softmax(-1).transpose(0, 1)
    return torch.nn.functional.ctc_loss(scores, labels, frames, counts, reduction="none", **options)


CASES = (
    Case(
        "ctc",
        ARRAYS,
        lambda logits, labels, frames, counts: losses.ctc(
            logits, labels, logit_lengths=frames, label_lengths=counts, reduction="none"
        ),
        ctc,
    ),
    Case(
        "ctc_blank_last",
        ARRAYS | {"labels": LABELS - 1},
        lambda logits, labels, frames, counts: losses.ctc(
            logits, labels, logit_lengths=frames, label_lengths=counts, blank=3, reduction="none"
        ),
        lambda torch, **arrays: ctc(torch, **arrays, blank=3),
    ),
    Case(
        "ctc_without_alignment",  # PyTorch's gradient is that of ours only where infinite losses are left out
        {"logits": (4, 2, 4), "labels": LABELS, "frames": np.array([2, 2, 2, 2]), "counts": np.array([2, 2, 3, 1])},
        lambda logits, labels, frames, counts: losses.ctc(
            logits, labels, logit_lengths=frames, label_lengths=counts, where=np.array([False, True, False, True]), reduction="none"
        ),
        lambda torch, **arrays: ctc(torch, **arrays, zero_infinity=True),
    ),
)
