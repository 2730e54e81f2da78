"""Mean average precision of detected boxes."""

import functools

import jax
import numpy as np
import pytest
from tolerances import assert_close

from jdl import metrics

IMAGES, BOXES, TARGETS, CLASSES = 12, 20, 6, 3
COCO = {  # of scene(np.random.default_rng(0)), by pycocotools 2.0.11
    "by_class": [0.3070602455, 0.4348470577, 0.3130959163],
    "by_threshold": [
        0.5965964742,
        0.5672086200,
        0.5240704255,
        0.4740845855,
        0.3940392366,
        0.3256229931,
        0.2938010747,
        0.1947738166,
        0.1359356380,
        0.0105445339,
    ],
}


def scene(rng, images=IMAGES):
    """Random targets, some of them crowds; predictions near them, elsewhere, with wrong labels, and places without a box."""
    corners = rng.uniform(0, 60, (images, TARGETS, 2))
    targets = np.concatenate([corners, corners + rng.uniform(8, 30, corners.shape)], -1)
    labels = rng.integers(-1, CLASSES, (images, TARGETS))
    crowds = rng.random((images, TARGETS)) < 0.2
    chosen = rng.integers(TARGETS, size=(images, BOXES))
    boxes = np.take_along_axis(targets, chosen[..., None], 1) + rng.normal(size=(images, BOXES, 4)) * rng.choice(
        [0.5, 2, 6], (images, BOXES, 1)
    )
    right = np.take_along_axis(labels, chosen, 1)
    found = np.where(rng.random(right.shape) < 0.8, right, rng.integers(-1, CLASSES, right.shape))
    scores = rng.permutation(found.size).reshape(found.shape) / found.size
    return (boxes.astype("float32"), scores.astype("float32"), found), (targets.astype("float32"), labels, crowds)


@pytest.fixture(scope="module")
def metric():
    metric = metrics.streaming_mean_average_precision(classes=CLASSES, capacity=IMAGES * BOXES)
    return metrics.Metric(metric.init, jax.jit(metric.update), jax.jit(metric.merge), jax.jit(metric.compute))


def cut(data, start, stop):
    """Some of the images."""
    return jax.tree.map(lambda x: x[start:stop], data)


def whole(metric, data, **named):
    return metric.compute(metric.update(metric.init(), *data, **named))


def test_it_is_what_cocos_own_tool_says(metric):
    value = whole(metric, scene(np.random.default_rng(0)))
    np.testing.assert_allclose(value["by_class"], COCO["by_class"], rtol=1e-5)
    np.testing.assert_allclose(value["by_threshold"], COCO["by_threshold"], rtol=1e-5)
    np.testing.assert_allclose(value["mean_average_precision"], np.mean(COCO["by_class"]), rtol=1e-5)


def test_a_stream_may_be_cut_and_merged_in_any_way(metric, rng):
    predictions, targets = scene(rng)
    scores = np.round(predictions[1], 1)  # with ties between images
    data = (predictions[0], scores + 0.01 * np.arange(BOXES, dtype="float32"), predictions[2]), targets
    expected = whole(metric, data)
    thirds = [cut(data, start, start + 4) for start in (0, 4, 8)]
    pieces = [metric.update(metric.init(), *third) for third in thirds]
    assert_close(metric.compute(metric.merge(pieces[2], metric.merge(pieces[1], pieces[0]))), expected)
    one_by_one = metric.init()
    for third in thirds[::-1]:
        one_by_one = metric.update(one_by_one, *third)
    assert_close(metric.compute(one_by_one), expected)
    at_once = jax.jit(functools.partial(metrics.mean_average_precision, classes=CLASSES))
    assert_close(at_once(*data), expected)


def test_images_that_do_not_count_are_not_there_and_a_weight_of_2_is_two_images(metric, rng):
    data = scene(rng)
    rest = cut(data, 4, IMAGES)
    assert_close(whole(metric, data, where=np.arange(IMAGES) >= 4), whole(metric, rest))
    twice = jax.tree.map(lambda a, b: np.concatenate([a, b]), rest, cut(rest, 4, 8))
    assert_close(whole(metric, rest, weights=np.where(np.arange(8) < 4, 1.0, 2.0)), whole(metric, twice))


def test_cases_by_hand():
    average_precision = jax.jit(functools.partial(metrics.mean_average_precision, classes=2, thresholds=(0.5, 0.6)))
    known = np.array([[[0, 0, 2, 2], [4, 4, 6, 6], [0, 0, 2, 1]]], "float32")
    scores, no_crowd = np.array([[0.7, 0.8, 0.9]], "float32"), np.zeros((1, 2), bool)

    def of(labels, crowds=no_crowd, boxes=known):
        targets = known[:, :2], np.array([[0, 0]]), crowds
        value = average_precision((boxes, scores, np.array([labels])), targets)
        assert np.isnan(value["by_class"][1]), "a class without targets has no precision"
        return value["by_threshold"].tolist()

    assert of([0, 0, 0]) == pytest.approx([1.0, (51 * 2 / 3 + 50 * 2 / 3) / 101])
    assert of([0, 0, -1]) == [1.0, 1.0]
    assert of([0, -1, -1]) == pytest.approx([51 / 101] * 2)
    assert of([0, 1, -1]) == pytest.approx([51 / 101] * 2)
    assert of([-1, -1, -1]) == [0.0, 0.0]
    small = np.array([[[0, 0, 2, 2], [4, 4, 5, 5], [5, 5, 6, 6]]], "float32")
    assert of([0, 0, 0], np.array([[False, True]]), small) == [1.0, 1.0], "boxes in a crowd are no false alarms"


def test_an_image_without_boxes_is_an_image(rng):
    _, targets = scene(rng)
    nothing = np.zeros((IMAGES, 0, 4), "float32"), np.zeros((IMAGES, 0), "float32"), np.zeros((IMAGES, 0), int)
    value = jax.jit(functools.partial(metrics.mean_average_precision, classes=CLASSES))(nothing, targets)
    assert value["mean_average_precision"] == 0.0


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda p, t: (p[:2], t), "predictions must be"),
        (lambda p, t: ((p[0][:, :3], *p[1:]), t), r"predictions must be \(images, boxes, 4\)"),
        (lambda p, t: (p, (t[0][:3], t[1][:3])), "as many images in both"),
        (lambda p, t: ((p[0], p[1], p[2] + CLASSES), t), r"labels plus 1 must lie in 0\.\.3"),
    ],
)
def test_wrong_inputs_are_named(rng, change, message):
    with pytest.raises(ValueError, match=message):
        metrics.mean_average_precision(*change(*scene(rng)), classes=CLASSES)


def test_too_many_boxes_are_an_error_and_nan_under_jit(rng):
    predictions, targets = scene(rng)
    small = metrics.streaming_mean_average_precision(classes=CLASSES, capacity=5)
    with pytest.raises(ValueError, match="room for capacity=5 samples"):
        small.update(small.init(), predictions, targets)
    value = jax.jit(lambda: small.compute(small.update(small.init(), predictions, targets)))()
    assert np.isnan(value["mean_average_precision"])
    with pytest.raises(ValueError, match=r"thresholds must be in \[0, 1\]"):
        metrics.streaming_mean_average_precision(classes=2, capacity=5, thresholds=(0.5, 50.0))


def test_a_score_that_is_nan_is_seen(metric, rng):
    (boxes, scores, labels), targets = scene(rng)
    labels[0, 0], scores[0, 0] = 0, np.nan
    assert np.isnan(whole(metric, ((boxes, scores, labels), targets))["mean_average_precision"])
    labels[0, 0] = -1  # where there is no box
    assert np.isfinite(whole(metric, ((boxes, scores, labels), targets))["mean_average_precision"])
