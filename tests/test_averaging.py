"""Averages kept beside a run, soups, and early stopping inside the program."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jdl import layers as L
from jdl import losses, train

X = jnp.linspace(-1, 1, 24).reshape(-1, 1)
DATA = X, 2 * X + jnp.sin(9 * X)
MODEL = L.chain(L.dense(3, bias=False), L.batch_norm(), jax.nn.relu, L.dense(1))
STEPS = 12


def plain():
    return train.step(train.objective(MODEL, losses.mean_squared_error), optax.sgd(0.1, momentum=0.9))


def go(step, key, steps=STEPS):
    """The last train state, and the params before the first and after every step, stacked."""

    @jax.jit
    def all_steps(key):
        first = step.init(key, DATA)
        run = train.run(step, batch_size=8)

        def one(train_state, _):
            train_state, _ = run.advance(train_state, DATA, 1)
            return train_state, train_state.params

        last, visited = jax.lax.scan(one, first, length=steps)
        return last, jax.tree.map(lambda a, b: jnp.concatenate([jnp.expand_dims(a, 0), b]), first.params, visited)

    return all_steps(key)


def everything(step):
    return train.swag(train.stochastic_weight_average(train.average(step, 0.8), start=4, every=3), start=2, every=2, rank=3)


@pytest.fixture(scope="module")
def run_of_all():
    """One run that keeps every average, for all tests of their values."""
    return go(everything(plain()), jax.random.key(np.random.SeedSequence().entropy % 2**32))


def test_averages_leave_the_run_alone(key):
    """To the bit, where one program takes the steps of both; and evaluation with the average leaves everything but params."""
    alone = plain()._replace(update=jax.jit(plain().update))
    kept = everything(alone)
    first, second = alone.init(key, DATA), kept.init(jax.random.clone(key), DATA)
    assert first.averages == {}
    for _ in range(2):
        (first, measured), (second, other) = alone.update(first, DATA), kept.update(second, DATA)
        chex.assert_trees_all_equal(measured, other)
    without = lambda state: state.replace(averages={}, key=jax.random.key_data(state.key))
    chex.assert_trees_all_equal(without(first), without(second))
    evaluated = train.averaged(second, "average")
    chex.assert_trees_all_equal(without(evaluated.replace(params=second.params)), without(second))


def test_exponential_average_is_the_closed_form(run_of_all):
    last, visited = run_of_all
    weights = 0.2 * 0.8 ** np.arange(STEPS, -1, -1.0)
    weights[0] = 0.8**STEPS
    expected = jax.tree.map(lambda x: np.tensordot(weights, np.float64(x), 1), visited)
    chex.assert_trees_all_close(train.averaged(last, "average").params, expected, rtol=1e-4, atol=1e-5)


def test_debiased_average_weighs_steps_alone(key):
    def one(weight):  # a step that only writes down a number: params are what the batch says
        init = lambda key, batch: train.TrainState({"w": jnp.zeros(())}, {}, {}, jax.random.clone(key), *[jnp.int32(0)] * 3)
        update = lambda state, batch: (state.replace(params={"w": batch}, step=state.step + 1), {})
        return train.average(train.Step(init, update), weight, debias=True)

    def mean(weight):
        step = one(weight)
        last, _ = jax.lax.scan(step.update, step.init(key, 0.0), jnp.array([1.0, 5.0, 2.0]))
        return train.averaged(last).params["w"]

    found = jax.jit(jax.vmap(mean))(jnp.array([0.0, 0.5, 0.999]))
    np.testing.assert_allclose(found, [2.0, (0.25 + 0.5 * 5 + 2) / 1.75, 8 / 3], rtol=2e-3)


def test_stochastic_weight_average_is_the_mean_of_what_was_visited(run_of_all):
    last, visited = run_of_all
    expected = jax.tree.map(lambda x: np.float64(x[4::3]).mean(0), visited)
    chex.assert_trees_all_close(train.averaged(last, "stochastic_weight_average").params, expected, rtol=1e-4, atol=1e-5)
    assert last.averages["stochastic_weight_average"]["count"] == 3


def test_before_its_start_the_average_is_the_params(key):
    last, _ = go(train.stochastic_weight_average(plain(), start=10), key, steps=2)
    chex.assert_trees_all_equal(train.averaged(last).params, last.params)


def test_statistics_are_recomputed_after_averaging(run_of_all):
    last, _ = run_of_all
    averaged = train.averaged(last, "stochastic_weight_average")
    batches = X.reshape(2, 12, 1)
    state = L.recompute_statistics(MODEL, averaged.params, averaged.state, batches)
    hidden = X @ averaged.params["0"]["kernel"]
    np.testing.assert_allclose(state["1"]["mean"], hidden.mean(0), atol=1e-5)
    objective = train.objective(MODEL, losses.mean_squared_error)
    measured = train.evaluate(objective, DATA)(averaged.replace(state=state))
    predictions, _ = MODEL.apply(averaged.params, state, X)
    np.testing.assert_allclose(measured["loss"], ((predictions - DATA[1]) ** 2).mean(), rtol=1e-4)


def flat(tree, axes=1):
    return np.concatenate([np.float64(x).reshape(*x.shape[:axes], -1) for x in jax.tree.leaves(tree)], -1)


def test_swag_equals_numpy(run_of_all):
    """Mean, and the covariance of samples, from the params that were visited: 6 of them, deviations of the last 3."""
    last, visited = run_of_all
    rows = flat(visited)[2::2]
    means = np.cumsum(rows, 0) / np.arange(1, 7)[:, None]
    deviations = (rows - means)[-3:]
    covariance = (np.diag(rows.var(0)) + deviations.T @ deviations / 2) / 2
    kept = last.averages["swag"]
    np.testing.assert_allclose(flat(kept["params"], 0), means[-1], rtol=1e-4, atol=1e-5)
    size = np.abs(covariance).max()
    np.testing.assert_allclose(flat(kept["squares"], 0) / 6, rows.var(0), rtol=1e-3, atol=1e-4 * size)

    draws = 4000
    sample = jax.jit(jax.vmap(lambda key: train.swag_sample(key, last).params))
    samples = flat(sample(jax.random.split(jax.random.key(np.random.SeedSequence().entropy % 2**32), draws)))
    spread = np.sqrt(np.diag(covariance))
    assert (np.abs(samples.mean(0) - means[-1]) < 6 * spread / draws**0.5 + 1e-5).all()
    centred = samples - means[-1]
    error = np.sqrt((covariance**2 + np.outer(spread, spread) ** 2) / draws)
    assert (np.abs(centred.T @ centred / draws - covariance) < 7 * error + 1e-4 * size).all()


def test_swag_without_scale_is_the_mean(key, run_of_all):
    last, _ = run_of_all
    chex.assert_trees_all_close(train.swag_sample(key, last, scale=0.0).params, train.averaged(last, "swag").params)


def test_a_population_keeps_averages(key):
    objective = train.objective(L.dense(1), losses.mean_squared_error)
    step = train.average(train.step(objective, optax.sgd(0.1)), 0.5)
    members = train.population(train.run(step, batch_size=8))
    last, _ = jax.jit(members.advance, static_argnums=2)(members.init(jax.random.split(key, 3), DATA), DATA, 4)
    assert train.averaged(last).params["kernel"].shape == (3, 1, 1)
    chex.assert_trees_all_equal_shapes_and_dtypes(train.averaged(last), last)


def test_a_skipped_step_is_averaged_once(key):
    """Around what skips, averages are those of the run without the batches that were skipped."""
    linear = train.objective(L.dense(1), losses.mean_squared_error)
    step = train.skip_nonfinite(train.step(linear, optax.sgd(0.1)))
    step = train.snapshots(everything(step), every=2, count=3)
    x, y = (np.stack([np.asarray(a)] * 7) for a in DATA)
    bad = np.array([False, False, True, False, False, True, True])[:, None, None]
    first = jax.jit(step.init)(key, DATA)
    kept = lambda train_state: train_state.averages | train_state.memory
    averages = jax.jit(lambda first, batches: kept(jax.lax.scan(step.update, first, batches)[0]))
    skipped = averages(first, (x, np.where(bad, np.nan, y)))
    assert skipped["snapshots"]["taken"] == 2 and skipped["swag"]["count"] == 2
    chex.assert_trees_all_close(skipped, averages(first, (x[:4], y[:4])), rtol=1e-5, atol=1e-6)


def test_averages_are_kept_in_float32(key):
    init = lambda key, batch: train.TrainState({"w": jnp.ones((), "bfloat16")}, {}, {}, key, *[jnp.int32(0)] * 3)
    update = lambda state, batch: (state.replace(params={"w": batch}, step=state.step + 1), {})
    step = train.average(train.Step(init, update), 0.999)
    train_state, _ = step.update(step.init(key, None), jnp.zeros((), "bfloat16"))
    np.testing.assert_allclose(train_state.averages["average"]["params"]["w"], 0.999, rtol=1e-6)  # 1 in bfloat16
    assert train.averaged(train_state).params["w"].dtype == jnp.bfloat16


def test_soups(rng):
    members = {"a": jnp.asarray(rng.normal(size=(5, 3)), jnp.float32), "b": jnp.asarray(rng.normal(size=5), jnp.float32)}
    chex.assert_trees_all_close(train.soup(members), jax.tree.map(lambda x: np.asarray(x).mean(0), members), atol=1e-6)
    score = lambda params: -((params["a"] - 0.3) ** 2).sum() - params["b"] ** 2
    mean, used = jax.jit(lambda members: train.greedy_soup(score, members))(members)

    pick = lambda which: jax.tree.map(lambda x: np.asarray(x)[which].mean(0), members)
    scores = [score(pick([i])) for i in range(5)]
    chosen: list[int] = []
    for i in np.argsort(-np.asarray(scores)):
        if not chosen or score(pick([*chosen, i])) >= score(pick(chosen)):
            chosen.append(int(i))
    assert np.flatnonzero(used).tolist() == sorted(chosen)
    chex.assert_trees_all_close(mean, pick(chosen), atol=1e-6)
    assert score(mean) >= max(scores) - 1e-6


def simulate(scores, patience, min_delta):
    """Early stopping in plain Python: the best score and its index, and where the run stops."""
    best, where, waited = -np.float32(np.inf), 0, 0
    for i, score in enumerate(scores):
        if score > best + np.float32(min_delta):
            best, where, waited = score, i, 0
        else:
            waited += 1
            if waited >= patience:
                return best, where, i
    return best, where, None


def test_patience_equals_plain_python(rng):
    """For many random curves at once, with NaN among them, each with a patience and a smallest change of its own."""
    curves = np.float32(np.cumsum(rng.normal(size=(40, 30)), 1))
    curves[rng.random(curves.shape) < 0.05] = np.nan
    patience, min_delta = rng.integers(1, 8, 40), np.float32(rng.choice([0.0, 0.5], 40))

    def one(scores, patience, min_delta):
        stopping = train.patience(patience, min_delta=min_delta)

        def step(progress, given):
            progress = stopping.update(progress, *given)
            return progress, progress.stopped

        params = {"index": jnp.arange(len(scores))}
        return jax.lax.scan(step, stopping.init({"index": 0}), (scores, params))

    progress, stopped = jax.jit(jax.vmap(one))(curves, patience, min_delta)
    for i in range(40):
        best, where, end = simulate(curves[i], patience[i], min_delta[i])
        assert progress.best_score[i] == best and progress.best_params["index"][i] == where
        assert stopped[i].tolist() == [end is not None and j >= end for j in range(30)]


def test_patience_ends_a_while_loop():
    stopping = train.patience(3)
    score = lambda w: -((w - 5.0) ** 2)

    def one(carry):
        w, progress = carry
        return w + 1, stopping.update(progress, score(w), w)

    w, progress = jax.lax.while_loop(lambda carry: ~carry[1].stopped, one, (jnp.zeros(()), stopping.init(jnp.zeros(()))))
    assert (w, progress.best_params, progress.best_score) == (9, 5, 0)


def test_misuse_is_refused(key):
    step = plain()
    with pytest.raises(ValueError, match=r"average: decay must be in \[0, 1\], got 1.5"):
        train.average(step, 1.5)
    with pytest.raises(ValueError, match="start must be at least 1, got 0"):
        train.stochastic_weight_average(step, start=0)
    with pytest.raises(ValueError, match="rank must be at least 2, got 1"):
        train.swag(step, start=1, rank=1)
    with pytest.raises(ValueError, match="patience: scores must be at least 1, got 0"):
        train.patience(0)
    with pytest.raises(ValueError, match=r"average: the train state has averages\['average'\] already"):
        train.average(train.average(step, 0.9), 0.99).init(key, DATA)
    train_state = step.init(jax.random.clone(key), DATA)
    with pytest.raises(ValueError, match=r"averaged: the train state keeps \[\]"):
        train.averaged(train_state)
    with pytest.raises(ValueError, match=r"swag_sample: the train state keeps \[\], not swag"):
        train.swag_sample(jax.random.clone(key), train_state)
