"""Losses of embeddings, of classes by angle, and of generative models: what the table of losses and parity do not say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from programs import one_program_each

import jdl

losses = one_program_each(jdl.losses)


WHERE = np.array([True, False, True, True, False, True])
LABELS = np.array([0, 1, 0, 1, 0, 2])
IN_BATCH = {
    "nt_xent": losses.nt_xent,
    "info_nce": losses.info_nce,
    "clip": losses.clip,
    "siglip": losses.siglip,
    "sup_con": lambda first, second, where: losses.sup_con(first + second, jnp.asarray(LABELS), where=where),
    "barlow_twins": losses.barlow_twins,
    "vicreg": losses.vicreg,
}


def views(rng, samples=6):
    return tuple(jnp.asarray(rng.normal(size=(samples, 3)), jnp.float32) for _ in range(2))


@pytest.mark.parametrize("name", IN_BATCH)
def test_samples_that_are_not_there_change_nothing(rng, name):
    both = jax.jit(jax.value_and_grad(lambda views, where: IN_BATCH[name](*views, where=where), 0))
    first = views(rng)
    value, gradient = both(first, WHERE)
    assert all((g[~WHERE] == 0).all() and (g[WHERE] != 0).any() for g in gradient)
    for wrong in (1e4, jnp.nan):
        again, slope = both(tuple(jnp.where(jnp.asarray(WHERE)[:, None], x, wrong) for x in first), WHERE)
        assert again == value and all((a == b).all() for a, b in zip(slope, gradient))
    nothing, slope = both(first, np.zeros(6, bool))
    assert nothing == 0 and all((g == 0).all() for g in slope)


@pytest.mark.parametrize("name", ["barlow_twins", "vicreg"])
def test_batch_statistics_skip_samples_and_stay_finite(rng, name):
    loss = jax.jit(jax.value_and_grad(IN_BATCH[name]))
    first, second = views(rng)
    masked = IN_BATCH[name](first, second, where=jnp.asarray(WHERE))
    np.testing.assert_allclose(masked, IN_BATCH[name](first[WHERE], second[WHERE]), rtol=1e-4)
    for x, y in ((0 * first, 0 * first), (0 * first, second), (first, first), (1e4 * first, 1e4 * second)):
        value, gradient = loss(x, y)
        assert jnp.isfinite(value) and jnp.isfinite(gradient).all()


def test_barlow_twins_is_that_of_correlations(rng):
    first, second = views(rng)
    standard = [(x - x.mean(0)) / np.sqrt(x.var(0)) for x in map(np.asarray, (first, second))]
    c = standard[0].T @ standard[1] / len(first)
    expected = ((1 - np.diag(c)) ** 2).sum() + 0.1 * ((c**2).sum() - (np.diag(c) ** 2).sum())
    np.testing.assert_allclose(losses.barlow_twins(first, second, redundancy=0.1, epsilon=0.0), expected, rtol=1e-3, atol=1e-4)


def test_vicreg_is_its_three_terms(rng):
    first, second = views(rng)
    expected = 3 * ((np.asarray(first) - np.asarray(second)) ** 2).mean()
    for x in map(np.asarray, (first, second)):
        covariance = np.cov(x.T)
        expected += 5 * np.maximum(0, 1 - np.sqrt(np.diag(covariance) + 1e-4)).mean()
        expected += 7 * (covariance[~np.eye(3, dtype=bool)] ** 2).sum() / 3
    value = losses.vicreg(first, second, invariance=3.0, variance=5.0, covariance=7.0)
    np.testing.assert_allclose(value, expected, rtol=1e-4)


def test_contrastive_losses_agree_where_they_are_the_same(rng):
    first, second = views(rng)
    supervised = losses.sup_con(jnp.concatenate([first, second]), jnp.tile(jnp.arange(6), 2), temperature=0.5)
    np.testing.assert_allclose(supervised, losses.nt_xent(first, second, temperature=0.5), rtol=1e-4)
    ways = losses.info_nce(first, second, temperature=0.5) + losses.info_nce(second, first, temperature=0.5)
    np.testing.assert_allclose(losses.clip(first, second, logit_scale=2.0), ways / 2, rtol=1e-4)
    own = jnp.asarray(np.stack([np.delete(np.asarray(second), i, 0) for i in range(6)]))
    given = losses.info_nce(first, second, own, temperature=0.5, reduction="none")
    np.testing.assert_allclose(given, losses.info_nce(first, second, temperature=0.5, reduction="none"), rtol=1e-4, atol=1e-5)


def test_temperatures_may_be_traced(rng):
    first, second = views(rng)
    sharper = jax.jit(jax.vmap(jax.value_and_grad(lambda t: losses.nt_xent(first, second, temperature=t))))
    value, slope = sharper(jnp.array([0.2, 0.5]))
    np.testing.assert_allclose(value[1], losses.nt_xent(first, second), rtol=1e-5)
    assert jnp.isfinite(slope).all() and (slope != 0).all()


def test_vectors_of_zeros_have_no_direction_and_no_gradient():
    gradient = jax.jit(jax.grad(lambda x: losses.cosine_embedding((x, jnp.ones((2, 3))), jnp.array([1, -1]))))(jnp.zeros((2, 3)))
    assert (gradient == 0).all()


def test_without_margin_angles_are_cosines(rng):
    cosines, labels = jnp.asarray(rng.uniform(-1, 1, (6, 4)), jnp.float32), jnp.asarray(rng.integers(0, 4, 6))
    expected = losses.cross_entropy(8 * cosines, labels, reduction="none")
    for loss in (losses.arc_face, losses.cos_face):
        value = loss(cosines.T, labels, margin=0.0, scale=8.0, axis=0, reduction="none")
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-5)


def test_a_smaller_angle_always_costs_less():
    cosines = jnp.linspace(-1, 1, 201)
    values = losses.arc_face(jnp.stack([cosines, jnp.zeros(201)], 1), jnp.zeros(201, int), scale=4.0, reduction="none")
    assert (jnp.diff(values) < 0).all()


def test_labels_out_of_range_give_nan_under_jit():
    for loss in (losses.arc_face, losses.cos_face, losses.circle):
        assert jnp.isnan(jax.jit(loss)(jnp.zeros((2, 3)), jnp.array([3, -1]))).all()


def test_gradient_of_circle_is_that_of_the_paper(rng):
    s, m, scale = rng.uniform(-0.2, 1, 4).astype("float32"), 0.25, 3.0
    loss = lambda s: losses.circle(s[None], jnp.array([0]), margin=m, scale=scale)
    value, gradient = jax.jit(jax.value_and_grad(loss))(jnp.asarray(s))
    shares = np.exp(scale * (s[1:] ** 2 - m**2))
    moved = 1 - np.exp(-float(value))
    expected = moved * scale * np.concatenate([[s[0] - 1 - m], shares / shares.sum() * (s[1:] + m)])
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)
    for end in (1.0, -1.0):
        _, slope = jax.jit(jax.value_and_grad(lambda s: losses.circle(s[None], jnp.array([0]))))(jnp.full(4, end))
        assert jnp.isfinite(slope).all()


def test_quantisation_moves_codes_to_vectors_and_vectors_to_codes(rng):
    encoded, codes = views(rng)
    loss = lambda encoded, codes: losses.vector_quantization(encoded, codes, commitment=0.3, reduction="sum")
    gradients = jax.grad(loss, (0, 1))(encoded, codes)
    np.testing.assert_allclose(gradients[0], 0.6 * (encoded - codes), rtol=1e-5)
    np.testing.assert_allclose(gradients[1], 2 * (codes - encoded), rtol=1e-5)


def test_gradient_penalty_looks_between_real_and_generated(key):
    critic = lambda x: jnp.square(x).sum(1) / 2  # whose slope is where it is
    real, fake = jnp.full((2000, 1), 2.0), jnp.ones((2000, 1))
    where = jnp.sqrt(losses.gradient_penalty(key, critic, real, fake, target=0.0, reduction="none"))
    assert where.min() > 1 - 1e-5 and where.max() < 2 + 1e-5
    assert abs(where.mean() - 1.5) < 6 * np.sqrt(1 / 12 / 2000) and abs(where.var() - 1 / 12) < 6 * np.sqrt(1 / 180 / 2000)
    again = losses.gradient_penalty(jax.random.clone(key), critic, real, fake, target=0.5, reduction="none")
    np.testing.assert_allclose(again, (where - 0.5) ** 2, rtol=1e-5)


def test_penalty_trains_its_critic(key):
    penalty = lambda slope: losses.gradient_penalty(jax.random.clone(key), lambda x: x @ slope, jnp.ones((3, 2)), jnp.zeros((3, 2)))
    np.testing.assert_allclose(jax.grad(penalty)(jnp.array([3.0, 4.0])), 8 * np.array([0.6, 0.8]), rtol=1e-5)
    steepness = lambda slope: losses.r1_penalty(lambda x: x @ slope, jnp.ones((3, 2)))
    np.testing.assert_allclose(jax.grad(steepness)(jnp.array([3.0, 4.0])), [6.0, 8.0], rtol=1e-5)
    assert (jax.grad(penalty)(jnp.zeros(2)) == 0).all()


def test_discriminators_that_tell_are_one(rng):
    real, fake = views(rng)
    assert losses.minimax_discriminator(real, fake) == losses.non_saturating_discriminator(real, fake)
    assert losses.non_saturating_discriminator(jnp.zeros(2), jnp.zeros(2)).round(4) == jnp.log(4.0).round(4)


def test_free_bits_are_not_pressed():
    cost = lambda mean: losses.negative_elbo(jnp.ones(1), (mean, jnp.zeros((1, 2))), beta=0.5, free_bits=1.0)
    value, gradient = jax.value_and_grad(cost)(jnp.array([[1.0, 2.0]]))
    assert value == 1 + 0.5 * (1 + 2) and gradient.tolist() == [[0.0, 1.0]]


def test_classes_along_another_axis(rng):
    logits, labels = jnp.asarray(rng.normal(size=(6, 4)), jnp.float32), jnp.asarray(rng.integers(0, 2, (6, 4)))
    for loss in (losses.multi_label_margin, losses.multi_label_soft_margin):
        turned = loss(logits.T, labels.T, axis=0, reduction="none")
        np.testing.assert_array_equal(turned, loss(logits, labels, reduction="none"))


X = jnp.ones((2, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.triplet(X, X, X, margin=-1.0), "triplet: margin must be at least 0"),
        (lambda: losses.cosine_embedding((X, X), jnp.ones(2), margin=2.0), r"margin must be in \[-1, 1\]"),
        (lambda: losses.nt_xent(X, X, temperature=0.0), "nt_xent: temperature must be above 0"),
        (lambda: losses.clip(X, X, logit_scale=-1.0), "clip: logit_scale must be above 0"),
        (lambda: losses.arc_face(X, jnp.zeros(2, int), margin=4.0), "arc_face: margin must be in"),
        (lambda: losses.circle(X, jnp.zeros(2, int), scale=0.0), "circle: scale must be above 0"),
        (lambda: losses.barlow_twins(X, X, where=jnp.ones(3, bool)), "barlow_twins: where must have"),
        (lambda: losses.vicreg(X, X, variance=-1.0), "vicreg: variance must be at least 0"),
        (lambda: losses.negative_elbo(jnp.ones(2), (X, X), beta=-1.0), "beta must be at least 0"),
        (lambda: losses.r1_penalty(lambda x: x.sum(), X), r"critic must score each sample of float32\[2, 2\]"),
        (lambda: losses.gradient_penalty(jax.random.key(0), lambda x: x.sum(1), X, X[:1]), "shapes differ"),
    ],
)
def test_bad_options(call, message):
    with pytest.raises(ValueError, match=message):
        call()
