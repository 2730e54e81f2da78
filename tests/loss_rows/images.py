"""Rows of losses of segmentations, images, boxes and rankings."""

import functools

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


def ssim_maps(x, y, window, data_range=1.0):
    """Luminance, and contrast with structure, as published, of what every window of images with two spatial axes sees."""
    taps = np.exp(-((np.arange(window) - (window - 1) / 2) ** 2) / (2 * 1.5**2))
    taps = np.outer(taps, taps) / np.outer(taps, taps).sum()
    seen = lambda a: np.lib.stride_tricks.sliding_window_view(a, (window, window), (1, 2))
    mean = lambda a: (a * taps).sum((-2, -1))
    mx, my = (mean(seen(a)) for a in (x, y))
    dx, dy = seen(x) - mx[..., None, None], seen(y) - my[..., None, None]
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    luminance = (2 * mx * my + c1) / (mx**2 + my**2 + c1)
    return luminance, (2 * mean(dx * dy) + c2) / (mean(dx**2) + mean(dy**2) + c2)


def ssim_loss(x, y):
    luminance, structure = ssim_maps(x, y, 4, 2.0)
    return 1 - (luminance * structure).mean((1, 2, 3))


def ms_ssim_loss(x, y):
    product = 1.0
    for scale, share in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        luminance, structure = ssim_maps(x, y, 2, 2.0)
        product = product * (luminance * structure if scale == 4 else structure).mean((1, 2)) ** share
        x, y = ((a[:, ::2, ::2] + a[:, 1::2, ::2] + a[:, ::2, 1::2] + a[:, 1::2, 1::2]) / 4 for a in (x, y))
    return 1 - product.mean(-1)


def slopes(rng, samples):
    """Images that are alike at every scale, so that no factor of their similarity is near 0, where a power has no slope."""
    return np.add.outer(np.arange(32.0), np.arange(32.0))[..., None] / 16 + rng.normal(size=(samples, 32, 32, 1)) / 20


def box_parts(a, b):
    """Intersection over union, union, and width and height of the box around both."""
    area = lambda box: np.prod(box[..., 2:] - box[..., :2], -1)
    shared = np.concatenate([np.maximum(a, b)[..., :2], np.minimum(a, b)[..., 2:]], -1)
    shared = np.where((shared[..., 2:] > shared[..., :2]).all(-1), area(shared), 0)
    around = np.maximum(a, b)[..., 2:] - np.minimum(a, b)[..., :2]
    return shared / (area(a) + area(b) - shared), area(a) + area(b) - shared, around


def box_iou_loss(a, b):
    return 1 - box_parts(a, b)[0]


def generalized_box_iou_loss(a, b):
    iou, union, around = box_parts(a, b)
    return 2 - iou - union / around.prod(-1)


def distance_box_iou_loss(a, b):
    iou, _, around = box_parts(a, b)
    centre = lambda box: (box[..., :2] + box[..., 2:]) / 2
    return 1 - iou + ((centre(a) - centre(b)) ** 2).sum(-1) / (around**2).sum(-1)


def complete_box_iou_loss(a, b):
    angle = lambda box: np.arctan((box[..., 2] - box[..., 0]) / (box[..., 3] - box[..., 1]))
    v = 4 / np.pi**2 * (angle(a) - angle(b)) ** 2
    return distance_box_iou_loss(a, b) + v**2 / (box_iou_loss(a, b) + v)


def draw_boxes(rng, samples):
    low = rng.uniform(0, 2, size=(samples, 3, 2))
    return np.concatenate([low, low + rng.uniform(0.2, 3, size=low.shape)], -1)


def ranking_softmax_loss(scores, relevances):
    return -(relevances * special.log_softmax(scores, -1)).sum(-1)


def ndcg_parts(relevances):
    """Gains, discounts by rank from 0, and the gain of the best order, for one list."""
    gains, discounts = 2.0**relevances - 1, 1 / np.log2(np.arange(len(relevances)) + 2)
    return gains, discounts, (np.sort(gains)[::-1] * discounts).sum()


def each_list(function):
    return lambda scores, relevances: np.array([function(*one) for one in zip(scores, relevances)])


def pairs(relevances):
    return [(i, j) for i in range(len(relevances)) for j in range(len(relevances)) if relevances[i] > relevances[j]]


@each_list
def pairwise_logistic(scores, relevances):
    return np.sum([np.log1p(np.exp(scores[j] - scores[i])) for i, j in pairs(relevances)]) / max(len(pairs(relevances)), 1)


@each_list
def lambda_rank(scores, relevances):
    gains, discounts, ideal = ndcg_parts(relevances)
    at = discounts[np.argsort(np.argsort(-scores))]
    swaps = [abs((gains[i] - gains[j]) * (at[i] - at[j])) * np.log1p(np.exp(scores[j] - scores[i])) for i, j in pairs(relevances)]
    return np.sum(swaps) / ideal if ideal else 0.0


@each_list
def list_mle(scores, relevances):
    ordered = scores[np.argsort(-relevances, kind="stable")]
    return -np.sum([special.log_softmax(ordered[k:])[0] for k in range(len(ordered))])


@each_list
def approx_ndcg_loss(scores, relevances):
    gains, _, ideal = ndcg_parts(relevances)
    ranks = 1 + np.array([sum(special.expit((t - s) / 0.1) for t in scores) - 0.5 for s in scores])
    return 1 - (gains / np.log2(1 + ranks)).sum() / ideal if ideal else 0.0


EXTREME = 1e4 * np.array([[[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [0.0, 0.0, 0.0]]] * 2)
SEGMENTATION = ((EXTREME, np.array([[0, 0, 1, 1], [0, 1, 0, 2]])),)
MASKS = ((EXTREME, np.stack([np.zeros((4, 3)), np.ones((4, 3))])),)
BAD_LABELS = (
    ((np.zeros((2, 3)), np.zeros(2, int)), r"logits must be \(batch, \*spatial, classes\), got float32\[2, 3\]"),
    ((np.zeros((2, 4, 3)), np.full((2, 4), 3)), r"0\.\.2, found 3 at index \[0, 0\]"),
    ((np.zeros((2, 4, 3)), np.zeros((2, 5), int)), r"integers of shape \[2, 4\]"),
)
BAD_MASKS = (
    ((np.zeros((2, 4, 1)), np.zeros((2, 4))), "shapes differ"),
    ((np.zeros((2, 4, 1)), np.full((2, 4, 1), 2)), "labels must .* found 2"),
)
masks = lambda *shape: lambda rng, samples: rng.integers(2, size=(samples, *shape))


POINT, TINY = [1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1e-12, 1e-12]
BOXES = [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0], POINT, POINT, [2.0, 2.0, 1.0, 0.0], [0.0, 0.0, 1e4, 1e-4], TINY]
OTHERS = [[0.0, 0.0, 1.0, 1.0], [9e3, 9e3, 1e4, 1e4], POINT, [0.0, 0.0, 2.0, 2.0], POINT, [0.0, 0.0, 1e-4, 1e4], TINY]
DEGENERATE = ((np.array(BOXES), np.array(OTHERS)),)
BAD_BOXES = (
    ((np.zeros((2, 4)), np.zeros((3, 4))), "shapes differ: predictions is"),
    ((np.zeros((2, 4)), np.zeros((2, 3))), r"targets must be \(..., 4\), got float32\[2, 3\]"),
)
LISTS = ((1e4 * np.array([[1.0, -1.0, 0.0, 0.0]] * 3), np.array([[0, 3, 3, 1], [0, 0, 0, 0], [200, 1, 0, 200]])),)
BAD_LISTS = (((np.zeros((2, 4)), np.zeros((2, 1))), "shapes differ: scores is"),)
NEGATIVE = (*BAD_LISTS, ((np.zeros((1, 2)), np.array([[0, -1]])), r"at least 0, found -1 at index \[0, 1\]"))

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
    Row(
        "ssim_loss",
        functools.partial(losses.ssim_loss, window=4, data_range=2.0),
        normal(6, 5, 2),
        normal(6, 5, 2),
        ssim_loss,
        ((1e4 * np.eye(5).reshape(1, 5, 5, 1), np.zeros((1, 5, 5, 1))), (np.ones((1, 4, 4, 1)), np.ones((1, 4, 4, 1)))),
        (
            ((np.zeros((1, 4, 4, 1)), np.zeros((1, 4, 4))), "shapes differ"),
            ((np.zeros((1, 4, 3, 1)), np.zeros((1, 4, 3, 1))), "a window of 4 needs at least 4 pixels"),
            ((np.zeros((4, 4)), np.zeros((4, 4))), r"must be \(batch, 1 to 3 spatial axes, channels\)"),
        ),
    ),
    Row(
        "ms_ssim_loss",
        functools.partial(losses.ms_ssim_loss, window=2, data_range=2.0),
        slopes,
        slopes,
        ms_ssim_loss,
        ((1e4 * np.eye(32).reshape(1, 32, 32, 1), -1e4 * np.eye(32).reshape(1, 32, 32, 1)),),
        (((np.zeros((1, 31, 32, 1)), np.zeros((1, 31, 32, 1))), "a window of 2 needs at least 32 pixels"),),
    ),
    Row("box_iou_loss", losses.box_iou_loss, draw_boxes, draw_boxes, box_iou_loss, DEGENERATE, BAD_BOXES),
    Row(
        "generalized_box_iou_loss",
        losses.generalized_box_iou_loss,
        draw_boxes,
        draw_boxes,
        generalized_box_iou_loss,
        DEGENERATE,
        BAD_BOXES,
    ),
    Row(
        "distance_box_iou_loss", losses.distance_box_iou_loss, draw_boxes, draw_boxes, distance_box_iou_loss, DEGENERATE, BAD_BOXES
    ),
    Row(  # its gradient takes the trade-off as a constant
        "complete_box_iou_loss",
        losses.complete_box_iou_loss,
        draw_boxes,
        draw_boxes,
        complete_box_iou_loss,
        wrong=BAD_BOXES,
        smooth=False,
    ),
    Row("ranking_softmax_loss", losses.ranking_softmax_loss, normal(5), integers(4, 5), ranking_softmax_loss, LISTS, NEGATIVE),
    Row("pairwise_logistic", losses.pairwise_logistic, normal(5), integers(4, 5), pairwise_logistic, LISTS, BAD_LISTS),
    Row("lambda_rank", losses.lambda_rank, normal(5), integers(4, 5), lambda_rank, LISTS, NEGATIVE),
    Row("list_mle", losses.list_mle, normal(5), integers(4, 5), list_mle, LISTS, BAD_LISTS),
    Row("approx_ndcg_loss", losses.approx_ndcg_loss, normal(5), integers(4, 5), approx_ndcg_loss, LISTS, NEGATIVE),
)
