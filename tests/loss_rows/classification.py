"""Rows of the losses of classes and of the divergences between distributions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy import special

from jdl import losses
from loss_rows._row import Draw, Row, distribution, integers, normal, uniform

HUGE = np.array([[1e4, -1e4, 0.0]] * 3)
LARGE = HUGE, np.arange(3)
SIGNS = np.array([1e4, -1e4, 1e4, -1e4, 0.0]), np.array([0.0, 0.0, 1.0, 1.0, 0.5])
SIDES = SIGNS[0], np.array([0, 0, 1, 1, 1])
CERTAIN = np.eye(3)
SURE = jax.nn.log_softmax(HUGE), CERTAIN
TIED = jnp.log(np.full((1, 4), 0.25)), np.full((1, 4), 0.25)
CLASS_WEIGHTS = np.array([0.5, 2.0, 1.25, 3.0])
OUT_OF_RANGE = (np.zeros((2, 3)), np.array([0, 3])), r"0\.\.2, found 3 at index \[1\]"
NOT_INTEGERS = (np.zeros((2, 3)), np.zeros((2, 3))), r"labels must be integers of shape \[2\]"
DIFFERENT = (np.zeros((2, 3)), np.zeros((2, 4))), "shapes differ"


def log_distribution(*shape: int) -> Draw:
    """Draws logarithms of probabilities that sum to 1 along the last axis."""
    return lambda rng, samples: special.log_softmax(rng.normal(size=(samples, *shape)), -1)


def signs(rng: np.random.Generator, samples: int) -> np.ndarray:
    return rng.choice([-1, 1], size=samples)


def of_label(values, labels):
    return np.array([value[label] for value, label in zip(values, labels)])


def shares_of(labels, classes):
    return labels if labels.ndim == 2 else np.eye(classes)[labels]


def focal(logits, labels, gamma, alpha):
    p = of_label(special.softmax(logits, -1), labels)
    return -alpha[labels] * (1 - p) ** gamma * np.log(p)


def binary_focal(logits, labels, gamma, alpha):
    p = special.expit(logits) * labels + special.expit(-logits) * (1 - labels)
    entropy = -labels * special.log_expit(logits) - (1 - labels) * special.log_expit(-logits)
    return (alpha * labels + (1 - alpha) * (1 - labels)) * (1 - p) ** gamma * entropy


def poly(logits, labels, epsilon):
    p, t = special.softmax(logits, -1), shares_of(labels, logits.shape[-1])
    return (t * (epsilon * (1 - p) - np.log(p))).sum(-1)


def generalized(logits, labels, q):
    return (shares_of(labels, logits.shape[-1]) * (1 - special.softmax(logits, -1) ** q) / q).sum(-1)


def symmetric(logits, labels, alpha, beta, log_zero):
    p = special.softmax(logits, -1)
    log_labels = np.where(np.eye(logits.shape[-1])[labels] == 1, 0, log_zero)
    return -alpha * np.log(of_label(p, labels)) - beta * (p * log_labels).sum(-1)


def crammer_singer(scores, labels, margin):
    return np.array([max(0.0, margin + np.delete(s, label).max() - s[label]) for s, label in zip(scores, labels)])


def multi_margin(scores, labels, margin, p):
    terms = [np.maximum(0, margin + np.delete(s, label) - s[label]) ** p for s, label in zip(scores, labels)]
    return np.array([term.sum() for term in terms]) / scores.shape[-1]


def capsule_margin(lengths, labels):
    there = np.eye(lengths.shape[-1])[labels] if labels.ndim < lengths.ndim else labels
    terms = there * np.maximum(0, 0.9 - lengths) ** 2 + 0.5 * (1 - there) * np.maximum(0, lengths - 0.1) ** 2
    return terms.sum(-1)


def projected(z):
    """On the probabilities, as the best of all supports that are the largest entries."""
    ordered = np.sort(z)[::-1]
    tops = [np.maximum(z - (ordered[:k].sum() - 1) / k, 0) for k in range(1, len(z) + 1)]
    return min((p for p in tops if abs(p.sum() - 1) < 1e-9), key=lambda p: ((p - z) ** 2).sum())


def sparsemax(logits, labels):
    """Half the squared distance to the labels, less that to the projection."""
    t = shares_of(labels, logits.shape[-1])
    p = np.array([projected(z) for z in logits])
    return (((logits - t) ** 2).sum(-1) - ((logits - p) ** 2).sum(-1)) / 2


def kl(log_q, p):
    return special.rel_entr(p, np.exp(log_q)).sum(-1)


def renyi(log_q, p, alpha):
    return np.log((p**alpha * np.exp(log_q) ** (1 - alpha)).sum(-1) / p.sum(-1)) / (alpha - 1)


def jensen_shannon(log_q, p):
    m = (np.exp(log_q) + p) / 2
    return (special.rel_entr(p, m) + special.rel_entr(np.exp(log_q), m)).sum(-1) / 2


def gaussian_kl(predictions, targets):
    (m, a), (n, b) = predictions, targets
    return (np.log(np.exp(b / 2) / np.exp(a / 2)) + (np.exp(a) + (m - n) ** 2) / (2 * np.exp(b)) - 0.5).sum(-1)


def gaussian(features: int):
    """Draws a mean and a log-variance."""
    return lambda rng, samples: (rng.normal(size=(samples, features)), rng.normal(size=(samples, features)))


def distillation(logits, teacher, temperature):
    return temperature**2 * special.rel_entr(*(special.softmax(z / temperature, -1) for z in (teacher, logits))).sum(-1)


ROWS = (
    Row(
        "cross_entropy_ignore_index",
        functools.partial(losses.cross_entropy, ignore_index=-100),
        normal(4),
        integers(4),
        lambda logits, labels: -of_label(special.log_softmax(logits, -1), labels),
        extremes=((HUGE, np.array([0, -100, 2])),),
        wrong=(OUT_OF_RANGE, ((np.zeros((2, 3)), np.zeros((2, 3))), "ignore_index is for labels that are integers")),
    ),
    Row(
        "binary_cross_entropy_positive_weight",
        functools.partial(losses.binary_cross_entropy, positive_weight=np.array([0.5, 3.0, 1.0])),
        normal(3),
        uniform(3),
        lambda z, t: -np.array([0.5, 3.0, 1.0]) * t * special.log_expit(z) - (1 - t) * special.log_expit(-z),
        extremes=((HUGE, CERTAIN),),
        wrong=(((np.zeros((2, 4)), np.zeros((2, 4))), r"positive_weight must be a number or of shape \[4\], got float64\[3\]"),),
    ),
    Row(
        "negative_log_likelihood",
        losses.negative_log_likelihood,
        log_distribution(4),
        integers(4),
        lambda log_p, labels: -of_label(log_p, labels),
        extremes=((SURE[0], np.arange(3)),),
        wrong=(OUT_OF_RANGE, NOT_INTEGERS),
    ),
    Row(
        "cross_entropy_from_probabilities",
        losses.cross_entropy_from_probabilities,
        distribution(4),
        integers(4),
        lambda p, labels: -np.log(of_label(p, labels)),
        extremes=((CERTAIN, np.array([0, 0, 0])),),
        wrong=(OUT_OF_RANGE, DIFFERENT),
    ),
    Row(
        "binary_cross_entropy_from_probabilities",
        losses.binary_cross_entropy_from_probabilities,
        uniform(3, low=0.1, high=0.9),
        uniform(3),
        lambda p, t: -t * np.log(p) - (1 - t) * np.log(1 - p),
        extremes=((np.array([0.0, 1.0, 0.0, 1.0]), np.array([0, 0, 1, 1])),),
        wrong=(DIFFERENT, ((np.full(2, 0.5), np.array([0, 2])), r"labels must lie in \[0, 1\], found 2")),
    ),
    Row(
        "focal",
        functools.partial(losses.focal, gamma=0.5, alpha=CLASS_WEIGHTS),
        normal(4),
        integers(4),
        functools.partial(focal, gamma=0.5, alpha=CLASS_WEIGHTS),
        extremes=((jnp.pad(HUGE, ((0, 0), (0, 1))), np.arange(3)),),
        wrong=(
            ((np.zeros((2, 4)), np.array([0, 4])), r"0\.\.3, found 4"),
            ((np.zeros((2, 4)), np.zeros((2, 4))), r"labels must be integers of shape \[2\], got"),
            ((np.zeros((2, 3)), np.array([0, 1])), r"alpha must be a number or of shape \[3\]"),
        ),
    ),
    Row(
        "binary_focal",
        functools.partial(losses.binary_focal, gamma=0.5, alpha=0.25),
        normal(3),
        uniform(3),
        functools.partial(binary_focal, gamma=0.5, alpha=0.25),
        extremes=(SIGNS,),
        wrong=(DIFFERENT, ((np.zeros(2), np.array([0.0, 2.0])), r"labels must lie in \[0, 1\]")),
    ),
    Row(
        "poly",
        functools.partial(losses.poly, epsilon=1.5),
        normal(4),
        integers(4),
        functools.partial(poly, epsilon=1.5),
        extremes=(LARGE,),
        wrong=(OUT_OF_RANGE, DIFFERENT),
    ),
    Row("poly_soft", losses.poly, normal(4), distribution(4), functools.partial(poly, epsilon=2.0), extremes=((HUGE, CERTAIN),)),
    Row(
        "generalized_cross_entropy",
        losses.generalized_cross_entropy,
        normal(4),
        integers(4),
        functools.partial(generalized, q=0.7),
        extremes=(LARGE,),
        wrong=(OUT_OF_RANGE, DIFFERENT),
    ),
    Row(
        "symmetric_cross_entropy",
        functools.partial(losses.symmetric_cross_entropy, alpha=0.5, beta=0.75, log_zero=-3.0),
        normal(4),
        integers(4),
        functools.partial(symmetric, alpha=0.5, beta=0.75, log_zero=-3.0),
        extremes=(LARGE,),
        wrong=(OUT_OF_RANGE, NOT_INTEGERS),
    ),
    Row(
        "hinge",
        losses.hinge,
        normal(scale=3.0),
        signs,
        lambda s, y: np.maximum(0, 1 - s * y),
        extremes=(SIDES,),
        wrong=(DIFFERENT, ((np.zeros(2), np.array([1, 2])), r"labels must be 1, and 0 or -1, found 2 at index \[1\]")),
    ),
    Row(
        "squared_hinge",
        losses.squared_hinge,
        normal(scale=3.0),
        integers(2),
        lambda s, y: np.maximum(0, 1 - s * (2 * y - 1)) ** 2,
        extremes=(SIDES,),
        wrong=(DIFFERENT,),
    ),
    Row(
        "perceptron",
        losses.perceptron,
        normal(scale=3.0),
        lambda rng, samples: rng.random(samples) < 0.5,
        lambda s, y: np.maximum(0, np.where(y, -s, s)),
        extremes=(SIDES,),
        wrong=(DIFFERENT,),
    ),
    Row(
        "multiclass_hinge",
        functools.partial(losses.multiclass_hinge, margin=0.5),
        normal(4),
        integers(4),
        functools.partial(crammer_singer, margin=0.5),
        extremes=(LARGE, (np.zeros((3, 3)), np.arange(3))),
        wrong=(OUT_OF_RANGE, NOT_INTEGERS),
    ),
    Row(
        "multi_margin",
        functools.partial(losses.multi_margin, margin=0.5, p=2),
        normal(4),
        integers(4),
        functools.partial(multi_margin, margin=0.5, p=2),
        extremes=(LARGE, (np.zeros((3, 3)), np.arange(3))),
        wrong=(OUT_OF_RANGE, NOT_INTEGERS),
    ),
    Row(
        "capsule_margin",
        losses.capsule_margin,
        normal(4),
        integers(4),
        capsule_margin,
        extremes=(LARGE,),
        wrong=(OUT_OF_RANGE, ((np.zeros((2, 3)), np.zeros(2)), r"labels must be integers of shape \[2\] or probabilities")),
    ),
    Row(
        "sparsemax",
        losses.sparsemax,
        normal(4),
        integers(4),
        sparsemax,
        extremes=(LARGE, (np.zeros((3, 3)), np.arange(3))),
        wrong=(OUT_OF_RANGE, DIFFERENT),
    ),
    Row(
        "z_loss",
        lambda logits, targets, **named: losses.z_loss(logits, **named),
        normal(4),
        normal(),
        lambda logits, targets: special.logsumexp(logits, -1) ** 2,
        extremes=((HUGE, np.zeros(3)),),
    ),
    Row(
        "distillation",
        functools.partial(losses.distillation, temperature=3.0),
        normal(4),
        normal(4),
        functools.partial(distillation, temperature=3.0),
        extremes=((HUGE, HUGE[:, ::-1]), (HUGE, HUGE)),
        wrong=(DIFFERENT,),
    ),
    Row("kl_divergence", losses.kl_divergence, log_distribution(4), distribution(4), kl, extremes=(SURE, TIED), wrong=(DIFFERENT,)),
    Row(
        "kl_divergence_with_log_targets",
        losses.kl_divergence_with_log_targets,
        log_distribution(4),
        log_distribution(4),
        lambda log_q, log_p: kl(log_q, np.exp(log_p)),
        extremes=((SURE[0], SURE[0][:, ::-1]), (SURE[0], jnp.log(CERTAIN))),
        wrong=(DIFFERENT,),
    ),
    Row(
        "kl_divergence_from_logits",
        losses.kl_divergence_from_logits,
        normal(4),
        distribution(4),
        lambda logits, p: kl(special.log_softmax(logits, -1), p),
        extremes=((HUGE, CERTAIN),),
        wrong=(DIFFERENT,),
    ),
    Row(
        "generalized_kl_divergence",
        losses.generalized_kl_divergence,
        normal(4),
        uniform(4, high=3.0),
        lambda log_q, p: special.kl_div(p, np.exp(log_q)).sum(-1),
        extremes=(SURE, (np.full((2, 3), -1e4), np.zeros((2, 3)))),
        wrong=(DIFFERENT,),
    ),
    Row(
        "reverse_kl",
        losses.reverse_kl,
        log_distribution(4),
        lambda rng, samples: special.softmax(rng.normal(size=(samples, 4)), -1),
        lambda log_q, p: special.rel_entr(np.exp(log_q), p).sum(-1),
        extremes=(SURE, (jnp.log(CERTAIN), 1 - CERTAIN)),
        wrong=(DIFFERENT,),
    ),
    Row(
        "jensen_shannon",
        losses.jensen_shannon,
        log_distribution(4),
        distribution(4),
        jensen_shannon,
        extremes=(SURE, TIED, (jnp.log(CERTAIN), CERTAIN[::-1])),
        wrong=(DIFFERENT,),
    ),
    Row(
        "renyi_half",
        functools.partial(losses.renyi, alpha=0.5),
        log_distribution(4),
        distribution(4),
        functools.partial(renyi, alpha=0.5),
        extremes=(SURE, TIED),
        wrong=(DIFFERENT,),
    ),
    Row(
        "renyi_three",
        functools.partial(losses.renyi, alpha=3.0),
        log_distribution(4),
        distribution(4),
        functools.partial(renyi, alpha=3.0),
        extremes=(SURE, TIED),
    ),
    Row(
        "hellinger",
        losses.hellinger,
        log_distribution(4),
        distribution(4),
        lambda log_q, p: np.linalg.norm(np.sqrt(p) - np.sqrt(np.exp(log_q)), axis=-1) / np.sqrt(2),
        extremes=(SURE, TIED, (jnp.log(CERTAIN), CERTAIN), (jnp.log(CERTAIN), CERTAIN[::-1])),
        wrong=(DIFFERENT,),
    ),
    Row(
        "total_variation_distance",
        losses.total_variation_distance,
        log_distribution(4),
        distribution(4),
        lambda log_q, p: np.maximum(p - np.exp(log_q), 0).sum(-1) / 2 + np.maximum(np.exp(log_q) - p, 0).sum(-1) / 2,
        extremes=(SURE, TIED),
        wrong=(DIFFERENT,),
    ),
    Row(
        "gaussian_kl",
        losses.gaussian_kl,
        gaussian(3),
        gaussian(3),
        gaussian_kl,
        extremes=(((np.full((2, 3), 1e4), np.full((2, 3), -1e4)), (np.zeros((2, 3)), np.zeros((2, 3)))),),
        wrong=((((np.zeros((2, 3)), np.zeros(3)), (np.zeros((2, 3)), np.zeros((2, 3)))), r"log_variance is float32\[3\]"),),
    ),
)
