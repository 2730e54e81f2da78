"""What is done to gradients: each output unit's scale, groups of parameters, single samples, several tasks, flat minima."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tolerances import assert_close

from jdl import gradients, losses, paths, train
from jdl import layers as L

SHAPES = {"dense": (5, 3), "conv": (3, 2, 2, 4), "recurrent": (3, 12)}


def tree(rng, scale=1.0):
    return {name: {"kernel": jnp.asarray(scale * rng.normal(size=shape), jnp.float32)} for name, shape in SHAPES.items()}


def columns(array):
    """A kernel as a matrix with a column for each output unit, in float64."""
    return np.asarray(array, np.float64).reshape(-1, array.shape[-1])


def changed(transformation, updates, params=None):
    return jax.jit(lambda u, p: transformation.update(u, transformation.init(u), p)[0])(updates, params)


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_standardized_units_have_mean_0_and_the_fixed_deviation(rng, scale):
    given = tree(rng, scale) | {"bias": jnp.asarray(rng.normal(size=3), jnp.float32)}
    found = jax.jit(jax.vmap(lambda deviation: gradients.standardize(deviation).update(given, ())[0]))(jnp.array([0.5, 2.0]))
    for name in SHAPES:
        for deviation, kernel in zip([0.5, 2.0], found[name]["kernel"]):
            w, g = columns(kernel), columns(given[name]["kernel"])
            np.testing.assert_allclose(w.mean(0), 0, atol=1e-5, err_msg=name)
            np.testing.assert_allclose(w.std(0), deviation, rtol=1e-4, err_msg=name)
            np.testing.assert_allclose(w, deviation * (g - g.mean(0)) / g.std(0), atol=1e-3, err_msg=name)
    assert (found["bias"] == jnp.expand_dims(given["bias"], 0)).all()


def test_standardize_needs_entries_that_differ():
    single, constant = jnp.array([[3.0, -1.0]]), jnp.full((7, 2), 0.1)
    found = changed(gradients.standardize(), {"single": single, "constant": constant, "zero": jnp.zeros((2, 2))})
    assert (found["single"] == single).all()  # one entry for each unit has no deviation
    assert not found["constant"].any() and not found["zero"].any()


def test_centralize_averages_over_inputs(rng):
    given = tree(rng)
    found, other = changed(gradients.centralize("conv/*"), given), changed(optax.centralize(), given)
    g = columns(given["conv"]["kernel"])
    np.testing.assert_allclose(columns(found["conv"]["kernel"]), g - g.mean(0), atol=1e-6)
    assert (found["dense"]["kernel"] == given["dense"]["kernel"]).all()
    assert np.abs(columns(other["conv"]["kernel"]).mean(0)).max() > 1e-3  # Optax centres something else


def test_adaptive_clip(rng):
    params, given = tree(rng), tree(rng)
    params["dense"]["kernel"] = params["dense"]["kernel"].at[:, 0].set(0)
    found = changed(gradients.adaptive_clip(0.5), given, params)
    for name in SHAPES:
        g, w = columns(given[name]["kernel"]), columns(params[name]["kernel"])
        limit = 0.5 * np.maximum(np.linalg.norm(w, axis=0), 1e-3)
        expected = g * np.minimum(1, limit / np.linalg.norm(g, axis=0))
        np.testing.assert_allclose(columns(found[name]["kernel"]), expected, rtol=1e-4, atol=1e-6)
    image = {"conv": params["conv"]}  # of rank 4, where Optax takes the same axes
    assert_close(changed(optax.adaptive_grad_clip(0.5), {"conv": given["conv"]}, image), {"conv": found["conv"]})


def test_clip_by_norm():
    given = {"a": jnp.array([[3.0], [4.0]]), "b": jnp.array([0.5]), "zero": jnp.zeros(2), "huge": jnp.full(4, 1e30)}
    found = changed(gradients.clip_by_norm(1.0), given)
    wanted = {"a": jnp.array([[0.6], [0.8]]), "b": jnp.array([0.5]), "zero": jnp.zeros(2), "huge": jnp.full(4, 0.5)}
    assert_close(found, wanted)


def test_rules_by_path(rng):
    params = {"encoder": {"kernel": jnp.ones(2), "bias": jnp.ones(2)}, "decoder": {"kernel": jnp.ones(2)}}
    rules = {"encoder/bias": optax.set_to_zero(), "**/kernel": optax.adam(0.5), "**": optax.sgd(1.0)}
    moved = changed(gradients.by_path(rules), params, params)
    assert not moved["encoder"]["bias"].any()
    np.testing.assert_allclose(moved["encoder"]["kernel"], -0.5, rtol=1e-4)  # Adam's first step
    frozen = optax.chain(optax.adamw(0.1), gradients.freeze("encoder/**"))
    moved = changed(frozen, params, params)
    assert not moved["encoder"]["kernel"].any() and moved["decoder"]["kernel"].all()
    with pytest.raises(ValueError, match="by_path: no glob matches decoder/kernel"):
        gradients.by_path({"encoder/**": optax.sgd(1.0)}).init(params)
    with pytest.raises(ValueError, match="matches none of the paths"):
        gradients.freeze("**/kernal").init(params)


def test_single_samples(key, rng):
    """Their mean is the gradient of the mean; clipped, no sample adds more than the limit; noise has the deviation it should."""
    objective = train.objective(L.dense(2), losses.mean_squared_error)
    batch = jnp.asarray(rng.normal(size=(6, 3)), jnp.float32), jnp.asarray(rng.normal(size=(6, 2)), jnp.float32)
    params, state = objective.init(jax.random.fold_in(key, 0), batch)
    loss = lambda params, batch: objective.apply(params, state, batch)[0]
    values, each = jax.jit(gradients.per_example(loss))(params, batch)
    value, gradient = jax.value_and_grad(loss)(params, batch)
    assert_close((values.mean(), jax.tree.map(lambda g: g.mean(0), each)), (value, gradient), scale=3.0)
    norms = np.sqrt(sum(np.square(np.asarray(g)).reshape(6, -1).sum(1) for g in jax.tree.leaves(each)))
    limit = float(np.median(norms))
    clipped = changed(gradients.differentially_private_aggregate(limit, 0.0, jax.random.fold_in(key, 1)), each)
    shares = np.minimum(1, limit / norms) / 6
    np.testing.assert_allclose(clipped["bias"], shares @ np.asarray(each["bias"]), rtol=1e-4, atol=1e-6)
    private = gradients.differentially_private_aggregate(2.0, 1.5, jax.random.fold_in(key, 2))
    noise = changed(private, {"kernel": jnp.zeros((4, 5000))})["kernel"] * 4
    assert abs(noise.std() - 3) < 6 * 3 / 10_000**0.5 and abs(noise.mean()) < 6 * 3 / 5000**0.5
    with pytest.raises(ValueError, match="per_example: arrays must share a leading axis"):
        gradients.per_example(loss)(params, (batch[0], batch[1][:2]))


def test_noise_scale_is_unbiased(rng):
    """Of gradients with a known mean and covariance, in halves of different sizes; and as in the paper, from two batch sizes."""
    mean, deviation, count, trials = np.array([1.0, -2.0, 0.5]), np.array([1.0, 0.5, 2.0]), 8, 4000
    drawn = mean + deviation * rng.normal(size=(trials, count, 2, 3))
    for size, given in ((1, drawn[:, :, 0]), (2, drawn.mean(2))):
        estimate = jax.jit(jax.vmap(lambda g, size=size: gradients.gradient_noise_scale({"w": g}, size)))
        found = estimate(jnp.asarray(given, jnp.float32))
        for values, expected in zip(found, ((deviation**2).sum(), (mean**2).sum())):
            assert abs(values.mean() - expected) < 6 * values.std() / trials**0.5
    one = drawn[0, :, 0]
    small, large = (one**2).sum(-1).mean(), (one.mean(0) ** 2).sum()
    noise, signal = gradients.gradient_noise_scale(jnp.asarray(one, jnp.float32))
    np.testing.assert_allclose(noise, (small - large) / (1 - 1 / count), rtol=1e-4)
    np.testing.assert_allclose(signal, (count * large - small) / (count - 1), rtol=1e-4, atol=1e-3)
    with pytest.raises(ValueError, match="takes at least 2 gradients"):
        gradients.gradient_noise_scale(jnp.ones((1, 2)))


def test_pcgrad(key, rng):
    """The result is that of one of the orders in which projections can be made one by one."""
    from itertools import permutations, product

    def by_hand(g, orders):
        total = np.zeros(g.shape[1])
        for i, order in enumerate(orders):
            own = g[i].copy()
            for j in order:
                if j != i and own @ g[j] < 0:
                    own -= own @ g[j] / (g[j] @ g[j]) * g[j]
            total += own
        return total

    surgery = jax.jit(gradients.pcgrad)
    g = rng.normal(size=(3, 4))
    found = surgery(jax.random.fold_in(key, 0), {"a": jnp.asarray(g[:, :1], jnp.float32), "b": jnp.asarray(g[:, 1:], jnp.float32)})
    found = np.concatenate([found["a"], found["b"]])
    possible = [by_hand(g, orders) for orders in product(permutations(range(3)), repeat=3)]
    assert min(np.abs(found - one).max() for one in possible) < 1e-4
    agree = jnp.abs(jnp.asarray(g, jnp.float32))
    np.testing.assert_allclose(surgery(jax.random.fold_in(key, 1), agree), agree.sum(0), rtol=1e-5)
    opposed = jnp.array([[1.0, 0.0], [-2.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(surgery(jax.random.fold_in(key, 2), opposed), 0, atol=1e-6)


def test_gradnorm_follows_the_slope(rng):
    """A step on the paper's loss with a constant target, whose slope is the sign of the difference times the norm."""
    given = [jnp.asarray(rng.uniform(0.5, 2, 3), jnp.float32) for _ in range(3)]
    weights, values, first = given
    g = jnp.asarray(rng.normal(size=(3, 4)), jnp.float32)
    norms = jnp.linalg.norm(g, axis=1)
    progress = values / first
    goal = (weights * norms).mean() * (progress / progress.mean()) ** 1.5
    slope = jnp.sign(weights * norms - goal) * norms
    moved = weights - 0.025 * slope
    assert_close(jax.jit(gradients.gradnorm)(weights, values, first, {"shared": g}), 3 * moved / moved.sum())
    equal = gradients.gradnorm(jnp.ones(2), jnp.zeros(2), jnp.ones(2), jnp.zeros((2, 3)))
    np.testing.assert_array_equal(equal, 1)
    with pytest.raises(ValueError, match="first_losses must be positive"):
        gradients.gradnorm(weights, values, jnp.zeros(3), g)


def test_sharpness_aware(rng):
    curvature = jnp.asarray(rng.uniform(0.5, 2, 4), jnp.float32)
    loss = lambda params: (curvature * params["w"] ** 4).sum()
    params = {"w": jnp.asarray(rng.normal(size=4), jnp.float32)}
    gradient = jax.grad(loss)(params)
    w, g = np.asarray(params["w"]), np.asarray(gradient["w"])
    taken = lambda transformation: transformation.update(gradient, (), params, value_fn=loss)[0]["w"]
    near = w + 0.1 * g / np.linalg.norm(g)
    np.testing.assert_allclose(taken(gradients.sam(0.1)), 4 * np.asarray(curvature) * near**3, rtol=1e-3, atol=1e-4)
    t = np.abs(w) + 0.01
    near = w + 0.1 * t**2 * g / np.linalg.norm(t * g)
    np.testing.assert_allclose(taken(gradients.asam(0.1)), 4 * np.asarray(curvature) * near**3, rtol=1e-3, atol=1e-4)
    swept = jax.vmap(lambda rho: taken(gradients.sam(rho)))(jnp.array([0.0, 0.1]))
    np.testing.assert_allclose(swept[0], g, rtol=1e-5)
    flat = jax.tree.map(jnp.zeros_like, params)
    assert not gradients.sam().update(flat, (), flat, value_fn=loss)[0]["w"].any()
    with pytest.raises(ValueError, match="sam: needs the loss"):
        gradients.sam().update(gradient, (), params)


def test_in_a_step_of_training(key, rng):
    """All together, chained with an optimizer; the sharpness-aware gradient is that of the step's own batch and key."""
    batch = jnp.asarray(rng.normal(size=(4, 3)), jnp.float32), jnp.asarray(rng.normal(size=(4, 2)), jnp.float32)
    objective = train.objective(L.chain(L.dropout(0.5), L.dense(2)), losses.mean_squared_error)
    chained = optax.chain(
        gradients.sam(0.05),
        gradients.centralize("**/kernel"),
        gradients.adaptive_clip(0.1),
        gradients.by_path({"**/bias": optax.sgd(0.1), "**": optax.adam(0.1)}),
        gradients.lookahead(2),
    )
    step = train.step(objective, chained)
    update, train_state = jax.jit(step.update), step.init(key, batch)
    for _ in range(2):
        train_state, metrics = update(train_state, batch)
    assert jnp.isfinite(metrics["loss"]) and all(jnp.isfinite(w).all() for w in paths.select(train_state.params, None))


def test_lookahead_goes_back_part_of_the_way():
    optimizer = optax.chain(optax.sgd(1.0), gradients.lookahead(3, 0.25))
    params = {"w": jnp.array(8.0)}
    state, seen = optimizer.init(params), []
    for _ in range(6):
        updates, state = optimizer.update({"w": jnp.array(1.0)}, state, params)
        params = optax.apply_updates(params, updates)
        seen.append(params["w"].item())
    assert seen == [7.0, 6.0, 7.25, 6.25, 5.25, 6.5]


def test_proximal_follows_a_schedule():
    scaling = gradients.proximal(lambda params, size: jax.tree.map(lambda w: size * w, params), lambda count: 1.0 / (count + 1))
    params = jnp.array(4.0)
    state, seen = scaling.init(params), []
    for _ in range(3):
        updates, state = scaling.update(jnp.array(2.0), state, params)
        seen.append((params + updates).item())
    assert seen == [6.0, 3.0, 2.0]
    with pytest.raises(ValueError, match="proximal: needs the parameters"):
        scaling.update(params, state)
