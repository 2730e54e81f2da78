"""Rows of the losses of real values and of negative log-likelihoods."""

import functools

import numpy as np
from scipy import special, stats

from jdl import losses
from loss_rows._row import Row, integers, normal, uniform

LEVELS = np.array([0.1, 0.5, 0.9])
FAR = np.array([1e4, -1e4, 0.0]), np.zeros(3)
WIDE = np.array([1e4, -1e4, 0.0, 3.0] * 3)
NARROW = np.array([0.0] * 4 + [1e-20] * 4 + [1e4] * 4)
AMOUNTS = np.array([0.0, 1.0, 1e4])


def several(*draws):
    """Draws a tuple."""
    return lambda rng, samples: tuple(draw(rng, samples) for draw in draws)


def shapes_differ(loss, count):
    """Wrong arguments of a loss of several outputs, and what it says."""
    given = tuple(np.ones(3) for _ in range(count))
    return (
        ((given, np.ones((3, 1))), f"{loss.__name__}: shapes differ: .* targets is float32"),
        ((given[0], np.ones(3)), f"{loss.__name__}: takes a tuple"),
        ((given[:-1], np.ones(3)), f"{loss.__name__}: takes a tuple"),
        (((*given[:-1], np.ones(3, int)), np.ones(3)), f"{loss.__name__}: .* must be a floating-point array"),
    )


def negative(predictions):
    """Targets below 0, and what is said of them."""
    return ((predictions, np.array([0.0, -1.0])), r"targets must be at least 0, found -1.0 at index \[1\]")


def row(loss, predictions, targets, reference, name=None, wrong=(), **named):
    """A row of a loss of one output, with the checks that all of these have."""
    wrong = (((np.zeros((4, 1)), np.zeros(4)), "shapes differ"), ((np.zeros(2, int), np.zeros(2)), "floating-point"), *wrong)
    return Row(name or loss.__name__, loss, predictions, targets, reference, wrong=wrong, **named)


def cosine(predictions, targets):
    lengths = np.linalg.norm(predictions, axis=1) * np.linalg.norm(targets, axis=1)
    return 1 - np.einsum("nci,nci->ni", predictions, targets) / lengths


def mixture(predictions, targets):
    logits, means, log_scales = predictions
    density = stats.norm.pdf(targets[:, None], means, np.exp(log_scales)).prod(-1)
    return -np.log((special.softmax(logits, -1) * density).sum(-1))


def tweedie(mean, y, p=1.3):
    return 2 * (y ** (2 - p) / ((1 - p) * (2 - p)) - y * mean ** (1 - p) / (1 - p) + mean ** (2 - p) / (2 - p))


def ensemble_crps(predictions, targets):
    pairs = np.abs(predictions[..., None] - predictions[..., None, :]).sum((-1, -2))
    return np.abs(predictions - targets[..., None]).mean(-1) - pairs / (2 * 5 * 4)


def gaussian_crps(z):
    return z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / np.sqrt(np.pi)


def negative_binomial(predictions, targets):
    mean, dispersion = predictions
    return -stats.nbinom.logpmf(targets, 1 / dispersion, 1 / (1 + dispersion * mean))


POSITIVE = uniform(2, low=0.3, high=3.0)
MIXTURE = np.array([[1e4, -1e4, 0.0]]), np.full((1, 3, 2), 1e4), np.array([[[-1e4] * 2, [1e4] * 2, [0.0] * 2]])
TIES = np.array([[2.0, 2.0, 2.0], [1e4, -1e4, 0.0]]), np.array([2.0, 0.0])

ROWS = (
    row(losses.mean_absolute_error, normal(3), normal(3), lambda p, t: np.abs(p - t), extremes=(FAR,)),
    row(
        losses.mean_squared_log_error,
        POSITIVE,
        POSITIVE,
        lambda p, t: np.log((1 + p) / (1 + t)) ** 2,
        extremes=((FAR[0], AMOUNTS), (np.full(3, -1.0), AMOUNTS)),
        wrong=(negative(np.ones(2)),),
    ),
    row(
        losses.mean_absolute_percentage_error,
        normal(2),
        lambda rng, samples: rng.choice([-1, 1], (samples, 2)) * rng.uniform(0.5, 2.0, (samples, 2)),
        lambda p, t: np.abs(1 - p / t),
        extremes=(FAR,),
    ),
    row(
        functools.partial(losses.huber, delta=0.7),
        normal(3),
        normal(3),
        lambda p, t: special.huber(0.7, p - t),
        name="huber",
        extremes=(FAR,),
    ),
    row(losses.log_cosh, normal(3), normal(3), lambda p, t: np.log(np.cosh(p - t)), extremes=(FAR,)),
    Row(
        "quantile",
        functools.partial(losses.quantile, level=LEVELS),
        normal(2, 3),
        normal(2),
        lambda p, t: np.where(t[..., None] > p, LEVELS * (t[..., None] - p), (1 - LEVELS) * (p - t[..., None])),
        extremes=((np.stack([FAR[0]] * 3, -1), FAR[1]),),
        wrong=(((np.zeros((4, 3)), np.zeros((4, 3))), r"quantile: predictions must be of shape \[4, 3, 3\]"),),
    ),
    Row(
        "expectile",
        functools.partial(losses.expectile, level=0.3),
        normal(3),
        normal(3),
        lambda p, t: np.abs(0.3 - (t < p)) * (t - p) ** 2,
        extremes=(FAR,),
        wrong=(((np.zeros((4, 1)), np.zeros(4)), r"expectile: predictions must be of shape \[4\]"),),
    ),
    row(
        functools.partial(losses.cosine_distance, axis=1),
        normal(4, 2),
        normal(4, 2),
        cosine,
        name="cosine_distance",
        extremes=((np.zeros((2, 3)), np.ones((2, 3))), (np.full((1, 2), 1e4), np.zeros((1, 2)))),
    ),
    Row(
        "gaussian_nll",
        losses.gaussian_nll,
        several(normal(2), POSITIVE),
        normal(2),
        lambda p, t: -stats.norm.logpdf(t, p[0], np.sqrt(p[1])),
        extremes=(((WIDE, NARROW), np.zeros(12)), ((WIDE, -NARROW), np.zeros(12))),
        wrong=shapes_differ(losses.gaussian_nll, 2),
    ),
    Row(
        "beta_nll",
        functools.partial(losses.beta_nll, beta=0.7),
        several(normal(2), POSITIVE),
        normal(2),
        lambda p, t: -stats.norm.logpdf(t, p[0], np.sqrt(p[1])) * p[1] ** 0.7,
        wrong=shapes_differ(losses.beta_nll, 2),
        smooth=False,  # its gradient is not that of its value
    ),
    Row(
        "laplace_nll",
        losses.laplace_nll,
        several(normal(2), POSITIVE),
        normal(2),
        lambda p, t: -stats.laplace.logpdf(t, *p),
        extremes=(((WIDE, NARROW), np.zeros(12)), ((WIDE, -NARROW), np.zeros(12))),
        wrong=shapes_differ(losses.laplace_nll, 2),
    ),
    Row(
        "student_t_nll",
        losses.student_t_nll,
        several(uniform(2, low=0.5, high=60.0), normal(2), POSITIVE),
        normal(2),
        lambda p, t: -stats.t.logpdf(t, *p),
        extremes=(((np.roll(NARROW, 1), WIDE, NARROW), np.zeros(12)), ((np.roll(-NARROW, 2), WIDE, NARROW), np.zeros(12))),
        wrong=shapes_differ(losses.student_t_nll, 3),
    ),
    Row(
        "mixture_density_nll",
        losses.mixture_density_nll,
        several(normal(3), normal(3, 2), normal(3, 2, scale=0.5)),
        normal(2),
        mixture,
        extremes=((MIXTURE, np.zeros((1, 2))),),
        wrong=(
            ((MIXTURE, np.zeros((1, 3))), r"targets \(..., features\), got \(.*\) and float32\[1, 3\]"),
            (((MIXTURE[0][:, :2], *MIXTURE[1:]), np.zeros((1, 2))), r"takes logits \(..., components"),
            (((np.zeros(()), np.zeros(2), np.zeros(2)), np.zeros(2)), r"takes logits \(..., components"),
            ((MIXTURE[0], np.zeros((4, 2))), r"takes a tuple \(logits, means, log_scales\)"),
        ),
    ),
    row(
        losses.poisson_nll,
        normal(2),
        integers(6, 2),
        lambda p, t: -stats.poisson.logpmf(t, np.exp(p)),
        extremes=((FAR[0], AMOUNTS), (-FAR[0], AMOUNTS)),
        wrong=(negative(np.zeros(2)),),
    ),
    row(
        losses.poisson_nll_from_rates,
        POSITIVE,
        integers(6, 2),
        lambda p, t: -stats.poisson.logpmf(t, p),
        extremes=((np.zeros(3), AMOUNTS), (FAR[0], AMOUNTS)),
        wrong=(negative(np.zeros(2)),),
    ),
    Row(
        "negative_binomial_nll",
        losses.negative_binomial_nll,
        several(POSITIVE, uniform(2, low=0.01, high=1.0)),
        integers(6, 2),
        negative_binomial,
        extremes=(((NARROW, np.roll(NARROW, 1)), WIDE**2), ((-NARROW, -np.roll(NARROW, 2)), WIDE**2)),
        wrong=(*shapes_differ(losses.negative_binomial_nll, 2), negative((np.ones(2), np.ones(2)))),
    ),
    Row(
        "gamma_nll",
        losses.gamma_nll,
        several(POSITIVE, POSITIVE),
        POSITIVE,
        lambda p, t: -stats.gamma.logpdf(t, p[0], scale=1 / p[1]),
        extremes=(((NARROW, np.roll(NARROW, 1)), WIDE**2), ((-NARROW, -np.roll(NARROW, 2)), WIDE**2)),
        wrong=(*shapes_differ(losses.gamma_nll, 2), negative((np.ones(2), np.ones(2)))),
    ),
    row(
        functools.partial(losses.tweedie_deviance, power=1.3),
        POSITIVE,
        lambda rng, samples: rng.uniform(0.3, 3.0, (samples, 2)) * rng.integers(2, size=(samples, 2)),
        tweedie,
        name="tweedie_deviance",
        extremes=((np.zeros(3), AMOUNTS), (FAR[0], AMOUNTS)),
        wrong=(negative(np.ones(2)),),
    ),
    Row(
        "gaussian_crps",
        losses.gaussian_crps,
        several(normal(2), POSITIVE),
        normal(2),
        lambda p, t: gaussian_crps((t - p[0]) / p[1]) * p[1],
        extremes=(((WIDE, NARROW), np.zeros(12)), ((WIDE, -NARROW), np.zeros(12))),
        wrong=shapes_differ(losses.gaussian_crps, 2),
    ),
    Row(
        "ensemble_crps",
        losses.ensemble_crps,
        normal(2, 5),
        normal(2),
        ensemble_crps,
        extremes=(TIES,),
        wrong=(((np.zeros((4, 3)), np.zeros((4, 3))), r"ensemble_crps: takes predictions \(..., members\)"),),
    ),
)
