"""Losses of real values and what PyTorch calls them."""

import numpy as np

from jdl import losses
from parity._case import Case

PAIR = {"predictions": (4, 5), "targets": (4, 5)}
COUNTS = np.arange(12).reshape(3, 4) % 5
RATES = {"rates": np.linspace(0.5, 4.0, 12).reshape(3, 4), "counts": COUNTS}
GAUSSIAN = {"mean": (3, 4), "variance": np.linspace(0.3, 3.0, 12).reshape(3, 4), "targets": (3, 4)}


def poisson(torch, x, counts, log):
    """PyTorch leaves out the constant, or approximates it."""
    values = torch.nn.functional.poisson_nll_loss(x, counts, log_input=log, full=False, eps=0, reduction="none")
    return values + torch.lgamma(counts.double() + 1)


CASES = (
    Case(
        "mean_absolute_error",
        PAIR,
        lambda predictions, targets: losses.mean_absolute_error(predictions, targets, reduction="none"),
        lambda torch, predictions, targets: torch.nn.functional.l1_loss(predictions, targets, reduction="none"),
    ),
    Case(
        "mean_squared_error",
        PAIR,
        losses.mean_squared_error,
        lambda torch, predictions, targets: torch.nn.functional.mse_loss(predictions, targets),
    ),
    Case(
        "huber",
        PAIR,
        lambda predictions, targets: losses.huber(predictions, targets, delta=0.7, reduction="none"),
        lambda torch, predictions, targets: torch.nn.functional.huber_loss(predictions, targets, reduction="none", delta=0.7),
    ),
    Case(
        "smooth_l1",
        PAIR,
        lambda predictions, targets: losses.huber(predictions, targets, delta=0.7) / 0.7,
        lambda torch, predictions, targets: torch.nn.functional.smooth_l1_loss(predictions, targets, beta=0.7),
    ),
    Case(
        "huber_at_its_joints",
        {"predictions": np.array([-1.0, 0.0, 1.0]), "targets": np.zeros(3)},
        lambda predictions, targets: losses.huber(predictions, targets, reduction="none"),
        lambda torch, predictions, targets: torch.nn.functional.huber_loss(predictions, targets, reduction="none"),
    ),
    Case(
        "cosine_distance",
        PAIR,
        lambda predictions, targets: losses.cosine_distance(predictions, targets, axis=0, reduction="none"),
        lambda torch, predictions, targets: 1 - torch.nn.functional.cosine_similarity(predictions, targets, dim=0),
    ),
    Case(
        "poisson_nll",
        {"log_rates": (3, 4), "counts": COUNTS},
        lambda log_rates, counts: losses.poisson_nll(log_rates, counts, reduction="none"),
        lambda torch, log_rates, counts: poisson(torch, log_rates, counts, log=True),
    ),
    Case(
        "poisson_nll_from_rates",
        RATES,
        lambda rates, counts: losses.poisson_nll_from_rates(rates, counts, reduction="none"),
        lambda torch, rates, counts: poisson(torch, rates, counts, log=False),
    ),
    Case(
        "gaussian_nll",
        GAUSSIAN,
        lambda mean, variance, targets: losses.gaussian_nll((mean, variance), targets, reduction="none"),
        lambda torch, mean, variance, targets: torch.nn.functional.gaussian_nll_loss(
            mean, targets, variance, full=True, reduction="none"
        ),
    ),
    Case(
        "gaussian_nll_of_small_variance",
        {"mean": (4,), "variance": np.array([0.0, 0.01, 0.1, 1.0]), "targets": (4,)},
        lambda mean, variance, targets: losses.gaussian_nll((mean, variance), targets, epsilon=0.125, reduction="none"),
        lambda torch, mean, variance, targets: torch.nn.functional.gaussian_nll_loss(
            mean, targets, variance, full=True, eps=0.125, reduction="none"
        ),
    ),
)
