"""Mixup and cutmix: what is mixed with what, and by how much."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jdl import augment, losses


def test_mixup_mixes_inputs_and_targets_alike(key, rng):
    """Labels given as probabilities are mixed like inputs, so rows that hold their own label show both."""
    labels = rng.permutation(6)
    inputs = np.eye(6, dtype="float32")[labels]
    mixed, shares = jax.jit(lambda key: augment.mixup(key, (inputs, jnp.asarray(labels)), 1.0, classes=6))(key)
    np.testing.assert_array_equal(mixed, shares)
    np.testing.assert_allclose(shares.sum(-1), 1, rtol=1e-6)
    permutation, coefficient = augment.draw_mix(jax.random.clone(key), 6, 1.0)
    expected = coefficient * inputs + (1 - coefficient) * inputs[permutation]
    np.testing.assert_allclose(mixed, expected, rtol=1e-6)


def test_mixup_takes_trees_and_float_targets(key):
    inputs = {"a": jnp.arange(4.0), "b": jnp.arange(4.0).reshape(4, 1).astype("bfloat16")}
    mixed, targets = augment.mixup(key, (inputs, 2 * jnp.arange(4.0)), 0.5)
    np.testing.assert_allclose(targets, 2 * mixed["a"], rtol=1e-6)
    np.testing.assert_allclose(mixed["b"].astype("float32").squeeze(-1), mixed["a"], rtol=1e-2)
    assert mixed["b"].dtype == jnp.bfloat16


def test_coefficients_are_beta_distributed(key):
    draws = 4000
    alphas = jnp.repeat(jnp.array([0.0, 0.3, 2.0]), draws)  # traced, and 0 among them
    keys = jax.random.split(key, 3 * draws)
    _, coefficients = jax.jit(jax.vmap(lambda key, alpha: augment.draw_mix(key, 3, alpha)))(keys, alphas)
    none, *drawn = np.asarray(coefficients).reshape(3, draws)
    assert (none == 1).all()
    for alpha, values in zip((0.3, 2.0), drawn):
        assert stats.kstest(values, stats.beta(alpha, alpha).cdf).statistic < 2.63 / draws**0.5  # one in a million by chance


def test_cutmix_targets_are_shares_of_pixels(key):
    images = jnp.broadcast_to(jnp.arange(5.0).reshape(5, 1, 1, 1), (5, 7, 9, 2))

    def one(key):
        mixed, shares = augment.cutmix(key, (images, jnp.arange(5)), 1.0, classes=5)
        pixels = jax.nn.one_hot(mixed.astype(int), 5).mean((1, 2, 3))
        return mixed, shares, pixels

    mixed, shares, pixels = jax.jit(jax.vmap(one))(jax.random.split(key, 200))
    np.testing.assert_allclose(shares, pixels, atol=1e-6)
    changed = np.asarray(mixed != jnp.expand_dims(images, 0)).any((1, -1))
    for box in changed[:50]:  # where any image changed
        rows, columns = box.any(1), box.any(0)
        np.testing.assert_array_equal(box, rows[:, None] & columns[None])  # a rectangle
        assert all((np.diff(np.flatnonzero(side)) == 1).all() for side in (rows, columns))  # without gaps
    assert changed.any((1, 2)).mean() > 0.5 and len(np.unique(changed.sum((1, 2)))) > 10


def test_no_mixing_without_alpha(key):
    images, labels = jnp.arange(32.0).reshape(2, 4, 4, 1), jnp.array([1, 0])
    mixed, shares = augment.cutmix(key, (images, labels), 0.0, classes=2)
    np.testing.assert_array_equal(mixed, images)
    np.testing.assert_array_equal(shares, jnp.eye(2)[labels])


def test_mix_by_sample_and_gradient(rng):
    x, permutation = jnp.asarray(rng.normal(size=(3, 4)), jnp.float32), jnp.array([2, 0, 1])
    coefficient = jnp.array([0.0, 0.5, 1.0])
    mixed = augment.mix(x, permutation, coefficient)
    np.testing.assert_allclose(mixed, np.stack([x[2], (x[1] + x[0]) / 2, x[2]]), rtol=1e-6)
    gradient = jax.grad(lambda c: augment.mix(x, permutation, c).sum())(0.3)
    np.testing.assert_allclose(gradient, 0, atol=1e-5)  # a permutation keeps the sum


def test_mixed_targets_go_into_the_loss(key, rng):
    """Cross-entropy with mixed targets is the mean of both cross-entropies."""
    logits, labels = jnp.asarray(rng.normal(size=(6, 4)), jnp.float32), jnp.asarray(rng.integers(0, 4, 6))
    _, shares = augment.mixup(key, (logits, labels), 1.0, classes=4)
    permutation, coefficient = augment.draw_mix(jax.random.clone(key), 6, 1.0)
    both = losses.cross_entropy(logits, labels), losses.cross_entropy(logits, labels[permutation])
    expected = coefficient * both[0] + (1 - coefficient) * both[1]
    np.testing.assert_allclose(losses.cross_entropy(logits, shares), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda key: augment.mixup(key, (jnp.ones((2, 3)), jnp.array([0, 1])), 0.2), ValueError, "labels, so classes must be"),
        (lambda key: augment.mixup(key, (jnp.ones((2, 3)), jnp.array([0, 5])), 0.2, classes=3), ValueError, r"lie in 0\.\.2"),
        (lambda key: augment.mixup(key, (jnp.ones((2, 3), "uint8"), jnp.ones(2)), 0.2), TypeError, "floating-point"),
        (lambda key: augment.mixup(key, (jnp.ones((2, 3)), jnp.ones(2)), -1.0), ValueError, "alpha must be at least 0"),
        (lambda key: augment.mixup(key, (jnp.ones((2, 3)), jnp.ones(3)), 0.2), ValueError, "mix: permutation and coefficient"),
        (lambda key: augment.cutmix(key, (jnp.ones((2, 3)), jnp.ones(2)), 0.2), ValueError, r"\(batch, height, width, channels\)"),
        (lambda key: augment.mix(jnp.ones((2, 3)), jnp.arange(2), jnp.ones(3)), ValueError, "mix: permutation and coefficient"),
    ],
)
def test_bad_input(key, call, error, message):
    with pytest.raises(error, match=message):
        call(key)
