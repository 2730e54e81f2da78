"""Rows of losses of embeddings, of classes by angle, and of generative models."""

import functools

import jax.numpy as jnp
import numpy as np
from scipy import special

from jdl import losses
from loss_rows._row import Draw, Row, integers, normal, uniform

FEATURES = 5
VECTORS = normal(FEATURES)
ZEROS, LONG = np.zeros((3, FEATURES)), 1e4 * np.ones((3, FEATURES))
VIEWS = ((ZEROS, ZEROS), (LONG, LONG), (ZEROS, LONG), (LONG, -LONG))
PAIRS = tuple((pair, np.array([1, -1, -1])) for pair in VIEWS)
QUEUE = np.random.default_rng(0).normal(size=(4, FEATURES)).astype("float32")
FLAT = (((np.zeros(4), np.zeros(4)), r"must be \(batch, features\)"), ((np.zeros((4, 2)), np.zeros((4, 3))), "shapes differ"))
INTEGERS = (np.zeros((2, 3), int), np.zeros((2, 3), int)), "must be a floating-point array"


def both(draw: Draw) -> Draw:
    return lambda rng, samples: (draw(rng, samples), draw(rng, samples))


def signs(*shape: int) -> Draw:
    return lambda rng, samples: rng.choice([-1, 1], size=(samples, *shape))


def nothing(rng, samples):
    """Targets of losses that have none."""
    return np.zeros(samples, int)


def without_targets(loss):
    """A loss of several arrays as one of predictions, a tuple of them, and targets that nobody looks at."""
    return lambda predictions, targets, **named: loss(*predictions, **named)


def unit(x):
    return x / np.sqrt((x**2).sum(-1, keepdims=True))


def length(x):
    return np.sqrt((x**2).sum(-1))


def positive(x):
    return np.maximum(x, 0)


def triplet(embeddings, targets):
    a, p, n = embeddings
    return positive(length(a - p) - length(a - n) + 1)


def contrastive(embeddings, same, margin=1.0):
    apart = length(embeddings[0] - embeddings[1])
    return same * apart**2 / 2 + (1 - same) * positive(margin - apart) ** 2 / 2


def cosine_embedding(embeddings, targets, margin=0.0):
    cosine = (unit(embeddings[0]) * unit(embeddings[1])).sum(-1)
    return np.where(targets == 1, 1 - cosine, positive(cosine - margin))


def multi_label_margin(logits, labels):
    values = []
    for x, y in zip(logits, labels):
        pairs = [(j, k) for j in range(len(x)) for k in range(len(x)) if y[j] and not y[k]]
        values.append(sum(max(0.0, 1 - (x[j] - x[k])) for j, k in pairs) / len(x))
    return np.array(values)


def surprise(similar, itself, others):
    """Minus the log of the share of one entry among it and others."""
    return -similar[itself] + np.log(sum(np.exp(similar[k]) for k in {itself, *others}))


def nt_xent(first, second, temperature):
    both, n = unit(np.concatenate([first, second])), len(first)
    similar = both @ both.T / temperature
    each = [surprise(similar[i], (i + n) % (2 * n), [k for k in range(2 * n) if k != i]) for i in range(2 * n)]
    return (np.array(each[:n]) + np.array(each[n:])) / 2


def info_nce(queries, keys, temperature):
    similar = unit(queries) @ unit(keys).T / temperature
    return np.array([surprise(row, i, range(len(row))) for i, row in enumerate(similar)])


def info_nce_queue(queries, keys, temperature):
    own = (unit(queries) * unit(keys)).sum(-1, keepdims=True)
    similar = np.concatenate([own, unit(queries) @ unit(QUEUE.astype("float64")).T], 1) / temperature
    return np.array([surprise(row, 0, range(len(row))) for row in similar])


def clip(images, texts, scale):
    return (info_nce(images, texts, 1 / scale) + info_nce(texts, images, 1 / scale)) / 2


def siglip(images, texts, scale, bias):
    similar = scale * unit(images) @ unit(texts).T + bias
    return -special.log_expit(np.where(np.eye(len(similar)), similar, -similar)).sum(1)


def sup_con(embeddings, labels, temperature):
    similar, n = unit(embeddings) @ unit(embeddings).T / temperature, len(labels)
    values = []
    for i in range(n):
        others = [k for k in range(n) if k != i]
        each = [surprise(similar[i], k, others) for k in others if labels[k] == labels[i]]
        values.append(np.mean(each) if each else 0.0)
    return np.array(values)


def by_angle(cosines, labels, scale, lower):
    right = np.eye(cosines.shape[-1])[labels].astype(bool)
    return -special.log_softmax(scale * np.where(right, lower(cosines), cosines), -1)[right]


def arc_face(cosines, labels, margin, scale):
    beyond = np.arccos(cosines) + margin > np.pi
    lower = lambda x: np.where(beyond, x - margin * np.sin(margin), np.cos(np.arccos(x) + margin))
    return by_angle(cosines, labels, scale, lower)


def circle(cosines, labels, margin, scale):
    values = []
    for s, label in zip(cosines, labels):
        p, n = s[label], np.delete(s, label)
        n = np.exp(scale * positive(n + margin) * (n - margin)).sum()
        values.append(np.log1p(n * np.exp(-scale * positive(1 + margin - p) * (p - (1 - margin)))))
    return np.array(values)


def negative_elbo(predictions, targets, beta, free_bits):
    cost, mean, log_variance = predictions
    divergence = (np.exp(log_variance) + mean**2 - 1 - log_variance) / 2
    return cost + beta * np.maximum(divergence, free_bits).sum(-1)


def elbo(predictions, targets, **named):
    return losses.negative_elbo(predictions[0], predictions[1:], **named)


def critic(x):
    return jnp.sin(x).sum(-1) + jnp.square(x).sum(-1)


SCORES = ((np.array([1e4, -1e4, 0.0]), np.array([-1e4, 1e4, 0.0])), np.zeros(3, int))
AT_THE_ENDS = tuple((np.array([[c, -c, 0.0], [c, c, -1.0]]), np.array([0, 1])) for c in (1.0, -1.0))
BY_ANGLE_WRONG = (
    ((2 * np.ones((1, 2)), np.array([0])), r"cosines must lie in \[-1, 1\], found 2.0"),
    ((np.ones((1, 2)), np.array([2])), "found 2 at"),
    ((np.ones((2, 2)), np.array([1])), r"labels must have shape \[2\]"),
    ((np.ones((1, 2)), np.array([1.0])), "labels must be integers"),
)
COSINES = uniform(4, low=-0.95, high=0.95)


def discriminator(name, real, fake):
    """A row of a discriminator's loss, with the loss of each kind of sample."""
    name = f"{name}_discriminator"
    wrong = (((np.zeros(2), np.zeros(3)), 0), f"{name}: shapes differ")
    reference = lambda scores, targets: real(scores[0]) + fake(scores[1])
    loss = without_targets(getattr(losses, name))
    return Row(name, loss, both(normal(2)), nothing, reference, extremes=(SCORES,), wrong=(wrong,))


def generator(name, fake):
    name, extremes = f"{name}_generator", ((SCORES[0][:1], SCORES[1]),)
    draw = lambda rng, samples: (rng.normal(size=(samples, 2)),)
    return Row(name, without_targets(getattr(losses, name)), draw, nothing, lambda scores, targets: fake(scores[0]), extremes)


ROWS = (
    Row(
        "triplet",
        without_targets(losses.triplet),
        lambda rng, samples: tuple(VECTORS(rng, samples) for _ in range(3)),
        nothing,
        triplet,
        extremes=tuple(((*pair, pair[0]), np.zeros(3)) for pair in VIEWS),
        wrong=(
            (((np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((1, 3))), 0), "triplet: shapes differ: anchors is"),
            (((np.zeros(()), np.zeros(()), np.zeros(())), 0), r"anchors must be \(\.\.\., features\)"),
        ),
    ),
    Row(
        "contrastive",
        functools.partial(losses.contrastive, margin=3.0),
        both(VECTORS),
        integers(2),
        functools.partial(contrastive, margin=3.0),
        extremes=tuple((pair, np.array([1, 0, 0])) for pair in VIEWS),
        wrong=(
            (((ZEROS, ZEROS), np.array([0, 2, 0])), r"found 2 at index \[1\]"),
            (((ZEROS, ZEROS), np.array([0])), "shapes differ"),
        ),
    ),
    Row(
        "cosine_embedding",
        functools.partial(losses.cosine_embedding, margin=-0.1),
        both(VECTORS),
        signs(),
        functools.partial(cosine_embedding, margin=-0.1),
        extremes=PAIRS,
        wrong=((((ZEROS, ZEROS), np.array([1, 0, 1])), r"targets must be 1 or -1, found 0 at index \[1\]"),),
    ),
    Row(
        "hinge_embedding",
        losses.hinge_embedding,
        normal(2),
        signs(2),
        lambda distances, targets: np.where(targets == 1, distances, positive(1 - distances)),
        extremes=((np.array([1e4, -1e4, 1.0]), np.array([1, -1, -1])),),
        wrong=(INTEGERS, ((np.zeros(2), np.array([1])), "shapes differ")),
    ),
    Row(
        "margin_ranking",
        functools.partial(losses.margin_ranking, margin=0.2),
        both(normal(2)),
        signs(2),
        lambda scores, targets: positive(-targets * (scores[0] - scores[1]) + 0.2),
        extremes=((SCORES[0], np.array([1, 1, -1])),),
        wrong=((((np.zeros(2), np.zeros(1)), np.array([1, 1])), "shapes differ: first"),),
    ),
    Row(
        "soft_margin",
        losses.soft_margin,
        normal(2),
        signs(2),
        lambda logits, targets: np.log1p(np.exp(-targets * logits)),
        extremes=((np.array([1e4, -1e4]), np.array([-1, -1])),),
        wrong=(((np.zeros(2), np.array([1, 0])), "found 0"), INTEGERS),
    ),
    Row(
        "multi_label_margin",
        losses.multi_label_margin,
        normal(4),
        integers(2, 4),
        multi_label_margin,
        extremes=((np.array([[1e4, -1e4, 0.0]] * 3), np.array([[0, 1, 0], [0, 0, 0], [1, 1, 1]])),),
        wrong=(((np.zeros((1, 2)), np.array([[1, -1]])), "found -1"), ((np.zeros((1, 2)), np.array([1])), "shapes differ")),
    ),
    Row(
        "multi_label_soft_margin",
        losses.multi_label_soft_margin,
        normal(4),
        uniform(4),
        lambda logits, labels: -(labels * special.log_expit(logits) + (1 - labels) * special.log_expit(-logits)).mean(-1),
        extremes=((np.array([[1e4, -1e4], [-1e4, 1e4]]), np.array([[1, 0], [1, 0]])),),
        wrong=(((np.zeros((1, 2)), np.array([[1.0, 1.5]])), "found 1.5"), ((np.zeros(()), np.array(1)), "axis of classes")),
    ),
    Row(
        "nt_xent",
        losses.nt_xent,
        VECTORS,
        VECTORS,
        functools.partial(nt_xent, temperature=0.5),
        extremes=VIEWS,
        wrong=(*FLAT, INTEGERS),
        alone=False,
    ),
    Row(
        "info_nce_negatives",
        functools.partial(losses.info_nce, negatives=jnp.asarray(QUEUE), temperature=0.3),
        VECTORS,
        VECTORS,
        functools.partial(info_nce_queue, temperature=0.3),
        extremes=VIEWS,
        wrong=(((np.zeros((2, 3)), np.zeros((2, 3))), r"negatives must be \(count, 3\) or \(2, count, 3\)"),),
    ),
    Row(
        "clip",
        functools.partial(losses.clip, logit_scale=3.0),
        VECTORS,
        VECTORS,
        functools.partial(clip, scale=3.0),
        extremes=VIEWS,
        wrong=(*FLAT, INTEGERS),
        alone=False,
    ),
    Row(
        "siglip",
        functools.partial(losses.siglip, logit_scale=3.0, logit_bias=-2.0),
        VECTORS,
        VECTORS,
        functools.partial(siglip, scale=3.0, bias=-2.0),
        extremes=VIEWS,
        wrong=(*FLAT, INTEGERS),
        alone=False,
    ),
    Row(
        "sup_con",
        functools.partial(losses.sup_con, temperature=0.3),
        VECTORS,
        integers(3),
        functools.partial(sup_con, temperature=0.3),
        extremes=tuple((x, np.array(labels)) for x in (ZEROS, LONG) for labels in ([0, 0, 0], [0, 0, 1], [0, 1, 2])),
        wrong=(
            ((np.zeros((2, 3)), np.array([0])), "shapes differ"),
            ((np.zeros((2, 3)), np.zeros(2)), "labels must be integers"),
        ),
        alone=False,
    ),
    Row(
        "arc_face",
        functools.partial(losses.arc_face, scale=4.0),
        COSINES,
        integers(4),
        functools.partial(arc_face, margin=0.5, scale=4.0),
        extremes=AT_THE_ENDS,
        wrong=BY_ANGLE_WRONG,
    ),
    Row(
        "cos_face",
        functools.partial(losses.cos_face, scale=4.0),
        COSINES,
        integers(4),
        lambda cosines, labels: by_angle(cosines, labels, 4.0, lambda x: x - 0.35),
        extremes=AT_THE_ENDS,
        wrong=BY_ANGLE_WRONG,
    ),
    Row(
        "circle",  # whose gradient is not that of its value
        functools.partial(losses.circle, scale=4.0),
        COSINES,
        integers(4),
        functools.partial(circle, margin=0.25, scale=4.0),
        wrong=BY_ANGLE_WRONG,
        smooth=False,
    ),
    discriminator("minimax", lambda real: -special.log_expit(real), lambda fake: -np.log(1 - special.expit(fake))),
    discriminator("least_squares", lambda real: (real - 1) ** 2 / 2, lambda fake: fake**2 / 2),
    discriminator("hinge", lambda real: positive(1 - real), lambda fake: positive(1 + fake)),
    discriminator("wasserstein", lambda real: -real, lambda fake: fake),
    generator("minimax", lambda fake: np.log(1 - special.expit(fake))),
    generator("non_saturating", lambda fake: -special.log_expit(fake)),
    generator("least_squares", lambda fake: (fake - 1) ** 2 / 2),
    generator("hinge", lambda fake: -fake),
    generator("wasserstein", lambda fake: -fake),
    Row(
        "r1_penalty",
        lambda real, targets, **named: losses.r1_penalty(critic, real, **named),
        normal(3),
        nothing,
        lambda real, targets: ((np.cos(real) + 2 * real) ** 2).sum(-1),
        extremes=((1e4 * np.ones((2, 3)), 0), (np.zeros((2, 3)), 0)),
    ),
    Row(
        "negative_elbo",
        functools.partial(elbo, beta=0.5, free_bits=0.3),
        lambda rng, samples: (rng.normal(size=samples), rng.normal(size=(samples, 3)), rng.normal(size=(samples, 3))),
        nothing,
        functools.partial(negative_elbo, beta=0.5, free_bits=0.3),
        extremes=(((np.zeros(2), 1e4 * np.ones((2, 1)), np.array([[80.0], [-1e4]])), 0),),
        wrong=(
            (((np.zeros(2), np.zeros((2, 3)), np.zeros((2, 1))), 0), "shapes differ: mean"),
            (((np.zeros(2), np.zeros((3, 3)), np.zeros((3, 3))), 0), r"latents must be \[2\] with an axis of latents"),
        ),
    ),
    Row(
        "vector_quantization",  # whose gradient is not that of its value
        functools.partial(losses.vector_quantization, commitment=0.5),
        normal(3),
        normal(3),
        lambda encoded, codes: 1.5 * (encoded - codes) ** 2,
        wrong=(((np.zeros((2, 3)), np.zeros((2, 1))), "shapes differ"), INTEGERS),
        smooth=False,
    ),
)
