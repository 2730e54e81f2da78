"""Losses, metrics and penalties: what the table of losses does not say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special

from jdl import losses, metrics, paths, regularizers


def numpy_cross_entropy(logits, labels, smoothing=0.0):
    shares = labels if labels.ndim == logits.ndim else np.eye(logits.shape[-1])[labels]
    shares = (1 - smoothing) * shares + smoothing / logits.shape[-1]
    return -(shares * special.log_softmax(logits, -1)).sum(-1)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("one_hot", [False, True])
def test_cross_entropy_values(rng, smoothing, one_hot):
    logits, labels = rng.normal(size=(6, 4)).astype("float32"), rng.integers(0, 4, 6)
    given = np.eye(4, dtype="float32")[labels] if one_hot else labels
    value = losses.cross_entropy(jnp.asarray(logits), jnp.asarray(given), label_smoothing=smoothing, reduction="none")
    np.testing.assert_allclose(value, numpy_cross_entropy(logits, labels, smoothing), rtol=2e-5, atol=1e-6)


def test_cross_entropy_axis(rng):
    logits, labels = jnp.asarray(rng.normal(size=(3, 5, 2)), jnp.float32), jnp.asarray(rng.integers(0, 5, (3, 2)))
    moved = losses.cross_entropy(jnp.moveaxis(logits, 1, -1), labels, reduction="none")
    np.testing.assert_array_equal(losses.cross_entropy(logits, labels, axis=1, reduction="none"), moved)
    one_hot = jax.nn.one_hot(labels, 5, axis=1)
    np.testing.assert_allclose(losses.cross_entropy(logits, one_hot, axis=1, reduction="none"), moved, rtol=1e-5, atol=1e-6)


def test_cross_entropy_gradient_is_softmax_minus_label(rng):
    logits, labels = jnp.asarray(rng.normal(size=(6, 4)), jnp.float32), jnp.asarray(rng.integers(0, 4, 6))
    gradient = jax.grad(lambda logits: losses.cross_entropy(logits, labels, reduction="sum"))(logits)
    np.testing.assert_allclose(gradient, jax.nn.softmax(logits) - jax.nn.one_hot(labels, 4), atol=1e-6)


def test_confident_and_right_costs_nothing():
    assert losses.binary_cross_entropy(jnp.array([50.0]), [True]).item() < 1e-20


def test_accuracy_counts_hits():
    scores = jnp.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    assert metrics.accuracy(scores, jnp.array([1, 0, 0]), reduction="sum") == 2
    assert metrics.accuracy(scores, jnp.eye(2)[jnp.array([1, 0, 0])], reduction="sum") == 2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: losses.cross_entropy(jnp.zeros((2, 3)), jnp.array([0, 1]), label_smoothing=1.5),
            ValueError,
            r"in \[0, 1\], got 1.5",
        ),
        (lambda: regularizers.l2(-1.0), ValueError, "strength must be at least 0, got -1.0"),
        (lambda: regularizers.l1(1.0, "**/kernal")({"kernel": jnp.ones(2)}), ValueError, "matches none of the paths: kernel"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_labels_out_of_range_give_nan_under_jit():
    for label in (3, -1):
        assert jnp.isnan(jax.jit(losses.cross_entropy)(jnp.zeros((1, 3)), jnp.array([label])))


def test_penalties(rng):
    params = {"a": {"kernel": rng.normal(size=(3, 2)).astype("float32"), "bias": rng.normal(size=2).astype("float32")}}
    kernel, bias = params["a"]["kernel"], params["a"]["bias"]
    np.testing.assert_allclose(regularizers.l1(0.3, "**/kernel")(params), 0.3 * np.abs(kernel).sum(), rtol=1e-6)
    np.testing.assert_allclose(regularizers.l2(0.3, "**/kernel")(params), 0.3 * (kernel**2).sum(), rtol=1e-6)
    np.testing.assert_allclose(regularizers.l2(0.3)(params), 0.3 * ((kernel**2).sum() + (bias**2).sum()), rtol=1e-6)
    both = regularizers.l1(0.1, "**/bias")(params) + regularizers.l2(0.2, "**/bias")(params)
    np.testing.assert_allclose(regularizers.elastic_net(0.1, 0.2, "**/bias")(params), both, rtol=1e-6)
    swept = jax.vmap(lambda strength: regularizers.l2(strength)(params))(jnp.array([0.0, 0.3]))
    np.testing.assert_allclose(swept, [0, regularizers.l2(0.3)(params)], rtol=1e-6)


def test_globs_over_paths():
    tree = {"kernel": 0, "a": {"kernel": 0, "bias": 0, "b": {"kernel": 0}}, "akernel": 0}
    found = lambda where: [jax.tree_util.keystr(p, simple=True, separator="/") for p, hit in hits(where) if hit]
    hits = lambda where: jax.tree_util.tree_leaves_with_path(paths.matches(tree, where))
    assert found("**/kernel") == ["a/b/kernel", "a/kernel", "kernel"]
    assert found("a/*") == ["a/bias", "a/kernel"]
    assert found("a/**") == ["a/b/kernel", "a/bias", "a/kernel"]
    assert found("*/kernel") == ["a/kernel"]
    assert found("?/b*") == ["a/bias"]
    assert found("**") == found(None) == ["a/b/kernel", "a/bias", "a/kernel", "akernel", "kernel"]
