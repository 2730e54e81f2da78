"""Metrics over streams: however a stream is cut and merged, the number is scikit-learn's of the whole."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P
from programs import one_program_each
from scipy import stats
from sklearn import metrics as sk
from tolerances import assert_close, assert_equal

from jdl import losses, metrics, report
from jdl.metrics import _sums

SAMPLES, CLASSES = 40, 4
of = one_program_each(metrics)


def classes(rng):
    return rng.integers(CLASSES, size=SAMPLES), rng.integers(CLASSES, size=SAMPLES)


def scores(rng):
    return (rng.integers(9, size=SAMPLES) / 8).astype("float32"), rng.integers(2, size=SAMPLES)  # with many ties


def numbers(rng):
    targets = rng.integers(6, size=SAMPLES) + 100.0
    return (targets + rng.normal(size=SAMPLES)).astype("float32"), targets.astype("float32")


def probabilities(rng):
    return rng.dirichlet(np.ones(CLASSES), size=SAMPLES).astype("float32"), rng.integers(CLASSES, size=SAMPLES)


def calibration_error(given, labels, sample_weight):
    confidence, hits, error = given.max(1).astype(float), given.argmax(1) == labels, 0.0
    for low in np.arange(15) / 15:
        inside = sample_weight * ((confidence > low) & (confidence <= low + 1 / 15))
        error += abs((inside * (hits - confidence)).sum())
    return error / sample_weight.sum()


def pearson(predictions, targets, sample_weight):
    (xx, xy), (_, yy) = np.cov(predictions, targets, aweights=sample_weight)
    return xy / np.sqrt(xx * yy)


def spearman(predictions, targets, sample_weight):
    counts = sample_weight.astype(int)
    return stats.spearmanr(np.repeat(predictions, counts), np.repeat(targets, counts)).statistic


def of_labels(function, **named):
    """scikit-learn takes labels first."""
    return lambda predictions, labels, sample_weight: function(labels, predictions, sample_weight=sample_weight, **named)


def brier(given, labels, sample_weight):
    return np.average(((given - np.eye(CLASSES)[labels]) ** 2).sum(1), weights=sample_weight)


AVERAGED = (
    (metrics.precision, sk.precision_score, {}),
    (metrics.recall, sk.recall_score, {}),
    (metrics.f_score, sk.fbeta_score, {"beta": 0.5}),
    (metrics.intersection_over_union, sk.jaccard_score, {}),
)
FIGURES = {
    "matrix": (lambda matrix: matrix, of_labels(sk.confusion_matrix, labels=np.arange(CLASSES))),
    "balanced": (metrics.balanced_accuracy, of_labels(sk.balanced_accuracy_score)),
    "matthews": (metrics.matthews_correlation, of_labels(sk.matthews_corrcoef)),
    "kappa": (metrics.cohen_kappa, of_labels(sk.cohen_kappa_score)),
}
for ours, theirs, options in AVERAGED:
    for average in ("macro", "micro", "weighted", None):
        known = {"average": average, "zero_division": 0, "labels": None if average == "macro" else np.arange(CLASSES)}
        figure = functools.partial(ours, average=average, **options)
        FIGURES[f"{ours.__name__} {average}"] = figure, of_labels(theirs, **known, **options)


def compiled(metric):
    return metrics.Metric(metric.init, jax.jit(metric.update), jax.jit(metric.merge), jax.jit(metric.compute))


def stream(draw, **kept):
    """A Metric of several with one way to draw samples, and their references."""
    metric = metrics.together({name: one for name, (one, _) in kept.items()})
    return compiled(metric), draw, {name: reference for name, (_, reference) in kept.items()}


confusion = functools.partial(metrics.confusion, CLASSES)
collect = functools.partial(metrics.collect, capacity=SAMPLES)
STREAMS = {
    "classes": (
        compiled(confusion(lambda matrix: {name: figure(matrix) for name, (figure, _) in FIGURES.items()})),
        classes,
        {name: reference for name, (_, reference) in FIGURES.items()},
    ),
    "scores": stream(
        scores,
        roc_auc=(collect(metrics.roc_auc), of_labels(sk.roc_auc_score)),
        average_precision=(collect(metrics.average_precision), of_labels(sk.average_precision_score)),
    ),
    "numbers": stream(
        numbers,
        mean=(metrics.mean(losses.mean_squared_error), of_labels(sk.mean_squared_error)),
        spearman=(collect(metrics.spearman_correlation), spearman),
        pearson=(metrics.streaming_pearson_correlation(), pearson),
        r2=(metrics.streaming_r2_score(), of_labels(sk.r2_score)),
    ),
    "probabilities": stream(
        probabilities,
        brier=(metrics.mean(metrics.brier_score), brier),
        calibration=(metrics.streaming_expected_calibration_error(), calibration_error),
    ),
}
each = pytest.mark.parametrize("metric, draw, references", STREAMS.values(), ids=STREAMS)


def streamed(metric, rng, predictions, targets, **named):
    """Cut into batches in an order by chance, one of them empty; some extend a state, others start one; merged two by two."""
    states, start = [metric.init()], 0
    for size in rng.permutation([0, 10, 10, 10, 10]):
        state = states.pop() if rng.integers(2) and states else metric.init()
        batch = slice(start, start := start + size)
        states.append(metric.update(state, predictions[batch], targets[batch], **{name: x[batch] for name, x in named.items()}))
    while len(states) > 1:
        a, b = (states.pop(rng.integers(len(states))) for _ in range(2))
        states.append(metric.merge(a, b))
    return metric.compute(states[0])


def check(values, references, predictions, targets, weights):
    assert values.keys() == references.keys()
    for name, reference in references.items():
        expected = reference(predictions, targets, sample_weight=weights)
        np.testing.assert_allclose(values[name], expected, rtol=2e-5, atol=2e-5, err_msg=name)


@pytest.mark.parametrize("dtype", ["int32", "float32"])
@each
def test_any_cut_and_any_merge_gives_the_number_of_the_whole(metric, draw, references, dtype, rng):
    for _ in range(3):
        predictions, targets = draw(rng)
        where, weights = rng.permutation(SAMPLES) > 7, rng.integers(1, 4, size=SAMPLES).astype(dtype)
        shown = np.where(where, targets, rng.permutation(targets))  # what is left out has no say
        values = streamed(metric, rng, predictions, shown, where=where, weights=weights)
        check(values, references, predictions[where], targets[where], weights[where].astype(float))


@each
def test_scanned_and_mapped_over_members(metric, draw, references, rng):
    members = [draw(rng) for _ in range(2)]

    def over_batches(predictions, targets):
        cut = lambda x: x.reshape(4, -1, *x.shape[1:])
        update = lambda state, batch: (metric.update(state, *batch), None)
        return metric.compute(jax.lax.scan(update, metric.init(), (cut(predictions), cut(targets)))[0])

    values = jax.jit(jax.vmap(over_batches))(*(np.stack(parts) for parts in zip(*members)))
    for i, member in enumerate(members):
        check({name: value[i] for name, value in values.items()}, references, *member, np.ones(SAMPLES))


def test_states_merge_over_devices(rng):
    mesh = jax.make_mesh((8,), ("devices",), axis_types=(jax.sharding.AxisType.Auto,))
    spread = functools.partial(jax.shard_map, mesh=mesh, in_specs=P("devices"), out_specs=P(), check_vma=False)
    sums = metrics.together({"recall": confusion(metrics.recall), "matrix": metrics.confusion(CLASSES)})
    predictions, labels = classes(rng)

    def of_sums(predictions, labels):
        return sums.compute(jax.lax.psum(sums.update(sums.init(), predictions, labels), "devices"))

    found = jax.jit(spread(of_sums))(predictions, labels)
    assert_close(found, jax.jit(lambda *given: sums.compute(sums.update(sums.init(), *given)))(predictions, labels))
    kept = metrics.together({"auc": collect(metrics.roc_auc), "r2": metrics.streaming_r2_score()})
    given, hits = (np.float32(x) for x in scores(rng))

    def of_states(given, hits):
        states = jax.lax.all_gather(kept.update(kept.init(), given, hits), "devices")
        return kept.compute(metrics.merge_all(kept, states))

    found = jax.jit(spread(of_states))(given, hits)
    assert_close(found, {"auc": of.roc_auc(given, hits), "r2": of.r2_score(given, hits)})


# Long streams


def test_twenty_million_samples_are_counted():
    metric = metrics.together({"mean": metrics.mean(metrics.accuracy), "matrix": metrics.confusion(1)})
    update, large, state = jax.jit(metric.update), 5_000_000, metric.init()
    for size in (large,) * 4 + (1,) * 3:
        state = update(state, np.ones((size, 1), "float32"), np.zeros(size, "int32"))
    for total in (state["mean"]["total"], state["mean"]["weight"], state["matrix"]["matrix"]):
        assert sum(int(part.item()) for part in total.values()) == 4 * large + 3


def test_sums_keep_what_a_float_loses():
    count = jax.jit(lambda total, amount: jax.lax.fori_loop(0, 1000, lambda _, total: _sums.add(total, amount), total))
    add = jax.jit(lambda *amounts: functools.reduce(_sums.add, amounts, _sums.zero()))
    start = add(np.int32(2**30 - 1))
    for amount in (np.int32(1), np.float32(1)):
        total = count(start, amount)
        assert sum(int(part.item()) for part in total.values()) == 2**30 + 999
    tenths = count(add(np.float32(1e7)), np.float32(0.1))
    assert sum(float(part) for part in tenths.values()) == pytest.approx(1e7 + 1000 * float(np.float32(0.1)), rel=1e-12)
    most = np.int32(2**31 - 1)
    assert sum(int(part.item()) for part in add(most).values()) == most
    for sum_of in (np.float32(np.inf), np.float32(np.nan)):
        high, low = (float(part) for part in add(sum_of, np.float32(1)).values())
        np.testing.assert_equal(high + low, sum_of)


def test_moments_of_a_long_stream_with_an_offset(rng):
    targets = (rng.normal(size=20_000) + 1000).astype("float32")
    predictions = (targets + rng.normal(size=20_000) / 10).astype("float32")
    metric = metrics.together({"r2": metrics.streaming_r2_score(), "pearson": metrics.streaming_pearson_correlation()})
    update = lambda state, one: (metric.update(state, *one), None)
    given = tuple(x.reshape(-1, 1) for x in (predictions, targets))
    value = jax.jit(lambda given: metric.compute(jax.lax.scan(update, metric.init(), given)[0]))(given)
    exact = np.float64(predictions), np.float64(targets)
    assert value["r2"].item() == pytest.approx(sk.r2_score(exact[1], exact[0]), abs=1e-6)
    assert value["pearson"].item() == pytest.approx(np.corrcoef(*exact)[0, 1], abs=1e-6)


# Edges


def test_nothing_at_all():
    nothing = lambda metric: jax.jit(lambda: metric.compute(metric.init()))()
    assert nothing(metrics.mean(metrics.accuracy)) == 0
    assert nothing(metrics.streaming_expected_calibration_error()) == 0
    assert all((x == 0).all() for x in jax.tree.leaves(nothing(confusion(metrics.classification_report))))
    for metric in (collect(metrics.roc_auc), metrics.streaming_r2_score(), metrics.streaming_pearson_correlation()):
        assert jnp.isnan(nothing(metric))


def test_classes_that_do_not_occur():
    matrix = np.zeros((4, 4), "float32")
    matrix[0, :2], matrix[2, 2] = (3, 1), 4  # 1 is predicted but has no samples, 3 is neither
    assert of.recall(matrix, average=None).tolist() == [0.75, 0, 1, 0]
    assert of.recall(matrix).item() == pytest.approx(1.75 / 3)
    assert of.precision(matrix).item() == pytest.approx(2 / 3)
    assert of.balanced_accuracy(matrix) == 0.875
    one, row = np.zeros((2, 3, 3), "float32")
    one[1, 1] = 0.3
    assert of.matthews_correlation(one) == 0 and np.isnan(of.cohen_kappa(one))
    row[1] = 0.1, 0.7, 0.3
    for matrix in (row, row.T):
        assert of.matthews_correlation(matrix) == 0 and abs(of.cohen_kappa(matrix).item()) < 1e-6


def test_report_is_that_of_scikit_learn(rng):
    predictions, labels = classes(rng)
    ours = of.classification_report(of.confusion_matrix(predictions, labels, classes=CLASSES))
    theirs = sk.precision_recall_fscore_support(labels, predictions, labels=np.arange(CLASSES), zero_division=0)
    for name, expected in zip(("precision", "recall", "f_score", "support"), theirs):
        np.testing.assert_allclose(ours[name], expected, rtol=1e-6)
    assert ours["accuracy"].item() == pytest.approx(sk.accuracy_score(labels, predictions))


def test_labels_that_are_left_out_may_be_anything(rng):
    logits, labels = rng.normal(size=(2, 3, CLASSES)).astype("float32"), rng.integers(CLASSES, size=(2, 3))
    where = np.array([[True, False, True], [True, True, False]])
    matrix = functools.partial(of.confusion_matrix, classes=CLASSES)
    found = matrix(logits, np.where(where, labels, 255).astype("uint8"), where=where)
    assert_equal(found, matrix(logits.argmax(-1)[where], labels[where]))
    with pytest.raises(ValueError, match="found 255"):
        metrics.confusion_matrix(logits, np.where(where, labels, 255), classes=CLASSES)
    for wrong in (-1, CLASSES):
        assert np.isnan(matrix(np.array([0, 1]), np.array([wrong, 1]))).all()
    many = 100
    assert of.confusion_matrix(np.array([99], "uint8"), np.array([98], "uint8"), classes=many)[98, 99] == 1


def test_curves_without_a_class_or_with_nan():
    given = np.float32([0.1, 0.2, 0.2])
    assert np.isnan(of.roc_auc(given, np.ones(3, int))) and np.isnan(of.roc_auc(given, np.zeros(3, int)))
    assert of.average_precision(given, np.zeros(3, int)) == 0 and of.average_precision(given, np.ones(3, int)) == 1
    assert of.roc_auc(np.zeros(4, "float32"), np.array([0, 1, 1, 0])) == 0.5
    spoilt, where = np.float32([0.1, 0.2, np.nan]), np.array([True, True, False])
    for name in ("roc_auc", "average_precision"):
        assert np.isnan(getattr(of, name)(spoilt, np.array([0, 1, 1])))
        assert getattr(of, name)(spoilt, np.array([0, 1, 7]), where=where) == 1
        with pytest.raises(ValueError, match="labels must be 0 or 1, found 2"):
            getattr(metrics, name)(given, np.array([0, 1, 2]))


@pytest.mark.parametrize("function", [of.roc_auc, of.average_precision])
def test_curves_of_extreme_and_close_scores(function, rng):
    labels = rng.integers(2, size=200)
    labels[:2] = 0, 1
    given = rng.choice(np.array([-np.inf, -1e38, -0.0, 0.0, 2e-38, 1.0, np.nextafter(np.float32(1), 2), 1e38]), size=200)
    theirs = sk.roc_auc_score if function is of.roc_auc else sk.average_precision_score
    given = np.float32(given)
    ranks = stats.rankdata(given)  # scikit-learn takes no infinities
    assert function(given, labels).item() == pytest.approx(theirs(labels, ranks), abs=1e-5)


def test_more_samples_than_there_is_room_for():
    metric = metrics.collect(metrics.roc_auc, capacity=3)
    program, batch = compiled(metric), (np.float32([0.1, 0.2]), np.array([0, 1]))
    state = program.update(metric.init(), *batch)
    assert program.compute(program.update(state, *batch, where=np.array([False, True]))) == 1
    for over in (lambda: metric.update(state, *batch), lambda: metric.merge(state, state)):
        with pytest.raises(ValueError, match="capacity=3 samples, found 4"):
            over()
    full = program.update(state, *batch)
    assert np.isnan(program.compute(full))
    for a, b in ((full, metric.init()), (metric.init(), full), (state, state)):
        assert np.isnan(program.compute(program.merge(a, b)))


def test_constants():
    same, other = np.full(7, 0.1, "float32"), np.arange(7, dtype="float32")
    assert of.r2_score(same, same) == 1 and of.r2_score(other, same) == 0
    metric = metrics.streaming_r2_score()
    parts = (other[:3], same[:3]), (other[3:], same[3:])
    twice = jax.jit(lambda parts: metric.compute(metric.merge(*(metric.update(metric.init(), *part) for part in parts))))
    assert twice(parts) == 0
    for function in (of.pearson_correlation, of.spearman_correlation):
        assert np.isnan(function(same, other)) and np.isnan(function(np.where(other == 0, np.float32(np.nan), other), other))
        assert function(other, -other).item() == pytest.approx(-1)


def test_ties_in_lists():
    tied, relevant = np.zeros(4, "float32"), np.array([1, 0, 0, 1])
    assert of.mean_reciprocal_rank(tied, relevant).item() == pytest.approx(1 / 3)
    assert of.average_precision_at_k(tied, relevant).item() == pytest.approx((1 / 3 + 2 / 4) / 2)
    assert of.average_precision_at_k(tied, relevant, k=2) == 0
    given, gains = np.array([[2.0, 1.0, 1.0, 1.0, 0.0]]), np.array([[0.0, 3.0, 1.0, 0.0, 2.0]])
    cuts = None, 1, 2, 3, 7
    ours = jax.jit(lambda given, gains: [metrics.ndcg(given, gains, k=k) for k in cuts])(np.float32(given), np.float32(gains))
    np.testing.assert_allclose(ours, [sk.ndcg_score(gains, given, k=k) for k in cuts], rtol=1e-5)


@pytest.mark.parametrize("function", [of.ndcg, of.mean_reciprocal_rank, of.average_precision_at_k])
def test_items_that_are_masked_are_not_there(function, rng):
    given, relevant = rng.normal(size=(3, 6)).astype("float32"), rng.integers(2, size=(3, 6))
    mask = np.broadcast_to(np.arange(6) < 4, given.shape)
    spoilt = np.where(mask, given, np.float32(np.nan))
    assert_close(function(spoilt, relevant, mask=mask), function(given[:, :4], relevant[:, :4]))
    with pytest.raises(ValueError, match="shapes differ"):
        function(given, relevant, mask=mask[0])


def test_first_guess_is_that_of_accuracy(rng):
    logits, labels = rng.integers(3, size=(20, 4)).astype("float32"), rng.integers(4, size=20)
    assert_equal(of.top_k_accuracy(logits, labels, k=1), of.accuracy(logits, labels))
    assert of.top_k_accuracy(logits, labels, k=4) == 1
    assert_equal(of.top_k_accuracy(logits.T, labels, k=2, axis=0), of.top_k_accuracy(logits, labels, k=2))


# Seeds and settings


def test_bootstrap_of_a_mean_is_normal(key, rng):
    values = rng.normal(size=400).astype("float32")
    found = of.bootstrap_interval(key, jnp.mean, values, resamples=2000, confidence=0.9)
    error = float(values.std()) / 20
    assert found.value.item() == pytest.approx(float(values.mean()), abs=1e-6)
    assert found.error.item() == pytest.approx(error, rel=6 / np.sqrt(2 * 2000))
    for end, sign in ((found.low, -1), (found.high, 1)):  # an end's error is about 1.4 sqrt(0.05 * 0.95 / 2000) / density
        assert end.item() == pytest.approx(float(values.mean()) + sign * 1.645 * error, abs=0.35 * error)


def test_bootstrap_draws_samples_together(key):
    x = np.arange(50, dtype="float32")
    same = lambda data, y: jnp.stack([jnp.abs(data["x"] - y).max(), data["x"].std()])
    found = jax.jit(lambda key: metrics.bootstrap_interval(key, same, {"x": x}, x, resamples=100))(key)
    assert found.low.shape == (2,) and found.low[0] == found.high[0] == 0 and found.low[1] < found.high[1]
    for wrong in ((), (x, x[:3]), (x[:0],), (1.0,)):
        with pytest.raises(ValueError, match="samples must have one first axis"):
            metrics.bootstrap_interval(key, same, *wrong)


def test_paired_tests_are_those_of_scipy(rng, key):
    first, second = rng.normal(size=(2, 9))
    ours = metrics.paired_t_test(first, second, confidence=0.9)
    theirs = stats.ttest_rel(first, second)
    assert ours.p_value == pytest.approx(theirs.pvalue)
    np.testing.assert_allclose(ours.difference[2:], theirs.confidence_interval(0.9))
    assert metrics.wilcoxon_test(first, second).p_value == pytest.approx(stats.wilcoxon(first, second).pvalue)
    mean = lambda x, y, axis: (x - y).mean(axis)
    exact = stats.permutation_test((first, second), mean, permutation_type="samples", vectorized=True).pvalue
    assert metrics.permutation_test(key, first, second).p_value == pytest.approx(exact)
    drawn = metrics.permutation_test(jax.random.clone(key), first, second, resamples=500).p_value
    assert drawn == pytest.approx(exact, abs=6 * np.sqrt(0.25 / 500) + 1 / 500)


def test_settings_that_are_equal(key):
    same = [0.5, 0.25, 0.125]
    more = [value + 1 for value in same]
    tests = metrics.paired_t_test, metrics.wilcoxon_test, functools.partial(metrics.permutation_test, key)
    assert [test(same, same).p_value for test in tests] == [1, 1, 1]
    assert [test(more, same).p_value for test in tests[:1]] == [0]
    for test in tests:
        assert test(more, same).difference.mean == 1
        for wrong in ((same, same[:2]), ([1.0], [2.0]), ([same], [same])):
            with pytest.raises(ValueError, match="equally many numbers"):
                test(*wrong)


def test_interval_has_one_definition():
    assert report.interval is metrics.interval and report.Interval is metrics.Interval


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: metrics.together({"loss": losses.mean_squared_error}), TypeError, "together: loss must be a Metric"),
        (lambda: metrics.collect(metrics.roc_auc, capacity=0), ValueError, "capacity must be a positive integer"),
        (lambda: metrics.confusion(1.5), ValueError, "classes must be a positive integer"),
        (lambda: metrics.streaming_expected_calibration_error(bins=0), ValueError, "bins must be"),
        (lambda: metrics.confusion_matrix(np.zeros(3), np.zeros(3, int), classes=2), TypeError, r"scores of shape \[3, 2\]"),
        (lambda: metrics.confusion_matrix(np.zeros((3, 2)), np.zeros(3), classes=2), TypeError, "labels must be integers"),
        (lambda: metrics.precision(np.zeros((3, 2))), ValueError, r"matrix must be \(classes, classes\)"),
        (lambda: metrics.recall(np.zeros((2, 2)), average="binary"), ValueError, "average must be macro, micro, weighted or None"),
        (lambda: metrics.f_score(np.zeros((2, 2)), beta=-1.0), ValueError, "beta must be at least 0"),
        (lambda: metrics.roc_auc(np.zeros((3, 1)), np.zeros(3)), ValueError, "roc_auc: shapes differ"),
        (lambda: metrics.r2_score(np.zeros((3, 1)), np.zeros(3)), ValueError, "r2_score: shapes differ"),
        (lambda: metrics.expected_calibration_error(np.zeros((3, 2)), np.zeros(2, int)), ValueError, r"shape \[3\]"),
        (lambda: metrics.ndcg(np.zeros(3), np.zeros(3), k=0), ValueError, "k must be a positive integer"),
        (lambda: metrics.bootstrap_interval(None, np.mean, np.ones(3), confidence=2.0), ValueError, r"in \[0, 1\]"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
