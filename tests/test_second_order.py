"""Optimizers beyond first order, and curvature: what they promise about steps and values."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax import enable_x64
from jax.flatten_util import ravel_pytree
from programs import one_program
from scipy import special

from jdl import curvature, losses, optimizers, train
from jdl import layers as L

minimize = one_program(optimizers.minimize)


@pytest.fixture(autouse=True)
def double():
    with enable_x64(True):
        yield


def quadratic(rng, size):
    """A strictly convex quadratic with eigenvalues from 1 to 20, and its minimum."""
    basis, _ = np.linalg.qr(rng.normal(size=(size, size)))
    matrix, minimum = (basis * np.linspace(1, 20, size)) @ basis.T, rng.normal(size=size)
    return lambda w: 0.5 * (w - minimum) @ matrix @ (w - minimum), minimum


def as_tree(found, size):
    return {"a": found[: size // 2], "b": {"c": found[size // 2 :].reshape(-1, 1)}}


def tree_function(function):
    return lambda params: function(jnp.concatenate([params["a"], params["b"]["c"].squeeze(-1)]))


def coupled(params):
    """Not convex, not diagonal, over a tree."""
    a, c = params["a"], params["b"]["c"]
    return (jnp.sin(a[0] * c).sum() + (a**3).sum() + (a.sum() * c.sum()) ** 2 / 5 + jnp.cosh(c).sum()) / 3


@pytest.fixture
def params(rng):
    return {"a": rng.normal(size=3), "b": {"c": rng.normal(size=(2, 1))}}


def flat(tree):
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


def matrix_of(product, params):
    @jax.jit
    def matrix(params):
        vector, back = ravel_pytree(params)
        return jax.vmap(lambda e: ravel_pytree(product(back(e)))[0])(jnp.eye(vector.size))

    return np.asarray(matrix(params))


def hessian_of(function, params):
    @jax.jit
    def hessian(params):
        vector, back = ravel_pytree(params)
        return jax.hessian(lambda vector: function(back(vector)))(vector)

    return np.asarray(hessian(params))


def test_newton_solves_a_quadratic_in_one_step(rng):
    function, minimum = quadratic(rng, 6)
    start = as_tree(rng.normal(size=6), 6)
    for linesearch in (None, optax.scale_by_backtracking_linesearch(20)):
        optimizer = optimizers.newton(linesearch=linesearch)
        found = minimize(tree_function(function), optimizer, start, steps=5, tolerance=1e-9)
        assert found.steps == 1 and found.converged
        np.testing.assert_allclose(flat(found.params), minimum, atol=1e-10)


@pytest.mark.parametrize("method", ["polak-ribiere", pytest.param("fletcher-reeves", marks=pytest.mark.slow)])
def test_conjugate_gradients_need_a_step_for_each_dimension(rng, method):
    size = int(rng.integers(2, 9))
    function, minimum = quadratic(rng, size)
    exact = optax.scale_by_zoom_linesearch(40, curv_rtol=1e-10, approx_dec_rtol=None, stepsize_precision=0.0)
    optimizer = optimizers.nonlinear_conjugate_gradient(method, linesearch=exact)
    found = minimize(function, optimizer, rng.normal(size=size), steps=50, tolerance=1e-6)
    assert found.converged and found.steps <= size
    np.testing.assert_allclose(found.params, minimum, atol=1e-5)


def test_conjugate_gradients_beat_steepest_descent(rng):
    function, _ = quadratic(rng, 8)
    start = rng.normal(size=8)
    conjugate = minimize(function, optimizers.nonlinear_conjugate_gradient(), start, steps=500)
    search = optax.scale_by_zoom_linesearch(30, curv_rtol=0.1)
    steepest = minimize(function, optax.chain(optax.scale(-1.0), search), start, steps=500)
    assert conjugate.converged and conjugate.steps < steepest.steps


@pytest.fixture(scope="module")
def cancer():
    """Standardised data, and scikit-learn's coefficients for the same function."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression

    x, y = load_breast_cancer(return_X_y=True)
    x = (x - x.mean(0)) / x.std(0)
    fitted = LogisticRegression(C=1.0, tol=1e-10, max_iter=10_000).fit(x, y)
    return x, y, np.append(fitted.coef_[0], fitted.intercept_)


@pytest.mark.parametrize(
    ("optimizer", "steps"),
    [(optimizers.newton_cg(), 15), (optimizers.newton(), 12), (optimizers.lbfgs(), 100), (None, 15)],
    ids=["newton_cg", "newton", "lbfgs", "natural_gradient"],
)
def test_logistic_regression_equals_scikit_learn(cancer, optimizer, steps):
    x, y, expected = cancer
    predict = lambda params: x @ params["kernel"] + params["bias"]

    def function(params):
        data = losses.binary_cross_entropy(predict(params), y, reduction="sum")
        return (data + (params["kernel"] ** 2).sum() / 2) / len(y)

    def divergence(logits, others):
        share = jax.nn.sigmoid(logits)
        return losses.binary_cross_entropy(others, share) - losses.binary_cross_entropy(logits, share)

    optimizer = optimizer or optimizers.natural_gradient(predict, divergence, damping=1 / len(y))
    start = {"kernel": np.zeros(30), "bias": np.zeros(())}
    found = minimize(function, optimizer, start, steps=steps, tolerance=1e-7)
    assert found.converged, found.steps
    coefficients = np.append(found.params["kernel"], found.params["bias"])
    np.testing.assert_allclose(coefficients, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("optimizer", [optimizers.newton(), optimizers.newton_cg()], ids=["newton", "newton_cg"])
def test_negative_curvature_is_left(optimizer):
    """At the start the Hessian has a negative eigenvalue, and Newton's own step would go to the saddle at 0."""
    saddle = lambda w: w[0] ** 2 - w[1] ** 2 + w[1] ** 4 / 4
    found = minimize(saddle, optimizer, np.array([1.0, 0.1]), steps=50, tolerance=1e-8)
    assert found.converged
    np.testing.assert_allclose(found.params, [0, 2**0.5], atol=1e-7)


def test_newton_cg_solves_the_newton_equation(rng, params):
    function = lambda params: coupled(params) + 20 * sum((x**2).sum() for x in jax.tree.leaves(params))
    optimizer = optimizers.newton_cg(damping=0.5, tolerance=0.0, linesearch=None)

    @jax.jit
    def newton_step(params):
        gradient = jax.grad(function)(params)
        given = {"value": function(params), "grad": gradient, "value_fn": function}
        return optimizer.update(gradient, optimizer.init(params), params, **given)[0], gradient

    step, gradient = newton_step(params)
    expected = -np.linalg.solve(hessian_of(function, params) + 0.5 * np.eye(5), flat(gradient))
    np.testing.assert_allclose(flat(step), expected, rtol=1e-8, atol=1e-10)


def test_newton_ignores_a_direction_without_curvature():
    optimizer = optimizers.newton()
    found = minimize(lambda w: (w[0] - 2.0) ** 2, optimizer, np.array([0.0, 5.0]), steps=3)
    assert found.params.tolist() == [2.0, 5.0]


def test_gauss_newton_solves_linear_least_squares_in_one_step(rng):
    x, y = rng.normal(size=(20, 4)), rng.normal(size=20)
    predict, loss = lambda w: x @ w, lambda predictions: ((predictions - y) ** 2).mean()
    optimizer = optimizers.gauss_newton(predict, loss, damping=0.0, tolerance=1e-12)
    found = minimize(lambda w: loss(predict(w)), optimizer, np.zeros(4), steps=3, tolerance=1e-9)
    assert found.steps == 1
    np.testing.assert_allclose(found.params, np.linalg.lstsq(x, y)[0], atol=1e-9)


def test_levenberg_marquardt_finds_what_scipy_finds(rng):
    from scipy.optimize import least_squares

    x = np.linspace(0, 3, 30)
    y = 2.5 * np.exp(-1.3 * x) + 0.5 + 0.01 * rng.normal(size=30)
    model = lambda exp, w: w[0] * exp(w[1] * x) + w[2]
    residuals = lambda w: model(jnp.exp, w) - y
    expected = least_squares(lambda w: model(np.exp, w) - y, [1.0, 0.0, 0.0], method="lm").x
    optimizer = optimizers.levenberg_marquardt(residuals)
    found = minimize(lambda w: (residuals(w) ** 2).sum(), optimizer, np.array([1.0, 0.0, 0.0]), steps=60, tolerance=1e-9)
    assert found.converged
    np.testing.assert_allclose(found.params, expected, rtol=1e-5)


def test_levenberg_marquardt_refuses_what_makes_it_worse():
    """From far out on the arc tangent Newton's step overshoots; refused steps leave params and let damping grow."""
    optimizer, start = optimizers.levenberg_marquardt(jnp.arctan), np.array([3.0])

    @jax.jit
    def path(start):
        def take(carry, _):
            params, state = carry
            update, state = optimizer.update(jnp.zeros(1), state, params)
            return (params + update, state), (params + update, state.damping)

        state = optimizer.init(start)
        return state.damping, jax.lax.scan(take, (start, state), length=60)[1]

    first, (params, damping) = jax.tree.map(np.asarray, path(start))
    params, damping = abs(np.append(start, params)), np.append(first, damping)
    assert (np.diff(params) <= 0).all()
    refused = (np.diff(params) == 0) & (params[1:] > 1e-6)
    assert refused.any() and (np.diff(damping)[refused] > 0).all()
    assert params[-1] < 1e-8


X = np.linspace(-1, 1, 40).reshape(-1, 1)
LINE = L.dense(1)
IN_STEPS = {
    "newton_cg": optimizers.newton_cg(),
    "nonlinear_conjugate_gradient": optimizers.nonlinear_conjugate_gradient(),
    "gauss_newton": optimizers.gauss_newton(
        lambda params: LINE.apply(params, {}, X)[0], lambda predictions: losses.mean_squared_error(predictions, 2 * X + 1)
    ),
    "levenberg_marquardt": optimizers.levenberg_marquardt(lambda params: LINE.apply(params, {}, X)[0] - 2 * X - 1),
}
OFTEN = "newton_cg", "levenberg_marquardt"  # a line search, and damping that is kept between steps


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in OFTEN else (pytest.mark.slow,)) for n in IN_STEPS])
def test_optimizers_work_in_a_training_step(name, key):
    data = X, 2 * X + 1
    step = train.step(train.objective(LINE, losses.mean_squared_error), IN_STEPS[name])
    update = lambda train_state, _: step.update(train_state, data)
    train_state, measured = jax.jit(lambda key: jax.lax.scan(update, step.init(key, data), length=6))(key)
    assert measured["loss"][-1] < 1e-5
    assert train_state.step == 6


def test_minimize_maps_and_each_member_stops_by_itself(rng):
    starts = np.array([[0.0, 0.0], [1.0, 1.0], [-1.2, 1.0]])
    rosenbrock = lambda w: (1 - w[0]) ** 2 + 100 * (w[1] - w[0] ** 2) ** 2
    find = lambda start: optimizers.minimize(rosenbrock, optimizers.newton_cg(), start, steps=300, tolerance=1e-9)
    together = jax.jit(jax.vmap(find))(starts)
    alone = list(map(jax.jit(find), starts))
    assert together.steps.tolist() == [one.steps.item() for one in alone] and together.steps[1] == 0
    assert together.converged.all()
    np.testing.assert_allclose(together.params, np.ones((3, 2)), atol=1e-7)


def test_minimize_says_when_it_has_not_converged():
    slow = minimize(lambda w: w**2, optax.sgd(1e-3), np.array(1.0), steps=7)
    assert slow.steps == 7 and not slow.converged
    lost = minimize(lambda w: jnp.sqrt(w), optax.sgd(10.0), np.array(1.0), steps=50)
    assert lost.steps == 1 and not lost.converged


def test_products_equal_whole_matrices(params):
    np.testing.assert_allclose(
        matrix_of(lambda v: curvature.hessian_vector_product(coupled, params, v), params), hessian_of(coupled, params), atol=1e-10
    )
    predict = lambda params: {"z": jnp.outer(params["a"], jnp.sin(params["b"]["c"].squeeze(-1))), "s": params["a"].sum()}
    loss = lambda out: (jnp.exp(out["z"]) * out["s"] ** 2).sum()

    @jax.jit
    def expected_of(params):
        outputs, back = ravel_pytree(predict(params))
        vector, at = ravel_pytree(params)
        jacobian = jax.jacobian(lambda v: ravel_pytree(predict(at(v)))[0])(vector)
        return jacobian.T @ jax.hessian(lambda v: loss(back(v)))(outputs) @ jacobian

    expected = np.asarray(expected_of(params))
    product = matrix_of(lambda v: curvature.gauss_newton_vector_product(predict, loss, params, v), params)
    np.testing.assert_allclose(product, expected, atol=1e-9 * np.abs(expected).max())


def test_fisher_is_the_covariance_of_the_score(rng):
    """With the model's own probabilities of labels; and it is the Gauss-Newton matrix of cross-entropy, whatever the labels."""
    x, kernel = rng.normal(size=(4, 2)), rng.normal(size=(2, 3))
    predict = lambda kernel: jnp.tanh(x @ kernel)
    cross = lambda logits, share: losses.cross_entropy(logits, share, reduction="sum")
    divergence = lambda logits, others: cross(others, jax.nn.softmax(logits)) - cross(logits, jax.nn.softmax(logits))
    fisher = matrix_of(lambda v: curvature.fisher_vector_product(predict, divergence, kernel, v), kernel)
    scores = np.asarray(jax.jit(jax.jacobian(lambda kernel: jax.nn.log_softmax(predict(kernel))))(kernel)).reshape(4, 3, 6)
    expected = np.einsum("il,ila,ilb->ab", special.softmax(np.tanh(x @ kernel), -1), scores, scores)
    np.testing.assert_allclose(fisher, expected, atol=1e-10)
    loss = lambda logits: losses.cross_entropy(logits, np.array([0, 1, 2, 0]), reduction="sum")
    gauss_newton = matrix_of(lambda v: curvature.gauss_newton_vector_product(predict, loss, kernel, v), kernel)
    np.testing.assert_allclose(gauss_newton, expected, atol=1e-10)


def test_trace_and_diagonal_are_unbiased(key, params):
    hessian = hessian_of(coupled, params)
    beside = hessian - np.diag(np.diag(hessian))
    samples = 4000

    @jax.jit
    def estimates(key):
        first, second = jax.random.split(key)
        named = {"function": coupled, "params": params, "samples": samples}
        return curvature.hessian_trace(first, **named), curvature.hessian_diagonal(second, **named)

    trace, diagonal = estimates(key)
    error = (2 * (beside**2).sum() / samples) ** 0.5
    assert abs(trace.value - np.trace(hessian)) < 6 * error
    assert trace.standard_error == pytest.approx(error, rel=0.5)
    assert (np.abs(flat(diagonal) - np.diag(hessian)) < 6 * ((beside**2).sum(1) / samples) ** 0.5 + 1e-12).all()


def test_top_eigenvalues_equal_those_of_the_hessian(key, rng, params):
    expected = np.linalg.eigvalsh(hessian_of(coupled, params))[::-1]
    basis, _ = np.linalg.qr(rng.normal(size=(60, 60)))
    matrix = (basis * np.append(np.linspace(-1, 1, 57), [4, 9, 20])) @ basis.T
    repeated = np.array([3.0, 3.0, 3.0, -1.0])

    @jax.jit
    def find(key):
        keys = jax.random.split(key, 3)
        return (
            curvature.top_eigenvalues(keys[0], coupled, params, 5),
            curvature.top_eigenvalues(keys[1], lambda w: w @ matrix @ w / 2, jnp.zeros(60), 3, steps=30),
            curvature.top_eigenvalues(keys[2], lambda w: (repeated * w**2).sum() / 2, jnp.zeros(4), 4),
        )

    small, large, equal = find(key)
    np.testing.assert_allclose(small, expected, atol=1e-8 * np.abs(expected).max())
    np.testing.assert_allclose(large, [20, 9, 4], rtol=1e-6)
    np.testing.assert_allclose(equal, repeated, atol=1e-10)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optimizers.newton(damping=-1.0), "newton: damping must be at least 0, got -1.0"),
        (lambda: optimizers.newton_cg(iterations=0), "newton_cg: iterations must be a positive integer, got 0"),
        (lambda: optimizers.gauss_newton(jnp.sin, jnp.sum, tolerance=2.0), r"gauss_newton: tolerance must be in \[0, 1\]"),
        (lambda: optimizers.natural_gradient(jnp.sin, jnp.dot, damping=-1.0), "natural_gradient: damping must be at least 0"),
        (lambda: optimizers.levenberg_marquardt(jnp.sin, damping=-1.0), "levenberg_marquardt: damping must be at least 0"),
        (
            lambda: optimizers.nonlinear_conjugate_gradient("newton"),
            "must be polak-ribiere or fletcher-reeves, got 'newton'",
        ),
        (lambda: optimizers.minimize(jnp.sum, optax.sgd(0.1), jnp.ones(2), steps=0), "minimize: steps must be a positive integer"),
        (lambda: curvature.hessian_trace(jax.random.key(0), jnp.sum, jnp.ones(2), samples=1), "samples must be at least 2"),
        (lambda: curvature.top_eigenvalues(jax.random.key(0), jnp.sum, jnp.ones(2), 3), "got 3, 2 and 2"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
