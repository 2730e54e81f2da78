"""Losses of classes, divergences and distances between samples: what the table of losses and PyTorch do not say."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import optimize, special, stats
from sklearn import metrics
from tolerances import assert_close

from jdl import functional, losses

CLASS_WEIGHTS = jnp.array([0.5, 2.0, 1.25, 3.0])


@pytest.fixture
def logits(rng):
    return jnp.asarray(rng.normal(size=(6, 4)), jnp.float32)


@pytest.fixture
def labels(rng):
    return jnp.asarray(rng.integers(4, size=6))


@pytest.fixture
def clouds(rng):
    return jnp.asarray(rng.normal(size=(7, 2)), jnp.float32), jnp.asarray(rng.normal(size=(5, 2)) + 0.5, jnp.float32)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_class_weights_agree_for_integers_and_one_hot(logits, labels, smoothing):
    loss = functools.partial(losses.cross_entropy, class_weights=CLASS_WEIGHTS, label_smoothing=smoothing)
    for reduction in ("none", "sum", "mean"):
        assert_close(loss(logits, labels, reduction=reduction), loss(logits, jax.nn.one_hot(labels, 4), reduction=reduction))


def test_class_weights_are_weights_of_samples(logits, labels):
    weights = CLASS_WEIGHTS[labels]
    expected = losses.cross_entropy(logits, labels, weights=weights)
    assert_close(losses.cross_entropy(logits, labels, class_weights=CLASS_WEIGHTS), expected)
    log_shares = jax.nn.log_softmax(logits)
    assert_close(losses.negative_log_likelihood(log_shares, labels, class_weights=CLASS_WEIGHTS), expected)
    both = losses.cross_entropy(logits, labels, class_weights=CLASS_WEIGHTS, weights=jnp.arange(6.0))
    assert_close(both, losses.cross_entropy(logits, labels, weights=weights * jnp.arange(6)))


def test_ignored_labels_count_for_nothing(logits):
    ignored = jnp.array([0, -100, 3, -100, 1, 2])
    keep = np.array([0, 2, 4, 5])
    loss = functools.partial(losses.cross_entropy, class_weights=CLASS_WEIGHTS, label_smoothing=0.1)
    expected = loss(logits[keep], ignored[keep])
    assert_close(loss(logits, ignored, ignore_index=-100), expected)
    assert_close(jax.jit(functools.partial(loss, ignore_index=-100))(logits, ignored), expected)
    assert losses.cross_entropy(logits, np.full(6, 255, np.uint8), ignore_index=255) == 0
    spoilt = logits.at[1].set(jnp.nan)
    assert_close(losses.negative_log_likelihood(spoilt, ignored, ignore_index=-100), -logits[keep, ignored[keep]].mean())
    with pytest.raises(ValueError, match=r"found -7 at index \[0\]"):
        losses.cross_entropy(logits, ignored.at[0].set(-7), ignore_index=-100)


def test_labels_out_of_range_give_nan_under_jit(logits):
    for loss in (losses.focal, losses.negative_log_likelihood, losses.symmetric_cross_entropy, losses.multiclass_hinge):
        for label in (-1, 4):
            assert jnp.isnan(jax.jit(loss)(logits[:1], jnp.array([label]))), loss.__name__
    weighted = jax.jit(functools.partial(losses.cross_entropy, class_weights=CLASS_WEIGHTS))
    assert jnp.isnan(weighted(logits[:1], jnp.array([-1])))


def test_losses_of_probabilities_are_those_of_logits(logits, labels):
    p = jax.nn.softmax(logits)
    assert_close(losses.cross_entropy_from_probabilities(p, labels), losses.cross_entropy(logits, labels), scale=3.0)
    soft = jax.nn.softmax(logits[::-1])
    assert_close(losses.cross_entropy_from_probabilities(p, soft), losses.cross_entropy(logits, soft), scale=3.0)
    p = jax.nn.sigmoid(logits)
    assert_close(losses.binary_cross_entropy_from_probabilities(p, soft), losses.binary_cross_entropy(logits, soft), scale=3.0)


def test_wrong_and_certain_has_a_finite_cost_and_slope():
    loss = lambda p, label: losses.binary_cross_entropy_from_probabilities(p, label)
    for p, label, slope in ((0.0, 1, -1e12), (1.0, 0, 1e12)):
        value, gradient = jax.value_and_grad(loss)(jnp.array([p]), jnp.array([label]))
        np.testing.assert_allclose([value, gradient[0]], [1 - np.log(1e-12), slope], rtol=1e-5)
    value, gradient = jax.value_and_grad(loss)(jnp.array([1.0, 0.0]), jnp.array([1, 0]))
    np.testing.assert_allclose([value, *gradient], [0, -0.5, 0.5])


def test_what_other_losses_become_at_the_ends_of_their_options(logits, labels):
    plain = losses.cross_entropy(logits, labels, reduction="none")
    share = jnp.take_along_axis(jax.nn.softmax(logits), labels[:, None], 1)[:, 0]
    binary = jax.nn.one_hot(labels, 4)
    for value, expected in (
        (losses.focal(logits, labels, gamma=0, reduction="none"), plain),
        (losses.binary_focal(logits, binary, gamma=0), losses.binary_cross_entropy(logits, binary)),
        (losses.poly(logits, labels, epsilon=0, reduction="none"), plain),
        (losses.generalized_cross_entropy(logits, labels, q=0, reduction="none"), plain),
        (losses.generalized_cross_entropy(logits, labels, q=1, reduction="none"), 1 - share),
        (losses.symmetric_cross_entropy(logits, labels, alpha=1, beta=0, reduction="none"), plain),
        (losses.kl_divergence_from_logits(logits, binary, reduction="none"), plain),
    ):
        assert_close(value, expected)
    slope = lambda gamma: jax.grad(lambda z: losses.focal(z, labels, gamma=gamma))(logits)
    assert_close(jax.jit(slope)(0.0), jax.grad(lambda z: losses.cross_entropy(z, labels))(logits))


def test_hinges_are_those_of_scikit_learn_and_optax(logits, labels, rng):
    scores, signs = logits[:, 0], rng.choice([-1, 1], size=6)
    np.testing.assert_allclose(losses.hinge(scores, signs), metrics.hinge_loss(signs, scores, labels=[-1, 1]), rtol=1e-5)
    expected = metrics.hinge_loss(labels, logits, labels=range(4))
    np.testing.assert_allclose(losses.multiclass_hinge(logits, labels), expected, rtol=1e-5)
    assert_close(losses.multiclass_hinge(logits, labels, reduction="none"), optax.losses.multiclass_hinge_loss(logits, labels))
    for loss in (losses.hinge, losses.squared_hinge, losses.perceptron):
        for given in (signs > 0, (signs > 0).astype(int), signs.astype("float32")):
            assert loss(scores, given) == loss(scores, signs)


def test_sparsemax_has_the_gradient_of_a_fenchel_young_loss(logits, labels):
    gradient = jax.jit(jax.grad(lambda z, given: losses.sparsemax(z, given, reduction="sum")))
    soft = functional.sparsemax(logits[::-1])
    logits = (logits * 64).round() / 64  # exact beside the shift
    for given, shares in ((labels, jax.nn.one_hot(labels, 4)), (soft, soft)):
        for shift in (0.0, 1e4):
            assert_close(gradient(logits + shift, given), functional.sparsemax(logits) - shares)
    assert_close(losses.sparsemax(logits, functional.sparsemax(logits)), jnp.array(0.0))
    curvature = jax.jit(jax.hessian(lambda z: losses.sparsemax(z, jnp.array(0))))(jnp.array([0.5, 0.25, -3.0]))
    np.testing.assert_allclose(curvature, [[0.5, -0.5, 0], [-0.5, 0.5, 0], [0, 0, 0]], atol=1e-6)


def test_distillation_keeps_the_size_of_gradients(logits):
    """For high temperatures it matches logits without their means: the gradient is their difference over the classes."""
    teacher = logits[::-1]
    gradient = jax.grad(lambda z: losses.distillation(z, teacher, temperature=1e3, reduction="sum"))(logits)
    centre = lambda z: z - z.mean(-1, keepdims=True)
    np.testing.assert_allclose(gradient, (centre(logits) - centre(teacher)) / 4, atol=2e-2)
    slope = jax.grad(lambda z: losses.distillation(z, teacher, temperature=1.0))(logits)
    assert_close(slope, jax.grad(lambda z: losses.cross_entropy(z, jax.nn.softmax(teacher)))(logits))


def test_divergences_of_distributions_with_zeros():
    first, second = jnp.array([1.0, 0.0, 0.0]), jnp.array([0.0, 0.5, 0.5])
    for loss, farthest in ((losses.jensen_shannon, np.log(2)), (losses.hellinger, 1), (losses.total_variation_distance, 1)):
        for p, q, expected in ((first, second, farthest), (second, first, farthest), (first, first, 0)):
            value, gradient = jax.value_and_grad(loss)(jnp.log(q), p)
            np.testing.assert_allclose(value, expected, atol=1e-6)
            assert jnp.isfinite(gradient).all(), loss.__name__
    assert losses.kl_divergence(jnp.log(first), second) == jnp.inf
    assert losses.kl_divergence(jnp.log(first), first) == losses.reverse_kl(jnp.log(first), first) == 0
    gradient = jax.grad(losses.kl_divergence, 1)(jnp.log(jnp.full(3, 1 / 3)), second)  # Optax's is NaN
    assert jnp.isfinite(gradient).all() and jnp.isnan(jax.grad(optax.losses.kl_divergence, 1)(jnp.zeros(3), second)).any()


def test_renyi_is_continuous_at_one_and_grows(logits):
    p, log_q = jax.nn.softmax(logits), jax.nn.log_softmax(logits[::-1])
    at = lambda alpha: losses.renyi(log_q, p, alpha=alpha)
    swept = jax.jit(jax.vmap(at))(jnp.array([0.0, 0.5, 1 - 1e-4, 1.0, 1 + 1e-4, 2.0, 30.0]))
    assert (jnp.diff(swept) > -1e-6).all()
    assert_close(swept[3], losses.kl_divergence(log_q, p))
    np.testing.assert_allclose(swept[jnp.array([2, 4])], swept[3], rtol=1e-3, atol=1e-5)
    overlap = jnp.log(jnp.sqrt(p * jnp.exp(log_q)).sum(-1))
    assert_close(at(0.5), -2 * overlap.mean(), scale=3.0)


def test_gaussian_divergence_is_that_of_samples(rng):
    p, q = (np.array([0.5, -1.0]), np.array([-0.5, 0.3])), (np.array([0.0, 0.25]), np.array([0.4, -0.2]))
    x = rng.normal(p[0], np.exp(p[1] / 2), size=(20000, 2))
    log_density = lambda mean, log_variance: stats.norm.logpdf(x, mean, np.exp(log_variance / 2)).sum(-1)
    ratios = log_density(*p) - log_density(*q)
    p, q = jax.tree.map(jnp.asarray, (p, q))
    assert abs(losses.gaussian_kl(p, q) - ratios.mean()) < 6 * ratios.std() / np.sqrt(len(ratios))
    standard = (jnp.zeros(2), jnp.zeros(2))
    assert_close(losses.gaussian_kl(p), losses.gaussian_kl(p, standard))
    assert losses.gaussian_kl(p, p) == 0


@pytest.mark.parametrize("unbiased", [False, True])
def test_maximum_mean_discrepancy_is_that_of_all_pairs(clouds, unbiased):
    x, y = (np.asarray(points, np.float64) for points in clouds)
    kernel = lambda a, b: np.mean([np.exp(-((a - b) ** 2).sum() / (2 * width**2)) for width in (0.5, 2.0)])
    own = lambda a: np.mean([kernel(p, q) for i, p in enumerate(a) for j, q in enumerate(a) if not unbiased or i != j])
    expected = own(x) + own(y) - 2 * np.mean([kernel(p, q) for p in x for q in y])
    value = losses.maximum_mean_discrepancy(*clouds, bandwidths=jnp.array([0.5, 2.0]), unbiased=unbiased)
    np.testing.assert_allclose(value, expected, atol=1e-5)


def test_energy_distance_is_that_of_scipy(clouds):
    x, y = (points[:, :1] for points in clouds)
    np.testing.assert_allclose(losses.energy_distance(x, y), stats.energy_distance(x[:, 0], y[:, 0]) ** 2, atol=1e-5)


@pytest.mark.parametrize(
    "distance",
    [
        losses.maximum_mean_discrepancy,
        functools.partial(losses.maximum_mean_discrepancy, unbiased=True),
        losses.energy_distance,
        functools.partial(losses.sinkhorn, iterations=5),
    ],
    ids=["biased", "unbiased", "energy", "sinkhorn"],
)
def test_weights_of_points_are_repetition(clouds, distance):
    x, y = clouds
    counts = np.array([1, 2, 0, 3, 1, 0, 1])
    spoilt = x.at[2].set(jnp.nan)
    weighted, gradient = jax.jit(jax.value_and_grad(lambda x: distance(x, y, x_weights=jnp.asarray(counts))))(spoilt)
    assert_close(weighted, jax.jit(distance)(jnp.repeat(x, counts, 0), y), scale=3.0)
    assert jnp.isfinite(gradient).all() and (gradient[2] == 0).all()


def test_distances_between_samples_are_0_with_a_finite_gradient_for_equal_points(clouds):
    x, _ = clouds
    divergence = functools.partial(losses.sinkhorn_divergence, iterations=5)
    for distance in (losses.maximum_mean_discrepancy, losses.energy_distance, divergence):
        value, gradient = jax.jit(jax.value_and_grad(distance))(x, x)
        assert abs(value) < 1e-5 and jnp.isfinite(gradient).all()


def test_sinkhorn_with_little_entropy_is_optimal_transport(rng):
    x, y = (jnp.asarray(rng.normal(size=(6, 2)), jnp.float32) for _ in range(2))
    costs = ((np.asarray(x)[:, None] - np.asarray(y)[None]) ** 2).sum(-1)
    best = costs[optimize.linear_sum_assignment(costs)].mean()
    value = losses.sinkhorn(x, y, epsilon=0.02, iterations=2000)
    assert best - 1e-3 < value < best + 0.02 * np.log(6) + 1e-3  # entropy lies between 0 and log 6


def test_sinkhorn_is_the_primal_value_of_its_plan(clouds):
    x, y = (np.asarray(points, np.float64) for points in clouds)
    costs, p, q = ((x[:, None] - y[None]) ** 2).sum(-1), np.full(7, 1 / 7), np.full(5, 1 / 5)
    gibbs, v = np.exp(-costs / 2.0), np.ones(5)
    for _ in range(300):
        u = p / (gibbs @ v)
        v = q / (gibbs.T @ u)
    plan = u[:, None] * gibbs * v[None]
    expected = (plan * costs).sum() + 2.0 * special.rel_entr(plan, np.outer(p, q)).sum()
    value, gradient = jax.value_and_grad(functools.partial(losses.sinkhorn, epsilon=2.0, iterations=50))(*clouds)
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    np.testing.assert_allclose(gradient, 2 * (plan[..., None] * (x[:, None] - y[None])).sum(1), atol=1e-4)  # the envelope theorem
    far = losses.sinkhorn(clouds[0] * 1e4, clouds[1] * 1e4, iterations=5)
    assert jnp.isfinite(far)


def test_sinkhorn_divergence_of_shifted_points_is_the_square_of_the_shift(clouds):
    shift = jnp.array([[2.0, -1.0]])
    value = losses.sinkhorn_divergence(clouds[0], clouds[0] + shift, epsilon=1.0, iterations=200)
    np.testing.assert_allclose(value, 5.0, rtol=1e-3)


Z, P = jnp.zeros((2, 3)), jnp.zeros((4, 2))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.cross_entropy(Z, jnp.array([0, 1]), class_weights=jnp.ones(2)), r"must be a number or of shape \[3\], got"),
        (lambda: losses.cross_entropy(Z, jnp.array([0, 1]), class_weights=-jnp.ones(3)), "class_weights must be at least 0"),
        (lambda: losses.focal(Z, jnp.array([0, 1]), gamma=-1), "focal: gamma must be at least 0, got -1"),
        (lambda: losses.binary_focal(Z, Z, alpha=2), r"alpha must be in \[0, 1\], got 2"),
        (lambda: losses.generalized_cross_entropy(Z, jnp.array([0, 1]), q=2), r"q must be in \[0, 1\], got 2"),
        (lambda: losses.symmetric_cross_entropy(Z, jnp.array([0, 1]), log_zero=1), "log_zero must be"),
        (lambda: losses.multi_margin(Z, jnp.array([0, 1]), p=1.5), "p must be a positive integer"),
        (lambda: losses.multiclass_hinge(Z, jnp.array([0, 1]), margin=-1), "margin must be at least 0"),
        (lambda: losses.distillation(Z, Z, temperature=0), "temperature must be"),
        (lambda: losses.renyi(Z, Z, alpha=-1), "alpha must be at least 0"),
        (lambda: losses.energy_distance(P, jnp.zeros((4, 3))), r"x and y must be \(points, features\), got float32\[4, 2\] and"),
        (lambda: losses.energy_distance(P, P, y_weights=jnp.ones(3)), r"y_weights must have the shape \[4\], got float32\[3\]"),
        (lambda: losses.energy_distance(P, P.astype(int)), "y must be a floating-point array"),
        (lambda: losses.maximum_mean_discrepancy(P, P, bandwidths=(1.0, 0.0)), "bandwidths must be"),
        (lambda: losses.sinkhorn(P, P, epsilon=0), "sinkhorn: epsilon must be"),
        (lambda: losses.sinkhorn_divergence(P, P, iterations=0), "sinkhorn_divergence: iterations must be a positive integer"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
