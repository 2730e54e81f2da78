"""Losses of real values and negative log-likelihoods: what the table of losses does not say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from jdl import losses
from jdl.losses._arguments import at_least
from jdl.losses._gamma_ratio import log1p_ratio, log_gamma_ratio

ROOTS = (
    (losses.root_mean_squared_error, losses.mean_squared_error),
    (losses.root_mean_squared_log_error, losses.mean_squared_log_error),
)


@pytest.mark.parametrize("rooted, squared", ROOTS)
def test_roots_are_of_the_mean_over_all(rng, rooted, squared):
    predictions, targets = jnp.asarray(rng.uniform(0, 3, size=(2, 6, 3)), jnp.float32)
    where, weights = jnp.asarray(rng.random((6, 3)) < 0.6).at[0].set(True), jnp.asarray(rng.uniform(0.5, 2, size=6), jnp.float32)
    for named in ({}, {"where": where, "weights": weights}):
        expected = np.sqrt(squared(predictions, targets, **named))
        np.testing.assert_allclose(rooted(predictions, targets, **named), expected, rtol=1e-6)
    assert rooted(predictions, targets, where=jnp.zeros(6, bool)) == 0
    with pytest.raises(TypeError, match="reduction"):
        rooted(predictions, targets, reduction="none")


@pytest.mark.parametrize("rooted, _", ROOTS)
def test_roots_have_a_gradient_without_errors(rooted, _):
    targets = jnp.ones(3)
    assert (jax.grad(rooted)(targets, targets) == 0).all()
    with pytest.raises(ValueError, match="shapes differ"):
        rooted(jnp.zeros((3, 1)), targets)


def test_percentage_of_small_targets():
    predictions, targets = jnp.array([0.5, 0.5, 3.0]), jnp.array([0.0, 0.25, -1.0])
    values = losses.mean_absolute_percentage_error(predictions, targets, epsilon=0.5, reduction="none")
    np.testing.assert_allclose(values, [1.0, 0.5, 4.0])
    assert losses.mean_absolute_percentage_error(jnp.array([1e-6]), jnp.array([0.0])) == 1


@pytest.mark.parametrize("loss", [losses.quantile, losses.expectile])
def test_minimum_is_the_quantile_or_expectile(rng, loss):
    """Of many values: the place where the gradient changes its sign, for several levels at once, traced."""
    values, levels = rng.normal(size=101).astype("float32"), np.array([0.1, 0.5, 0.83], "float32")
    expected = np.quantile(values, levels) if loss is losses.quantile else [stats.expectile(values, a) for a in levels]

    @jax.jit
    def slope(place, levels):
        mean = lambda place: loss(jnp.broadcast_to(place, (101, 3)), values, level=levels)
        return jax.grad(mean)(place)

    place = jnp.asarray(expected, jnp.float32)
    assert (slope(place - 0.05, levels) < 0).all() and (slope(place + 0.05, levels) > 0).all()


def test_one_level_for_each_column_is_each_level_alone(rng):
    predictions, targets = (jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((4, 2, 3), (4, 2)))
    levels = [0.2, 0.5, 0.9]
    for loss in (losses.quantile, losses.expectile):
        together = loss(predictions, targets, level=jnp.array(levels), reduction="none")
        alone = [loss(predictions[..., i], targets, level=level, reduction="none") for i, level in enumerate(levels)]
        np.testing.assert_array_equal(together, jnp.stack(alone, -1))
    half = losses.mean_absolute_error(predictions[..., 0], targets) / 2
    np.testing.assert_allclose(losses.quantile(predictions[..., 0], targets), half, rtol=1e-6)


def test_cosine_distance_of_zero_vectors():
    zeros, ones = jnp.zeros((1, 3)), jnp.ones((1, 3))
    cosine = jax.jit(jax.value_and_grad(losses.cosine_distance))
    for predictions, targets in ((zeros, ones), (ones, zeros), (zeros, zeros)):
        value, gradient = cosine(predictions, targets)
        assert value == 1 and (gradient == 0).all()
    np.testing.assert_allclose(losses.cosine_distance(1e-6 * ones, -1e6 * ones), 2, rtol=1e-6)


def test_at_least_keeps_its_gradient():
    x = jnp.array([-1e4, 0.5, 2.0])
    np.testing.assert_array_equal(at_least(x, 0.5), [0.5, 0.5, 2.0])
    for derivative in (jax.jacfwd, jax.jacrev):
        np.testing.assert_array_equal(derivative(lambda x: jnp.log(at_least(x, 0.5)))(x), np.diag([2, 2, 0.5]))


def test_log_cosh_near_and_far():
    values = losses.log_cosh(jnp.array([1e4, 0.1]), jnp.zeros(2), reduction="none")
    np.testing.assert_allclose(values, [1e4 - np.log(2), np.log(np.cosh(0.1))], rtol=1e-4)


@pytest.mark.parametrize("dtype, limit", [("float32", 1e-6), ("float64", 1e-12)])
def test_gamma_ratio_on_both_sides_of_its_joint(dtype, limit):
    k, x = np.meshgrid([0.5, 1.0, 2.0, 30.0], [1e-3, 0.03, 0.0999, 0.1001, 1.0, 50.0])
    expected = special.gammaln(1 / x + k) - special.gammaln(1 / x) + k * np.log(x)
    places = np.array([0.0, 1e-4, 0.09, 0.11])
    both = jax.jit(lambda k, x: (log_gamma_ratio(k, x), log1p_ratio(x)))
    slope = jax.jit(jax.vmap(jax.grad(lambda x: log_gamma_ratio(jnp.full_like(x, 2.0), x))))
    with jax.enable_x64(dtype == "float64"):
        values, ratios = both(jnp.asarray(k, dtype), jnp.asarray(x, dtype))
        slopes = slope(jnp.asarray(places, dtype))
    np.testing.assert_allclose(values, expected, rtol=limit, atol=50 * limit)
    np.testing.assert_allclose(ratios, np.log1p(x) / x, rtol=limit)
    np.testing.assert_allclose(slopes, 1 / (1 + places), rtol=50 * limit)  # with k = 2 it is log(1 + x)


def test_limits_of_distributions(rng):
    """Exactly at the limit, and in float32 near it, where differences of log gamma functions would be noise."""
    mean, counts = jnp.asarray(rng.uniform(0.5, 9, 8), jnp.float32), jnp.asarray(rng.integers(0, 20, 8))
    poisson, gradient = jax.value_and_grad(losses.poisson_nll_from_rates)(mean, counts)
    slope = np.mean(np.asarray(counts) * (2 * np.asarray(mean) - np.asarray(counts) + 1) - np.asarray(mean) ** 2) / 2
    loss = lambda mean, dispersion: losses.negative_binomial_nll((mean, jnp.full(8, dispersion)), counts)
    binomial = jax.jit(jax.vmap(jax.value_and_grad(loss, (0, 1)), (None, 0)))
    values, (along_mean, along_dispersion) = binomial(mean, jnp.array([0.0, 1e-9, 1e-7]))
    np.testing.assert_allclose(values, [poisson] * 3, rtol=1e-4)
    np.testing.assert_allclose(along_mean, [gradient] * 3, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(along_dispersion, [slope] * 3, rtol=1e-3, atol=1e-2)
    location, targets = jnp.asarray(rng.normal(size=(2, 8)), jnp.float32)
    student = jax.jit(losses.student_t_nll)((jnp.full(8, 1e9), location, jnp.full(8, 0.5)), targets)
    np.testing.assert_allclose(student, losses.gaussian_nll((location, jnp.full(8, 0.25)), targets), rtol=1e-5)


def test_densities_integrate_to_1():
    grid, counts = np.linspace(-60, 60, 24001).astype("float32"), np.arange(400)
    components = jnp.broadcast_to(jnp.array([[-2.0], [1.0]]), (24001, 2, 1))

    @jax.jit
    def logs():
        full = lambda like, *values: tuple(jnp.full(like.shape, value) for value in values)
        mixture = jnp.broadcast_to(jnp.array([0.3, -0.5]), (24001, 2)), components, components
        return {
            "gaussian": losses.gaussian_nll(full(grid, 1.0, 4.0), grid, reduction="none"),
            "laplace": losses.laplace_nll(full(grid, 1.0, 2.0), grid, reduction="none"),
            "student": losses.student_t_nll(full(grid, 5.0, 1.0, 2.0), grid, reduction="none"),
            "gamma": losses.gamma_nll(full(grid, 3.0, 2.0), np.abs(grid), reduction="none"),
            "mixture": losses.mixture_density_nll(mixture, grid[:, None], reduction="none"),
            "poisson": losses.poisson_nll(jnp.full(400, 2.0), counts, reduction="none"),
            "binomial": losses.negative_binomial_nll(full(counts, 5.0, 0.7), counts, reduction="none"),
        }

    for name, log in logs().items():
        density = np.exp(-np.asarray(log, np.float64))
        total = density.sum() if len(log) == 400 else integrate.trapezoid(density, dx=0.005)
        np.testing.assert_allclose(total, 2 if name == "gamma" else 1, rtol=1e-4, err_msg=name)


def test_beta_weighs_gradients_and_not_more(rng):
    mean, targets = jnp.asarray(rng.normal(size=(2, 5)), jnp.float32)
    variance = jnp.asarray(rng.uniform(0.1, 4, size=5), jnp.float32)
    gradient = lambda loss, **named: jax.jit(jax.grad(lambda p: loss(p, targets, reduction="sum", **named)))((mean, variance))
    plain, weighed = gradient(losses.gaussian_nll), gradient(losses.beta_nll, beta=jnp.float32(0.3))
    for one, other in zip(plain, weighed):
        np.testing.assert_allclose(other, one * variance**0.3, rtol=1e-5, atol=2e-5)
    np.testing.assert_allclose(gradient(losses.beta_nll, beta=1.0)[0], mean - targets, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(gradient(losses.beta_nll, beta=0.0)[0], plain[0], rtol=1e-6)


def test_counts_beyond_a_rate_of_float32_still_pull():
    value, slope = jax.value_and_grad(losses.poisson_nll)(jnp.array([1e4]), jnp.array([3]))
    assert jnp.isfinite(value) and slope.item() == pytest.approx(np.exp(40), rel=1e-5)


def test_deviance_tends_to_those_of_poisson_and_gamma(rng):
    mean, targets = rng.uniform(0.5, 2, size=(2, 20))
    of_poisson, of_gamma = targets * np.log(targets / mean) - targets + mean, np.log(mean / targets) + targets / mean - 1
    for power, half in ((1.001, of_poisson), (1.999, of_gamma)):
        value = losses.tweedie_deviance(jnp.asarray(mean, jnp.float32), targets, power=jnp.float32(power), reduction="none")
        np.testing.assert_allclose(value, 2 * half, atol=0.02)
    for power in (1.0, 2.0, 2.5):
        with pytest.raises(ValueError, match="power must be in"):
            losses.tweedie_deviance(jnp.ones(2), jnp.ones(2), power=power)
    powers = jnp.array([1.2, 1.7])
    swept = jax.vmap(lambda power: losses.tweedie_deviance(jnp.asarray(mean), targets, power=power))(powers)
    assert jnp.isfinite(swept).all() and swept[0] != swept[1]


def test_gaussian_crps_is_the_integral_of_its_definition():
    grid = np.linspace(-20, 20, 40001)
    for mean, scale, target in ((0.5, 1.0, 0.2), (-1.0, 0.3, 2.0), (0.0, 2.0, -5.0)):
        expected = integrate.trapezoid((stats.norm.cdf(grid, mean, scale) - (grid >= target)) ** 2, dx=0.001)
        value = losses.gaussian_crps((jnp.array([mean]), jnp.array([scale])), jnp.array([target]))
        np.testing.assert_allclose(value, expected, rtol=2e-3)


def test_fair_crps_is_unbiased_and_plain_is_not(rng):
    """Ensembles of two from a Gaussian: the fair score is that of the Gaussian on average."""
    members, targets = rng.normal(size=(20000, 2)).astype("float32"), rng.normal(size=20000).astype("float32")
    exact = losses.gaussian_crps((jnp.zeros(20000), jnp.ones(20000)), targets, reduction="none")
    for fair, bias in ((True, 0.0), (False, 0.5 / np.sqrt(np.pi))):
        errors = np.asarray(losses.ensemble_crps(members, targets, fair=fair, reduction="none") - exact)
        assert abs(errors.mean() - bias) < 6 * errors.std() / np.sqrt(20000)


def test_crps_of_one_member_is_the_absolute_error():
    members, targets = jnp.array([[1.0], [5.0]]), jnp.array([3.0, 4.0])
    np.testing.assert_array_equal(losses.ensemble_crps(members, targets, fair=False, reduction="none"), [2.0, 1.0])
    with pytest.raises(ValueError, match="at least 2 members"):
        losses.ensemble_crps(members, targets)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda x: losses.huber(x, x, delta=-1.0), "huber: delta must be at least 0"),
        (lambda x: losses.mean_absolute_percentage_error(x, x, epsilon=-1.0), "epsilon must be at least 0"),
        (lambda x: losses.quantile(x, x, level=1.5), r"quantile: level must be in \[0, 1\]"),
        (lambda x: losses.expectile(x, x, level=jnp.array([0.5, -1.0])), r"expectile: level must be in \[0, 1\]"),
        (lambda x: losses.quantile(jnp.ones((2, 1, 1)), x, level=jnp.ones((1, 1))), "quantile: predictions must be of shape"),
        (lambda x: losses.gaussian_nll((x, x), x, epsilon=-1.0), "epsilon must be at least 0"),
        (lambda x: losses.beta_nll((x, x), x, beta=2.0), r"beta must be in \[0, 1\]"),
    ],
)
def test_options_out_of_range(call, message):
    with pytest.raises(ValueError, match=message):
        call(jnp.ones(2))


def test_options_may_be_traced():
    predictions, targets = jnp.array([0.5, 3.0]), jnp.zeros(2)
    swept = jax.vmap(lambda delta: losses.huber(predictions, targets, delta=delta))(jnp.array([0.5, 1.0]))
    np.testing.assert_allclose(swept, [losses.huber(predictions, targets, delta=delta) for delta in (0.5, 1.0)], rtol=1e-6)
