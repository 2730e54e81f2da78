"""Penalties, their proximal operators, and constraints: closed forms, exact zeros, and what scikit-learn finds."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import optimize, special
from sklearn.datasets import load_diabetes
from sklearn.linear_model import ElasticNet, Lasso
from tolerances import assert_close

from jdl import constraints, gradients, losses, regularizers, train
from jdl import layers as L

SHAPES = {"dense": (5, 3), "conv": (2, 2, 3, 4), "recurrent": (3, 12), "vector": (4,)}


def tree(rng, dtype="float32"):
    return {name: {"kernel": jnp.asarray(rng.normal(size=shape), dtype)} for name, shape in SHAPES.items()}


def matrices(params):
    """Each kernel as a matrix with a column for each output unit, in float64."""
    wide = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(params)]
    return [w.reshape(-1, w.shape[-1]) if w.ndim > 1 else w.reshape(-1, 1) for w in wide]


def singular_values(w):
    return np.linalg.svd(w, compute_uv=False)


def soft_orthogonality(w):
    w = w if w.shape[0] >= w.shape[1] else w.T
    return ((w.T @ w - np.eye(w.shape[1])) ** 2).sum()


CLOSED = {
    "group_lasso": lambda w: np.sqrt(w.shape[0]) * np.linalg.norm(w, axis=0).sum(),
    "orthogonal": soft_orthogonality,
    "nuclear": lambda w: singular_values(w).sum(),
    "spectral": lambda w: singular_values(w)[0] ** 2,
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_with_traced_strengths(rng, name):
    params, penalty = tree(rng), getattr(regularizers, name)
    expected = sum(CLOSED[name](w) for w in matrices(params))
    swept = jax.vmap(lambda strength: penalty(strength, "**/kernel")(params))(jnp.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(swept, [0, expected / 2, expected], rtol=2e-5)
    with pytest.raises(ValueError, match=f"{name}: strength must be at least 0"):
        penalty(-1.0)


def test_groups_of_inputs(rng):
    kernel = rng.normal(size=(2, 2, 3, 4)).astype("float32")
    rows = np.moveaxis(kernel, 2, 0).reshape(3, -1)
    value = regularizers.group_lasso(1.0, groups="input")({"kernel": jnp.asarray(kernel)})
    np.testing.assert_allclose(value, 4 * np.linalg.norm(rows, axis=1).sum(), rtol=1e-5)
    vector = regularizers.group_lasso(1.0, groups="input")(jnp.array([1.0, -2.0]))
    assert vector.item() == 3.0
    both = regularizers.sparse_group_lasso(0.5, 1.0, groups="input")({"kernel": jnp.asarray(kernel)})
    np.testing.assert_allclose(both, value + np.abs(kernel).sum() / 2, rtol=1e-5)
    with pytest.raises(ValueError, match="groups must be output or input"):
        regularizers.group_lasso(1.0, groups="rows")  # pyright: ignore


def test_gradients_at_zero_and_at_ties_are_finite(rng):
    turn, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    flat = {"zero": jnp.zeros((4, 3)), "tied": jnp.asarray(turn[:, :3], jnp.float32), "one": jnp.ones((3, 3))}
    for name in CLOSED:
        gradient = jax.jit(jax.grad(getattr(regularizers, name)(1.0)))(flat)
        assert all(jnp.isfinite(g).all() for g in jax.tree.leaves(gradient)), name
        assert (gradient["zero"] == 0).all(), name
    slope = jax.jit(jax.grad(regularizers.nuclear(1.0)))(flat)
    np.testing.assert_allclose(slope["tied"], flat["tied"], atol=1e-5)  # U V' of a matrix that is orthonormal already
    np.testing.assert_allclose(slope["one"], 1 / 3, atol=1e-5)  # rank 1: no direction of the null space


def test_wide_kernels_have_the_gradient_of_the_textbook_formula(rng):
    kernel = jnp.asarray(rng.normal(size=(2, 5)), jnp.float32)
    textbook = jax.grad(lambda w: jnp.square(w.T @ w - jnp.eye(5)).sum())(kernel)
    assert_close(jax.grad(regularizers.orthogonal(1.0))(kernel), textbook)


def test_sums_and_multiples_of_penalties_are_penalties(rng):
    params = tree(rng)
    parts = regularizers.l1(0.1), regularizers.nuclear(0.2, "dense/*")
    both = regularizers.scaled(regularizers.total(*parts), 3.0)
    assert_close(both(params), 3 * (parts[0](params) + parts[1](params)))
    assert_close(both(params), regularizers.total(*(regularizers.scaled(part, 3.0) for part in parts))(params))
    assert regularizers.total()(params).item() == 0
    assert_close(regularizers.elastic_net(0.1, 0.2)(params), 0.1 * regularizers.l1(1)(params) + 0.2 * regularizers.l2(1)(params))


def test_anchored(rng):
    params, start, fisher = tree(rng), tree(rng), jax.tree.map(jnp.abs, tree(rng))
    squares = [(a - b) ** 2 for a, b in zip(matrices(params), matrices(start))]
    np.testing.assert_allclose(regularizers.l2_sp(0.3, start)(params), 0.3 * sum(s.sum() for s in squares), rtol=1e-5)
    expected = 0.15 * sum((s * f).sum() for s, f in zip(squares, matrices(fisher)))
    np.testing.assert_allclose(regularizers.ewc(0.3, start, fisher)(params), expected, rtol=1e-5)
    assert regularizers.l2_sp(1.0, params)(params).item() == 0
    with pytest.raises(ValueError, match=r"l2_sp: takes parameters like \{a: float32\[2\]\}, got float32\[2\]"):
        regularizers.l2_sp(1.0, {"a": jnp.ones(2)})(jnp.ones(2))
    with pytest.raises(ValueError, match="fisher must be at least 0, found"):
        regularizers.ewc(1.0, jnp.ones(1), -jnp.ones(1))


def test_jacobian_is_unbiased(key, rng):
    """The mean of many estimates, within six of its standard errors, and exactly where there is only one output."""
    kernel, x = jnp.asarray(rng.normal(size=(4, 3)), jnp.float32), jnp.asarray(rng.normal(size=(2, 4)), jnp.float32)
    function = lambda x: jnp.tanh(x @ kernel)
    exact = [jnp.square(jax.jacobian(function)(x[i])).sum() for i in range(2)]
    estimate = jax.jit(jax.vmap(lambda key: regularizers.jacobian(key, function, x, reduction="none")))
    drawn = estimate(jax.random.split(jax.random.fold_in(key, 0), 2000))
    assert (jnp.abs(drawn.mean(0) - jnp.stack(exact)) < 6 * drawn.std(0) / 2000**0.5 + 1e-5).all()
    more = jax.jit(lambda key: regularizers.jacobian(key, function, x, projections=300))(jax.random.fold_in(key, 1))
    spread = drawn.mean(1).std() / 300**0.5
    assert jnp.abs(more - sum(exact) / 2) < 6 * spread + 1e-5
    single = lambda x: function(x)[:, :1]
    one = regularizers.jacobian(jax.random.fold_in(key, 2), single, x)
    assert_close(one, regularizers.gradient_penalty(single, x), scale=3.0)


def test_gradient_penalty(rng):
    kernel, x = rng.normal(size=4).astype("float32"), jnp.asarray(rng.normal(size=(3, 4)), jnp.float32)
    penalty = lambda kernel: regularizers.gradient_penalty(lambda x: jnp.sin(x @ kernel), x, reduction="none")
    expected = np.cos(np.asarray(x) @ kernel) ** 2 * (kernel**2).sum()
    np.testing.assert_allclose(penalty(kernel), expected, rtol=1e-4, atol=1e-5)
    slopes = jax.jit(jax.grad(lambda kernel: penalty(kernel).sum()))(jnp.asarray(kernel))  # double backpropagation
    assert jnp.isfinite(slopes).all() and jnp.abs(slopes).max() > 0
    with pytest.raises(ValueError, match=r"gradient_penalty: function must return one number for each sample, got float32\[3, 4\]"):
        regularizers.gradient_penalty(jnp.sin, x)
    with pytest.raises(ValueError, match="must be batches"):
        regularizers.gradient_penalty(jnp.sum, x)


def test_confidence(rng):
    logits = rng.normal(size=(3, 4)).astype("float32")
    probabilities = special.softmax(logits.astype(np.float64), -1)
    value = regularizers.confidence(jnp.asarray(logits), reduction="none")
    np.testing.assert_allclose(value, -special.entr(probabilities).sum(-1), rtol=1e-5, atol=1e-6)
    assert_close(regularizers.confidence(jnp.asarray(logits.T), axis=0, reduction="none"), value)
    extreme = jnp.array([[1e4, -1e4, 0.0], [0.0, 0.0, 0.0]])
    gradient = jax.jit(jax.grad(regularizers.confidence))(extreme)
    np.testing.assert_allclose(gradient, 0, atol=1e-7)


def test_activity_and_total_variation(rng):
    h = rng.normal(size=(2, 3, 4)).astype("float32")
    value = regularizers.activity(jnp.asarray(h), l1_strength=0.5, l2_strength=2.0, reduction="none")
    np.testing.assert_allclose(value, 0.5 * np.abs(h).sum(-1) + 2 * (h**2).sum(-1), rtol=1e-5)
    seen = np.array([[True, False, True], [False, False, True]])
    masked = regularizers.activity(jnp.asarray(h), l1_strength=1.0, where=jnp.asarray(seen))
    np.testing.assert_allclose(masked, np.abs(h).sum(-1)[seen].mean(), rtol=1e-5)
    images = rng.normal(size=(2, 4, 3, 2)).astype("float32")
    brute = [sum(np.abs(np.diff(image, axis=axis)).sum() for axis in (0, 1)) for image in images]
    np.testing.assert_allclose(regularizers.total_variation(jnp.asarray(images), reduction="none"), brute, rtol=1e-5)
    np.testing.assert_allclose(regularizers.total_variation(jnp.asarray(images)), np.mean(brute), rtol=1e-5)


def test_kl_sparsity(rng):
    h, weights = rng.uniform(0.05, 0.95, (6, 3)).astype("float32"), rng.integers(0, 3, 6)
    weights[0] = 1
    mean = (h * weights[:, None]).sum(0) / weights.sum()
    expected = (0.1 * np.log(0.1 / mean) + 0.9 * np.log(0.9 / (1 - mean))).sum()
    value = regularizers.kl_sparsity(jnp.asarray(h), 0.1, weights=jnp.asarray(weights))
    np.testing.assert_allclose(value, expected, rtol=1e-4)
    dead_and_stuck = jnp.array([[0.0, 1.0], [0.0, 1.0]])
    value, gradient = jax.jit(jax.value_and_grad(regularizers.kl_sparsity))(dead_and_stuck, 0.1)
    assert jnp.isfinite(value) and jnp.isfinite(gradient).all()
    assert (gradient[:, 0] < 0).all() and (gradient[:, 1] > 0).all()  # units that are dead or stuck are moved
    assert regularizers.kl_sparsity(dead_and_stuck, 0.1, where=jnp.zeros(2, bool)).item() == 0
    with pytest.raises(ValueError, match=r"activations must lie in \[0, 1\], found 2.0"):
        regularizers.kl_sparsity(jnp.full((1, 1), 2.0), 0.1)


OPERATORS = {
    "l1": (regularizers.l1, regularizers.proximal_l1, (0.4,)),
    "elastic_net": (regularizers.elastic_net, regularizers.proximal_elastic_net, (0.4, 0.3)),
    "group_lasso": (regularizers.group_lasso, regularizers.proximal_group_lasso, (0.4,)),
    "sparse_group_lasso": (regularizers.sparse_group_lasso, regularizers.proximal_sparse_group_lasso, (0.2, 0.3)),
    "nuclear": (regularizers.nuclear, regularizers.proximal_nuclear, (0.5,)),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_proximal_operators_minimise(rng, name):
    """Nothing near what an operator returns, nor its input or zero, has a smaller sum of squares and penalty."""
    make, operator, strengths = OPERATORS[name]
    with jax.enable_x64(True):
        w = jnp.asarray(rng.normal(size=(4, 3)))
        penalty, size = make(*strengths), 0.7
        cost = jax.jit(jax.vmap(lambda v: jnp.square(v - w).sum() / 2 + size * penalty(v)))
        best = operator(*strengths)(w, size)
        steps = rng.normal(size=(60, 4, 3)) * 10.0 ** rng.uniform(-6, 0, (60, 1, 1))
        others = jnp.concatenate([best[None] + steps, best[None] * (1 + steps), w[None], jnp.zeros((1, 4, 3))])
        costs = np.asarray(cost(jnp.concatenate([best[None], others])))
    assert costs[1:].min() >= costs[0] - 1e-12


def test_proximal_operators_give_exact_zeros(rng):
    kernel = jnp.asarray(np.outer([3.0, 4.0, 0.01], [1.0, 0.01]), jnp.float32)
    params = {"kernel": kernel, "bias": jnp.full(2, 0.01)}
    for dtype in ("float32", "bfloat16"):
        cast = optax.tree.cast(params, dtype)
        lasso = regularizers.proximal_l1(1.0, "**/kernel")(cast, 0.1)
        np.testing.assert_array_equal(lasso["kernel"] == 0, [[False, True], [False, True], [True, True]])
        grouped = regularizers.proximal_group_lasso(1.0, "**/kernel")(cast, 0.1)["kernel"]
        np.testing.assert_array_equal(grouped == 0, [[False, True]] * 3)
        rows = regularizers.proximal_group_lasso(1.0, "**/kernel", groups="input")(cast, 0.1)["kernel"]
        np.testing.assert_array_equal(rows == 0, [[False, False], [False, False], [True, True]])
        assert lasso["kernel"].dtype == dtype and (lasso["bias"] == cast["bias"]).all()
    swept = jax.vmap(lambda strength: regularizers.proximal_l1(strength)(kernel, 0.1))(jnp.array([0.0, 100.0]))
    assert_close(swept[0], kernel)
    assert (swept[1] == 0).all()


@pytest.mark.parametrize("ratio", [1.0, 0.5], ids=["lasso", "elastic_net"])
def test_proximal_gradient_finds_what_scikit_learn_finds(key, ratio):
    """Their loss is half the mean of squares, so it is half of ours: `alpha = strength / 2`; the intercept costs nothing."""
    inputs, targets = load_diabetes(return_X_y=True)
    inputs = (inputs - inputs.mean(0)) / inputs.std(0)
    alpha = 0.05 if ratio < 1 else 2.0
    theirs = Lasso(alpha, tol=1e-10) if ratio == 1 else ElasticNet(alpha, l1_ratio=ratio, tol=1e-10)
    theirs.set_params(max_iter=100_000).fit(inputs, targets)
    with jax.enable_x64(True):
        batch, rate = (jnp.asarray(inputs), jnp.asarray(targets[:, None])), 0.1
        operator = regularizers.proximal_elastic_net(2 * alpha * ratio, alpha * (1 - ratio), where="**/kernel")
        optimizer = optax.chain(optax.sgd(rate), gradients.proximal(operator, rate))
        step = train.step(train.objective(L.dense(1), losses.mean_squared_error), optimizer)
        advance = lambda _, train_state: step.update(train_state, batch)[0]
        found = jax.jit(lambda train_state: jax.lax.fori_loop(0, 3000, advance, train_state))(step.init(key, batch)).params
    coefficients = np.asarray(found["kernel"])[:, 0]
    np.testing.assert_allclose(coefficients, theirs.coef_, atol=1e-4 * np.abs(theirs.coef_).max())
    np.testing.assert_array_equal(coefficients == 0, theirs.coef_ == 0)
    assert (ratio < 1) != (coefficients == 0).any()
    np.testing.assert_allclose(found["bias"], theirs.intercept_, rtol=1e-6)


def constrained(constraint, params, updates):
    def after(params, updates):
        return optax.apply_updates(params, constraint.update(updates, constraint.init(params), params)[0])

    return jax.jit(after)(params, updates)


def test_constraints_on_norms(rng):
    params, updates = tree(rng), tree(rng)
    free = matrices(optax.apply_updates(params, updates))
    norms = [np.linalg.norm(w, axis=0) for w in free]
    goals = {
        "max_norm": (constraints.max_norm(1.5), lambda n: np.minimum(n, 1.5)),
        "min_max_norm": (constraints.min_max_norm(1.0, 1.5), lambda n: np.clip(n, 1.0, 1.5)),
        "partly": (constraints.min_max_norm(1.0, 1.5, rate=0.25), lambda n: 0.75 * n + 0.25 * np.clip(n, 1.0, 1.5)),
        "unit_norm": (constraints.unit_norm(), np.ones_like),
    }
    for name, (constraint, goal) in goals.items():
        for w, n, found in zip(free, norms, matrices(constrained(constraint, params, updates))):
            np.testing.assert_allclose(found, w / n * goal(n), rtol=1e-4, atol=1e-5, err_msg=name)


def test_constraints_to_sets(rng):
    params, updates = tree(rng), tree(rng)
    free = matrices(optax.apply_updates(params, updates))
    for found, w in zip(matrices(constrained(constraints.non_negative(), params, updates)), free):
        np.testing.assert_allclose(found, np.maximum(w, 0), atol=1e-5)
        np.testing.assert_array_equal(found[w < 0], 0)
    for found, w in zip(matrices(constrained(constraints.simplex(), params, updates)), free):
        assert (found >= 0).all()
        levels = [optimize.brentq(lambda t, c=c: np.maximum(c - t, 0).sum() - 1, c.min() - 1, c.max(), xtol=1e-12) for c in w.T]
        np.testing.assert_allclose(found, np.maximum(w - np.array(levels), 0), atol=1e-5)
    for found, w in zip(matrices(constrained(constraints.stiefel(), params, updates)), free):
        tall, free_tall = (found, w) if w.shape[0] >= w.shape[1] else (found.T, w.T)
        np.testing.assert_allclose(tall.T @ tall, np.eye(tall.shape[1]), atol=1e-5)
        polar = tall.T @ free_tall  # of the polar factor, this is symmetric and positive
        np.testing.assert_allclose(polar, polar.T, atol=1e-4)
        assert np.linalg.eigvalsh(polar).min() > -1e-4


def test_constraints_at_edges(rng):
    zero = jnp.zeros((3, 2))
    for constraint in (constraints.max_norm(1.0), constraints.min_max_norm(1.0, 2.0), constraints.unit_norm()):
        np.testing.assert_array_equal(constrained(constraint, zero, zero), 0)
    huge = jnp.full((3, 2), 1e30)
    np.testing.assert_allclose(jnp.linalg.norm(constrained(constraints.unit_norm(), zero, huge), axis=0), 1, rtol=1e-5)
    params, updates = {"a": {"kernel": huge, "bias": jnp.ones(2)}}, {"a": {"kernel": zero, "bias": jnp.full(2, 0.1)}}
    constraint = constraints.max_norm(0.0, "**/kernel")
    moved, _ = constraint.update(updates, constraint.init(params), params)
    assert (moved["a"]["bias"] == updates["a"]["bias"]).all()  # to the bit
    np.testing.assert_array_equal(optax.apply_updates(params, moved)["a"]["kernel"], 0)
    half = jnp.asarray(rng.normal(size=(3, 2)), jnp.bfloat16)
    kept = constrained(constraints.max_norm(1.0), half, half)
    assert kept.dtype == jnp.bfloat16 and (np.linalg.norm(np.asarray(kept, np.float32), axis=0) < 1.01).all()
    swept = jax.vmap(lambda limit: constrained(constraints.max_norm(limit), 1 + zero, zero))(jnp.array([0.5, 1.0]))
    np.testing.assert_allclose(jnp.linalg.norm(swept, axis=1), [[0.5, 0.5], [1, 1]], rtol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: constraints.max_norm(-1.0), "max_norm: limit must be at least 0"),
        (lambda: constraints.min_max_norm(2.0, 1.0), "minimum must be at most maximum"),
        (lambda: constraints.max_norm(1.0, "**/kernal").init({"kernel": jnp.ones(1)}), "matches none of the paths: kernel"),
        (lambda: constraints.non_negative().update(jnp.ones(1), optax.EmptyState()), "non_negative: needs the parameters"),
        (lambda: regularizers.proximal_l1(1.0)(jnp.ones(1), -1.0), "proximal_elastic_net: step_size must be at least 0"),
        (lambda: regularizers.total_variation(jnp.ones((2, 2))), r"total_variation: x must be \(batch, \*spatial, channels\)"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
