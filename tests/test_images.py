"""Losses and metrics of segmentations, images, boxes and rankings: what the table of losses does not say."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from loss_rows import images as references
from programs import one_program_each
from scipy import ndimage
from sklearn.metrics import ndcg_score

import jdl

losses, metrics = one_program_each(jdl.losses), one_program_each(jdl.metrics)

KINDS = {
    "dice_loss": (losses.dice_loss, losses.binary_dice_loss, {}),
    "jaccard_loss": (losses.jaccard_loss, losses.binary_jaccard_loss, {"alpha": 1.0, "beta": 1.0}),
    "tversky_loss": (losses.tversky_loss, losses.binary_tversky_loss, {}),
}
RANKINGS = (
    losses.ranking_softmax_loss,
    losses.pairwise_logistic,
    losses.lambda_rank,
    losses.list_mle,
    losses.approx_ndcg_loss,
)


def assert_near(actual, expected, limit=3e-5):
    np.testing.assert_allclose(actual, expected, rtol=limit, atol=limit)


@pytest.mark.parametrize("kind", KINDS)
def test_overlaps_are_indices_of_tversky(rng, kind):
    many, one, options = KINDS[kind]
    logits = rng.normal(size=(2, 4, 5, 3)).astype("float32")
    labels, masks = rng.integers(3, size=(2, 4, 5)), rng.integers(2, size=(2, 4, 5, 3))
    assert_near(many(logits, labels, reduction="none"), references.tversky(logits, labels, **options))
    shares = np.eye(3, dtype="float32")[labels]
    assert_near(many(logits, shares, reduction="none"), references.tversky(logits, labels, **options))
    binary = functools.partial(references.tversky, squash=lambda logits: 1 / (1 + np.exp(-logits)), **options)
    assert_near(one(logits, masks, reduction="none"), binary(logits, masks))


def test_dice_is_that_of_optax(rng):
    logits, labels = jnp.asarray(rng.normal(size=(2, 4, 5, 3)), jnp.float32), jnp.asarray(rng.integers(3, size=(2, 4, 5)))
    expected = optax.losses.dice_loss(logits, jax.nn.one_hot(labels, 3))
    assert_near(losses.dice_loss(logits, labels, reduction="none"), expected)


@pytest.mark.parametrize("loss", [losses.dice_loss, losses.jaccard_loss, losses.tversky_loss])
def test_absent_classes(loss):
    labels = jnp.zeros((1, 4), int)
    right, wrong = (jnp.broadcast_to(1e3 * jnp.eye(3)[c], (1, 4, 3)) for c in (0, 1))
    assert loss(right, labels, smooth=0.0) == loss(right, labels) == 0
    assert_near(loss(wrong, labels, smooth=0.0), 2 / 3)  # the third class is absent from both
    slope = jax.grad(lambda logits: loss(logits, labels))(jnp.zeros((1, 4, 3)))
    assert (slope[..., 0] < 0).all() and (slope[..., 1:] > 0).all()


SEGMENTATIONS = (losses.dice_loss, losses.lovasz_softmax, losses.binary_jaccard_loss, losses.lovasz_hinge)


@pytest.mark.parametrize("loss", SEGMENTATIONS)
def test_pixels_that_do_not_count_have_no_influence(rng, loss):
    binary = loss in SEGMENTATIONS[2:]
    logits = jnp.asarray(rng.normal(size=(2, 4, 5, 3)), jnp.float32)
    labels = jnp.asarray(rng.integers(2, size=logits.shape) if binary else rng.integers(3, size=logits.shape[:-1]))
    where = jnp.ones((2, 4, 5), bool).at[:, :, 3:].set(False).at[1].set(False)
    seen = jnp.expand_dims(where, -1)
    spoilt = jnp.where(seen, logits, jnp.nan), jnp.where(seen if binary else where, labels, 255)
    value, gradient = jax.value_and_grad(lambda logits: loss(logits, spoilt[1], where=where))(spoilt[0])
    cut = lambda logits: loss(logits, labels[:1, :, :3])
    expected, inside = jax.value_and_grad(cut)(logits[:1, :, :3])
    assert_near(value, expected)
    assert_near(gradient[:1, :, :3], inside)
    assert (jnp.where(seen, 0, gradient) == 0).all()


def test_lovasz_of_certain_predictions_is_the_jaccard_loss(rng):
    guess, labels = rng.integers(3, size=(2, 1, 30))
    iou = [((guess == c) & (labels == c)).sum() / ((guess == c) | (labels == c)).sum() for c in np.unique(labels)]
    assert_near(losses.lovasz_softmax(1e3 * jnp.eye(3)[guess], jnp.asarray(labels)), 1 - np.mean(iou))
    inside, right = jnp.asarray(labels == 0)[..., None], jnp.asarray(guess == 0)[..., None]
    union = (inside | right).sum()
    expected = 2 * (1 - (inside & right).sum() / jnp.maximum(union, 1)) * (union > 0)  # an error of sign +-1 costs 2
    assert_near(losses.lovasz_hinge(jnp.where(right, 1.0, -1.0), inside), expected)


def test_labels_out_of_range_give_nan_under_jit():
    for label in (3, -1):
        assert jnp.isnan(jax.jit(losses.dice_loss)(jnp.zeros((1, 2, 3)), jnp.full((1, 2), label)))
        assert jnp.isnan(jax.jit(losses.lovasz_softmax)(jnp.zeros((1, 2, 3)), jnp.array([[0, label]])))


def test_ssim_is_that_of_gaussian_filters(rng):
    x, y = (255 * rng.uniform(size=(1, 14, 13, 2)) for _ in range(2))
    blur = lambda a: ndimage.gaussian_filter(a, (0, 1.5, 1.5, 0), radius=(0, 5, 5, 0))[:, 5:-5, 5:-5]
    mx, my = blur(x), blur(y)
    vx, vy, cov = blur(x * x) - mx * mx, blur(y * y) - my * my, blur(x * y) - mx * my
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = ((2 * mx * my + c1) * (2 * cov + c2) / ((mx * mx + my * my + c1) * (vx + vy + c2))).mean()
    x, y = jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)
    assert_near(metrics.ssim(x, y, data_range=255), expected)
    assert_near(losses.ssim_loss(x, y, data_range=255), 1 - expected)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_ssim_of_even_images_compares_brightness(axes):
    images = [jnp.full((1, *(3,) * axes, 1), value) for value in (100.0, 100.5)]
    assert_near(1 - metrics.ssim(*images, window=3), 0.25 / (100**2 + 100.5**2 + 1e-4), 1e-6)
    assert metrics.ssim(images[0], images[0], window=3) == 1


def test_ms_ssim_knows_equal_and_opposite():
    x = jnp.asarray(np.indices((32, 32)).sum(0) % 7, jnp.float32).reshape(1, 32, 32, 1)
    assert metrics.ms_ssim(x, x, window=2) == 1
    assert metrics.ms_ssim(x, -x, window=2) == 0
    assert_near(metrics.ms_ssim(x, x + 0.3, window=2), 1 - losses.ms_ssim_loss(x, x + 0.3, window=2))


def test_psnr(rng):
    x, y = rng.normal(size=(2, 3, 4, 4, 1)).astype("float32")
    expected = 10 * np.log10(4 / ((x - y) ** 2).mean((1, 2, 3)))
    assert_near(metrics.psnr(x, y, data_range=2.0, reduction="none"), expected)
    assert metrics.psnr(x, x) == jnp.inf
    assert_near(
        metrics.psnr(jnp.stack([x[0], x[1]]), jnp.stack([x[0], y[1]]), data_range=2.0, where=jnp.array([0, 1])), expected[1]
    )


def test_boxes_by_hand():
    a, b = jnp.array([0.0, 0.0, 2.0, 2.0]), jnp.array([1.0, 1.0, 3.0, 3.0])
    assert_near(metrics.box_iou(a, b), 1 / 7)
    assert_near(losses.box_iou_loss(a, b), 6 / 7)
    assert_near(losses.generalized_box_iou_loss(a, b), 6 / 7 + 2 / 9)
    assert_near(losses.distance_box_iou_loss(a, b), 6 / 7 + 2 / 18)
    assert_near(losses.complete_box_iou_loss(a, b), 6 / 7 + 2 / 18)  # both are square


def test_pairwise_boxes(rng):
    a, b = (jnp.asarray(references.draw_boxes(rng, 2), jnp.float32) for _ in range(2))
    matrix = metrics.pairwise_box_iou(a, b[:, :2])
    assert matrix.shape == (2, 3, 2)
    for i, j in ((0, 0), (2, 1)):
        assert_near(matrix[:, i, j], metrics.box_iou(a[:, i], b[:, j], reduction="none"))
    empty = jnp.array([[1.0, 1.0, 1.0, 1.0], [3.0, 3.0, 2.0, 2.0]])
    assert (metrics.pairwise_box_iou(empty, empty) == 0).all()


def test_complete_boxes_take_the_trade_off_as_a_constant(rng):
    a, b = (references.draw_boxes(rng, 1)[0, 0] for _ in range(2))
    angle = lambda box: np.arctan((box[2] - box[0]) / (box[3] - box[1]))
    shape = lambda a: 4 / np.pi**2 * (angle(a) - angle(b)) ** 2
    trade_off = shape(a) / (references.box_iou_loss(a, b) + shape(a))
    fixed = lambda a: references.distance_box_iou_loss(a, b) + trade_off * shape(a)
    with jax.enable_x64(True):
        gradient = jax.grad(losses.complete_box_iou_loss)(jnp.asarray(a), jnp.asarray(b))
    assert_near(gradient, [(fixed(a + step) - fixed(a - step)) / 2e-6 for step in 1e-6 * np.eye(4)], 1e-6)


def test_degenerate_boxes_have_finite_gradients():
    boxes, others = references.DEGENERATE[0]
    gradient = jax.jit(jax.grad(losses.complete_box_iou_loss))(boxes, others)
    assert jnp.isfinite(gradient).all()
    assert losses.complete_box_iou_loss(boxes[0], boxes[0]) == 0


@pytest.mark.parametrize("loss", RANKINGS)
def test_items_that_do_not_count_have_no_influence(rng, loss):
    scores, relevances = jnp.asarray(rng.normal(size=(3, 5)), jnp.float32), jnp.asarray(rng.permuted([[0, 1, 2, 3, 4]] * 3, axis=1))
    where = np.array([[False, True, True, False, True]] * 2 + [[False] * 5])
    some = np.flatnonzero(where[0])
    spoilt = jnp.where(where, scores, jnp.nan)
    mean = lambda scores: loss(scores, jnp.where(where, relevances, -1), where=jnp.asarray(where))
    value, gradient = jax.value_and_grad(mean)(spoilt)
    expected, inside = jax.value_and_grad(lambda scores: loss(scores, relevances[:2, some]))(scores[:2, some])
    assert_near(value, expected)
    assert_near(gradient[:2, some], inside)
    assert (jnp.where(where, 0, gradient) == 0).all()


def test_approximate_ndcg_of_low_temperature_is_ndcg(rng):
    scores, relevances = rng.normal(size=(4, 6)).round(2) + np.arange(6) / 1000, rng.integers(5, size=(4, 6))
    relevances[:, 0] += 1
    values = losses.approx_ndcg_loss(jnp.asarray(scores, jnp.float32), relevances, temperature=1e-5)
    assert_near(1 - values, ndcg_score(2.0**relevances - 1, scores))


def test_ranking_softmax_is_that_of_optax(rng):
    scores, relevances = jnp.asarray(rng.normal(size=(4, 6)), jnp.float32), jnp.asarray(rng.integers(4, size=(4, 6)))
    where = jnp.asarray(rng.uniform(size=(4, 6)) < 0.5).at[:, 0].set(True)
    expected = optax.losses.ranking_softmax_loss(scores, relevances, where=where)
    assert_near(losses.ranking_softmax_loss(scores, relevances, where=where), expected)


def test_lists_without_order_cost_nothing():
    for loss in (losses.ranking_softmax_loss, losses.pairwise_logistic, losses.lambda_rank, losses.approx_ndcg_loss):
        assert loss(jnp.array([[1.0, -2.0, 3.0]]), jnp.zeros((1, 3))) == 0


def test_lambda_rank_looks_at_the_top():
    """A swap of the first two costs more than one of the last two."""
    relevances = jnp.array([3, 2, 1, 0])
    first, last = jnp.array([3.0, 4.0, 2.0, 1.0]), jnp.array([4.0, 3.0, 1.0, 2.0])
    assert_near(losses.pairwise_logistic(first, relevances), losses.pairwise_logistic(last, relevances))
    assert losses.lambda_rank(first, relevances) > 1.1 * losses.lambda_rank(last, relevances)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: losses.dice_loss(jnp.zeros((1, 2, 3)), jnp.zeros((1, 2), int), smooth=-1.0),
            "dice_loss: smooth must be at least 0",
        ),
        (lambda: losses.tversky_loss(jnp.zeros((1, 2, 3)), jnp.zeros((1, 2), int), alpha=-1.0), "alpha must be at least 0"),
        (lambda: losses.lovasz_softmax(jnp.zeros((1, 2, 3)), jnp.zeros((1, 2, 3))), r"must be integers of shape \[1, 2\], got"),
        (lambda: jdl.losses.lovasz_hinge(jnp.zeros((1, 2, 1)), jnp.full((1, 2, 1), 0.5)), "must be 0 or 1, found 0.5"),
        (lambda: losses.approx_ndcg_loss(jnp.zeros((1, 2)), jnp.zeros((1, 2)), temperature=0.0), "temperature must be above 0"),
        (lambda: losses.list_mle(jnp.zeros(()), jnp.zeros(())), r"scores must be \(..., items\), got float32\[\]"),
        (lambda: metrics.psnr(jnp.zeros(3), jnp.zeros(3), data_range=-1.0), "data_range must be above 0"),
        (lambda: metrics.ssim(jnp.zeros((1, 3, 1)), jnp.zeros((1, 3, 1)), window=0), "window must be a positive integer"),
        (lambda: metrics.pairwise_box_iou(jnp.zeros((2, 3, 4)), jnp.zeros((3, 4))), "with the same leading axes, got"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
