"""Losses and metrics of sequences: what the table of losses and PyTorch do not show."""

import collections
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from loss_rows.sequences import common, distance, transducer
from tolerances import assert_close

from jdl import losses, metrics

LENGTHS = np.array([0, 5, 3, 1, 4]), np.array([4, 0, 3, 2, 4])


def test_ctc_without_alignment_is_infinite_and_has_no_gradient(rng):
    logits = jnp.asarray(rng.normal(size=(3, 3, 4)), jnp.float32)
    labels = jnp.array([[1, 1, 2], [1, 2, 3], [3, 3, 3]])  # that need 4 and 3 frames, and of the third there is none
    counts = jnp.array([3, 3, 0])

    def loss(logits, where=None, frames=(3, 3, 0)):
        return losses.ctc(logits, labels, logit_lengths=np.array(frames), label_lengths=counts, where=where, reduction="none")

    np.testing.assert_array_equal(jnp.isinf(loss(logits)), [True, False, False])
    np.testing.assert_array_equal(jnp.isinf(loss(logits, frames=(3, 3, 3))), [True, False, False])
    assert loss(logits)[2] == 0
    gradient = jax.grad(lambda logits: loss(logits).sum())(logits)
    assert jnp.isfinite(gradient).all() and (gradient[0] == 0).all() and (gradient[1] != 0).any()
    assert jnp.isfinite(loss(logits, where=jnp.array([False, True, True]))).all()


def test_ctc_is_right_where_optax_takes_an_impossible_path():
    """Optax's probability of the impossible is exp(-1e5), more than these labels have."""
    logits = jnp.tile(jnp.array([[-1e5, 0.0, -1e5]]), (1, 3, 1))
    labels = jnp.array([[1, 1]])  # that need a blank between them
    assert losses.ctc(logits * 10, labels).item() == 1e6
    assert optax.ctc_loss(logits * 10, jnp.zeros((1, 3)), labels, jnp.zeros((1, 2))).item() < 2e5


def test_padding_may_be_anything(rng):
    logits = jnp.asarray(rng.normal(size=(2, 4, 3, 4)), jnp.float32)
    lengths = {"logit_lengths": np.array([4, 2]), "label_lengths": np.array([2, 1])}
    spoilt = logits.at[1, 2:].set(1e4).at[1, :, 2:].set(-1e4)
    for loss, a, b in ((losses.ctc, logits[:, :, 0], spoilt[:, :, 0]), (losses.rnn_transducer, logits, spoilt)):
        expected = loss(a, jnp.array([[1, 2], [3, 0]]), **lengths)
        assert_close(loss(b, jnp.array([[1, 2], [3, -100]]), **lengths), expected)


def test_transducer_lengths_and_blank(rng):
    logits = rng.normal(size=(5, 4, 3, 4)).astype("float32")
    labels, frames, counts = rng.integers(1, 4, (5, 2)), np.array([4, 3, 1, 2, 0]), np.array([2, 1, 2, 0, 2])
    call = functools.partial(losses.rnn_transducer, logit_lengths=frames, label_lengths=counts, reduction="none")
    values = call(jnp.asarray(logits), labels)
    for b in range(4):
        expected = transducer(logits[b : b + 1, : frames[b], : counts[b] + 1], labels[b : b + 1, : counts[b]])
        np.testing.assert_allclose(values[b], expected[0], rtol=1e-5)
    assert jnp.isinf(values[4])
    assert_close(call(jnp.roll(logits, -1, -1), labels - 1, blank=3), values)
    gradient = jax.grad(lambda logits: call(logits, labels).sum())(logits)
    used = np.abs(gradient).sum(-1) > 0
    inside = np.arange(4)[:, None] < frames[:, None, None], np.arange(3) <= counts[:, None, None]
    np.testing.assert_array_equal(used, inside[0] & inside[1])


def test_labels_out_of_range_give_nan_under_jit(rng):
    logits = jnp.zeros((4, 3, 2, 3))
    labels = jnp.array([[1], [3], [-1], [0]])
    for loss, scores in ((losses.ctc, logits[:, :, 0]), (losses.rnn_transducer, logits)):
        values = jax.jit(functools.partial(loss, reduction="none"))(scores, labels)
        np.testing.assert_array_equal(jnp.isnan(values), [False, True, True, True])


def both(key):
    """The mean of what every argument of `linear_cross_entropy` matters for, and the same by `cross_entropy`."""
    keys = jax.random.split(key, 5)
    arrays = {"x": (2, 5, 4), "kernel": (4, 7), "bias": (7,)}
    arguments = {name: jax.random.normal(k, shape) for k, (name, shape) in zip(keys, arrays.items())}
    arguments |= {"smoothing": jnp.float32(0.2), "weights": jax.random.uniform(keys[3], (2, 5))}
    labels = jax.random.randint(keys[4], (2, 5), 0, 7)

    def ours(p, reduction="mean"):
        named = {"bias": p["bias"], "label_smoothing": p["smoothing"], "weights": p["weights"], "reduction": reduction}
        return losses.linear_cross_entropy(p["x"], p["kernel"], labels, chunk=3, **named)

    def plain(p, reduction="mean"):
        logits = p["x"] @ p["kernel"] + jnp.expand_dims(p["bias"], (0, 1))
        return losses.cross_entropy(logits, labels, label_smoothing=p["smoothing"], weights=p["weights"], reduction=reduction)

    return arguments, ours, plain


TRANSFORMS = {
    "value_and_grad": lambda loss, p: jax.value_and_grad(loss)(p),
    "jvp": lambda loss, p: jax.jvp(loss, (p,), (p,)),
    "jvp_of_grad": lambda loss, p: jax.jvp(jax.grad(loss), (p,), (p,)),
    "grad_of_jvp": lambda loss, p: jax.grad(lambda q: jax.jvp(loss, (q,), (p,))[1])(p),
    "grad_of_grad": lambda loss, p: jax.grad(lambda q: optax.tree.norm(jax.grad(loss)(q), squared=True))(p),
    "vmap_of_grad": lambda loss, p: jax.vmap(jax.grad(loss))(jax.tree.map(lambda a: jnp.stack([a, a / 2]), p)),
    "vjp_of_none": lambda loss, p: jax.vjp(lambda q: loss(q, "none"), p)[1](jnp.cos(jnp.arange(10.0)).reshape(2, 5)),
    "jvp_of_none": lambda loss, p: jax.jvp(lambda q: loss(q, "none"), (p,), (p,)),
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_linear_cross_entropy_under_transforms(key, transform):
    p, ours, plain = both(key)
    compiled = [jax.jit(functools.partial(transform, loss))(p) for loss in (ours, plain)]
    assert_close(*compiled, scale=3.0)


def test_linear_cross_entropy_never_holds_all_logits():
    x, kernel, labels = jnp.zeros((1024, 4)), jnp.zeros((4, 1000)), jnp.zeros(1024, int)
    temporary = lambda loss: (
        jax.jit(jax.value_and_grad(loss, (0, 1))).lower(x, kernel).compile().memory_analysis().temp_size_in_bytes
    )
    logits = 4 * 1024 * 1000
    assert temporary(lambda x, kernel: losses.cross_entropy(x @ kernel, labels)) > logits
    for reduction in ("mean", "none"):
        loss = lambda x, kernel: losses.linear_cross_entropy(x, kernel, labels, chunk=32, reduction=reduction).sum()  # noqa: B023
        assert temporary(loss) < logits / 4


def test_linear_cross_entropy_in_half_precision_sums_in_float32(key):
    x, kernel = (jax.random.normal(k, shape, jnp.bfloat16) for k, shape in zip(jax.random.split(key), ((6, 8), (8, 5))))
    labels = jnp.arange(6) % 5
    wide = jax.value_and_grad(losses.linear_cross_entropy, (0, 1))(x.astype(jnp.float32), kernel.astype(jnp.float32), labels)
    value, gradient = jax.value_and_grad(losses.linear_cross_entropy, (0, 1))(x, kernel, labels)
    assert_close(value, wide[0])
    assert_close(gradient, jax.tree.map(lambda a: a.astype(jnp.bfloat16), wide[1]))


def test_linear_cross_entropy_of_masked_classes_and_no_samples():
    bias = jnp.array([0.0, -jnp.inf, 0.0])
    assert_close(losses.linear_cross_entropy(jnp.zeros((2, 4)), jnp.zeros((4, 3)), jnp.array([0, 2]), bias=bias), jnp.log(2.0))
    for reduction, shape in (("mean", ()), ("sum", ()), ("none", (0,))):
        value = losses.linear_cross_entropy(jnp.zeros((0, 4)), jnp.zeros((4, 3)), jnp.zeros(0, int), reduction=reduction)
        assert value.shape == shape and not value.any()


def sequences(rng):
    """Predictions and targets, of few tokens so that there is something in common, and lists without padding."""
    predictions, targets = rng.integers(0, 2, (5, 5)), rng.integers(0, 2, (5, 4))
    lists = [(tuple(p[:m].tolist()), tuple(t[:n].tolist())) for p, t, m, n in zip(predictions, targets, *LENGTHS)]
    return jnp.asarray(predictions), jnp.asarray(targets), lists


def test_lengths_of_metrics(rng):
    predictions, targets, lists = sequences(rng)
    named = dict(zip(("prediction_lengths", "target_lengths"), LENGTHS))
    distances = [distance(*pair) for pair in lists]
    np.testing.assert_array_equal(metrics.edit_distance(predictions, targets, **named, reduction="none"), distances)
    counts = metrics.word_error_counts(predictions, targets, **named)
    np.testing.assert_array_equal(counts["errors"], distances)
    np.testing.assert_allclose(metrics.word_error_rate(predictions, targets, **named), sum(distances) / LENGTHS[1].sum(), rtol=1e-6)
    where = jnp.array([True, False, True, True, False])
    kept = [distances[i] / LENGTHS[1][[0, 2, 3]].sum() for i in (0, 2, 3)]
    np.testing.assert_allclose(metrics.word_error_rate(predictions, targets, **named, where=where), sum(kept), rtol=1e-6)
    expected = [2 * common(*pair) / max(1, len(pair[0]) + len(pair[1])) for pair in lists]
    np.testing.assert_allclose(metrics.rouge_l(predictions, targets, **named, reduction="none"), expected, rtol=1e-6)


def brute_bleu(lists):
    """By multisets of tuples."""
    grams = lambda tokens, n: collections.Counter(tokens[i : i + n] for i in range(len(tokens) - n + 1))
    matches = [sum((grams(p, n) & grams(t, n)).total() for p, t in lists) for n in range(1, 5)]
    possible = [sum(grams(p, n).total() for p, _ in lists) for n in range(1, 5)]
    if 0 in matches:
        return 0.0
    words, wanted = (sum(len(pair[side]) for pair in lists) for side in (0, 1))
    return math.exp(min(0, 1 - wanted / words)) * math.prod(m / p for m, p in zip(matches, possible)) ** 0.25


def test_bleu(rng):
    predictions, targets = rng.integers(0, 3, (3, 9)), rng.integers(0, 3, (3, 12))
    predictions[0, :5] = targets[0, 2:7]  # so that there is a common 4-gram
    lengths = np.array([9, 7, 2]), np.array([12, 10, 3])
    named = dict(zip(("prediction_lengths", "target_lengths"), lengths))
    lists = [(tuple(p[:m].tolist()), tuple(t[:n].tolist())) for p, t, m, n in zip(predictions, targets, *lengths)]
    expected = brute_bleu(lists)
    assert expected > 0
    np.testing.assert_allclose(metrics.bleu(predictions, targets, **named), expected, rtol=1e-5)
    assert_close(jax.jit(metrics.bleu)(predictions, targets, **named), jnp.float32(expected))
    counts = metrics.bleu_counts(predictions, targets, **named)
    np.testing.assert_allclose(metrics.bleu_from_counts(jax.tree.map(lambda a: a.sum(0), counts)), expected, rtol=1e-5)
    weighted = metrics.bleu(predictions, targets, **named, weights=jnp.array([2, 0, 1]))
    np.testing.assert_allclose(weighted, brute_bleu([lists[0], lists[0], lists[2]]), rtol=1e-5)


def test_bleu_without_anything_in_common_is_0():
    assert metrics.bleu(jnp.zeros((1, 5), int), jnp.ones((1, 5), int)) == 0
    assert metrics.bleu(jnp.zeros((2, 3), int), jnp.zeros((2, 3), int)) == 0  # too short for 4-grams
    assert metrics.bleu(jnp.zeros((2, 0), int), jnp.zeros((2, 3), int)) == 0


def test_perplexity_merges_exactly(rng):
    logits, labels = jnp.asarray(rng.normal(size=(4, 3, 5)), jnp.float32), rng.integers(0, 5, (4, 3))
    where = np.arange(3) < np.array([[3], [1], [2], [0]])
    scores = jax.nn.log_softmax(logits)[np.arange(4)[:, None], np.arange(3), labels]
    expected = np.exp(-np.asarray(scores)[where].mean())
    np.testing.assert_allclose(metrics.perplexity(logits, labels, where=where), expected, rtol=1e-5)
    counts = metrics.perplexity_counts(logits, labels, where=where)
    np.testing.assert_allclose(np.exp(counts["total"].sum() / counts["tokens"].sum()), expected, rtol=1e-5)
    np.testing.assert_array_equal(counts["tokens"], [3, 1, 2, 0])


TOKENS, LOGITS = np.ones((2, 3), int), np.zeros((2, 3, 4, 5), "float32")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: losses.ctc(LOGITS[:, :, 0], TOKENS, logit_lengths=np.array([3, 4])), ValueError, "logit_lengths must lie in 0..3"),
        (lambda: losses.ctc(LOGITS[:, :, 0], TOKENS, label_lengths=np.array([4, 1])), ValueError, "label_lengths .* found 4"),
        (lambda: losses.ctc(LOGITS[:, :, 0], TOKENS, label_lengths=np.ones(3, int)), ValueError, r"label_lengths must be \[2\]"),
        (lambda: losses.ctc(LOGITS[:, :, 0], TOKENS, blank=5), ValueError, r"blank must be in \[0, 4\]"),
        (lambda: losses.rnn_transducer(LOGITS, TOKENS, logit_lengths=np.array([-1, 1])), ValueError, "found -1"),
        (lambda: losses.rnn_transducer(LOGITS, TOKENS, logit_lengths=np.ones(2)), TypeError, "logit_lengths must be integers"),
        (
            lambda: metrics.bleu(TOKENS, TOKENS, prediction_lengths=np.array([4, 1])),
            ValueError,
            "prediction_lengths must lie",
        ),
        (lambda: metrics.word_error_rate(TOKENS, TOKENS, target_lengths=np.array([4, 1])), ValueError, "target_lengths must lie"),
        (
            lambda: losses.linear_cross_entropy(jnp.ones((2, 3)), jnp.ones((3, 4)), TOKENS[:, 0], chunk=0),
            ValueError,
            "chunk must be",
        ),
        (
            lambda: losses.linear_cross_entropy(jnp.ones((2, 3)), jnp.ones((3, 4)), TOKENS[:, 0], bias=jnp.ones(3)),
            ValueError,
            r"bias must be \[4\]",
        ),
        (
            lambda: losses.linear_cross_entropy(jnp.ones((2, 3)), jnp.ones((3, 4)), TOKENS[:, 0], label_smoothing=2),
            ValueError,
            r"label_smoothing must be in \[0, 1\]",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
