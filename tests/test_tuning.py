"""What searches for hyperparameters, and what is made of many members: held against plain Python, worked by hand."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jdl
from jdl import layers as L
from jdl import losses, metrics, search, train

DATA = tuple(np.linspace(*ends, 20, dtype="float32").reshape(-1, 1) for ends in ((-1, 1), (1, 3)))
HELD_OUT = DATA[0][::3] + np.float32(0.05), DATA[1][::3]
MODEL = L.chain(L.dropout(0.1), L.dense(1))
OBJECTIVE = train.objective(MODEL, losses.mean_squared_error)


LINEAR = train.objective(L.dense(1), losses.mean_squared_error)


def make_run(learning_rate):
    return train.run(train.step(OBJECTIVE, optax.sgd(learning_rate, momentum=0.9)), batch_size=4)


def score(train_state):
    return -train.evaluate(OBJECTIVE, HELD_OUT)(train_state)["loss"]


RATES = np.float32([1e-1, 3e-2, 1e-2, 3e-3, 1e-3])


def place(tree, i):
    return jax.tree.map(lambda a: a[i], tree)


def plain(tree):
    """As NumPy's arrays, keys by their data."""
    return jax.tree.map(lambda a: np.asarray(jax.random.key_data(a) if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) else a), tree)


def test_the_worst_go_on_from_the_best(key):
    """Truncation selection by hand: who copies whom is read off the hyperparameters, all else follows from it."""
    population = train.population(make_run, {"learning_rate": RATES})
    start, draw = jax.random.split(key)
    old, _ = jax.jit(population.advance, static_argnums=2)(jax.jit(population.init)(jax.random.split(start, 5), DATA), DATA, 3)
    scores = np.float32([3.0, np.nan, 5.0, 1.0, 4.0])  # worst are 1 and 3, best 2 and 4
    explore = search.perturb((2.0, 4.0))
    select = jax.jit(jax.vmap(lambda key, old: train.exploit_and_explore(key, old, scores, explore, fraction=0.4), (0, None)))
    drawn, old, seen = plain(select(jax.random.split(draw, 60), old)), plain(old), set()
    for i in range(60):
        new = place(drawn, i)
        factors = np.asarray(new.hyperparameters["learning_rate"]) / RATES
        np.testing.assert_array_equal(factors[[0, 2, 4]], 1)
        for member in (1, 3):
            ratios = np.asarray(new.hyperparameters["learning_rate"])[member] / RATES[[2, 4]]
            (which,) = np.flatnonzero(np.isclose(ratios, 2) | np.isclose(ratios, 4))
            source = (2, 4)[which]
            seen.add((member, source, round(float(ratios[which]))))
            for name in ("params", "optimizer_state"):
                chex.assert_trees_all_equal(place(getattr(new, name), member), place(getattr(old, name), source))
        for member in (0, 2, 4):
            chex.assert_trees_all_equal(place(new, member), place(old, member))
        chex.assert_trees_all_equal(*((tree.key, tree.step, tree.position) for tree in (new, old)))
    assert seen == {(member, source, factor) for member in (1, 3) for source in (2, 4) for factor in (2, 4)}


def test_population_based_training_is_intervals_and_selections(key):
    """One program, in any pieces, through fit too, is what a loop of intervals in Python computes."""
    run = train.population_based(make_run, {"learning_rate": RATES}, score, search.perturb(), every=4)
    run = run._replace(init=jax.jit(run.init))
    explored = []
    advance = jax.jit(run.advance, static_argnums=2)
    whole, metrics = advance(run.init(key, DATA), DATA, 10)

    population = train.population(make_run, {"learning_rate": RATES})
    state, of_four = run.init(key, DATA), jax.jit(population.advance, static_argnums=2)
    select = jax.jit(lambda key, state: train.exploit_and_explore(key, state, jax.vmap(score)(state), search.perturb()))
    for after in (4, 8):
        state, _ = of_four(state, DATA, 4)
        state = select(jdl.layer.derive(jax.random.clone(state.key)[0], "population_based", after), state)
        explored.append(np.asarray(state.hyperparameters["learning_rate"]))
    np.testing.assert_array_equal(metrics["learning_rate"][:, 4], explored[0])
    np.testing.assert_array_equal(metrics["learning_rate"][:, 8], explored[1])
    np.testing.assert_array_equal(metrics["learning_rate"][:, :4], np.broadcast_to(RATES[:, None], (5, 4)))
    assert (explored[0] != RATES).sum() == 1 and (explored[1] != explored[0]).sum() == 1

    fitted, history = jdl.fit(run, DATA, key, epochs=2, evaluate=jax.vmap(train.evaluate(OBJECTIVE, HELD_OUT)), progress=False)
    assert history["evaluate/loss"].shape == history["train/learning_rate"].shape == (2, 5)
    np.testing.assert_array_equal(fitted.hyperparameters["learning_rate"], whole.hyperparameters["learning_rate"])
    for a, b in zip(jax.tree.leaves(fitted.params), jax.tree.leaves(whole.params)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_integers_that_are_perturbed_stay_integers(key):
    """1 times 0.8 is 1, not 0; 3 times 1.2 is 4."""
    make = lambda count, many: curve(count, many)

    def changed(key, explore):
        start, draw = jax.random.split(key)
        members = train.population(make, {"count": [1, 1], "many": [3, 3]}).init(jax.random.split(start), None)
        return train.exploit_and_explore(draw, members, jnp.array([0.0, 1.0]), explore).hyperparameters

    explore = lambda key, own: {"count": 0.8 * own["count"], "many": 1.2 * own["many"]}
    found = jax.jit(changed, static_argnums=1)(key, explore)
    assert found["count"].tolist() == [1, 1] and found["many"].tolist() == [4, 3]
    with pytest.raises(ValueError, match=r"takes \['count', 'many'\], and must return these, got \['other'\]"):
        jax.eval_shape(lambda key: changed(key, lambda key, own: {"other": own["count"]}), key)


def test_a_population_of_populations_scores_when_due_only(key):
    """`vmap` would make a selection of a branch that differs between members."""
    run = train.population_based(make_run, {"learning_rate": RATES}, score, search.perturb(), every=4)
    population = train.population(run)
    start = jax.eval_shape(population.init, jax.random.split(key), DATA)
    assert " cond[" in str(jax.make_jaxpr(lambda train_state: population.advance(train_state, DATA, 1))(start))


def test_hyperparameters_are_perturbed_within_bounds_and_drawn_anew(key):
    own = {"rate": jnp.float32(0.8), "strength": jnp.float32(1.0)}
    key, again = jax.random.split(key)
    keys = jax.random.split(key, 400)
    changed = plain(jax.jit(jax.vmap(search.perturb((0.5, 2.0), rate=(0.0, 0.9)), (0, None)))(keys, own))
    assert set(changed["rate"]) == set(np.float32([0.4, 0.9])) and set(changed["strength"]) == {0.5, 2.0}
    together = (changed["rate"] > 0.5) == (changed["strength"] > 1)
    assert 140 < together.sum() < 260  # each is drawn for itself: 200, and 6 sigma are 60
    draw = search.resample(0.25, rate=search.log_uniform(1e-4, 1e-1))
    changed = plain(jax.jit(jax.vmap(draw, (0, None)))(jax.random.split(again, 400), own))
    new = changed["rate"][changed["rate"] != np.float32(0.8)]
    assert 48 < new.size < 152 and 0.9e-4 < new.min() < 3e-3 < new.max() < 1.01e-1 and set(changed["strength"]) == {1.0}


def test_selections_that_cannot_be_are_named(key):
    train_state = jax.eval_shape(train.population(make_run, {"learning_rate": RATES}).init, jax.random.split(key, 5), DATA)
    explore = search.perturb(rate=(0, 1))
    with pytest.raises(ValueError, match="there are 5, scores are float32"):
        train.exploit_and_explore(key, train_state, jnp.ones(4), explore)
    with pytest.raises(ValueError, match="fraction must be"):
        train.exploit_and_explore(key, train_state, jnp.ones(5), explore, fraction=0.6)
    with pytest.raises(ValueError, match=r"no hyperparameter 'rate', there are \['learning_rate'\]"):
        explore(key, {"learning_rate": jnp.ones(())})
    with pytest.raises(ValueError, match="got none"):
        train.population_based(make_run, {}, score, explore, every=2)
    with pytest.raises(ValueError, match="population_based: fraction must be"):
        train.population_based(make_run, {"learning_rate": RATES}, score, explore, every=2, fraction=0.9)
    with pytest.raises(ValueError, match=r"perturb: bounds of rate must be \(low, high\), got 0.9"):
        search.perturb(rate=0.9)
    with pytest.raises(TypeError, match=r"resample: rate must be such as search.uniform .* search.choice gives Python objects"):
        search.resample(0.5, rate=search.choice([0.1, 0.2]))


def curve(height, slowness):
    """A run whose score after `t` steps is `height - slowness / t`, so that curves cross; a negative height diverges."""

    def init(key, data):
        zero = jnp.zeros((), jnp.int32)
        return train.TrainState({"height": height, "slowness": slowness}, {}, (), key, zero, zero, zero)

    def advance(train_state, data, steps):
        return train_state.replace(step=train_state.step + steps), {"loss": jnp.zeros(steps)}

    return train.Run(init, advance, lambda train_state, data: jnp.int32(1))


def score_of_curve(train_state):
    params = train_state.params
    return jnp.where(params["height"] < 0, jnp.nan, params["height"] - params["slowness"] / train_state.step)


def curves(rng, settings):
    height = rng.uniform(0.5, 1.5, settings).astype("float32")
    height[rng.integers(settings, size=settings // 8)] = -1
    return {"height": height, "slowness": rng.uniform(0, 8, settings).astype("float32")}


def height_at(curves, setting, steps):
    height, slowness = curves["height"][setting], curves["slowness"][setting]
    return -np.inf if height < 0 else height - slowness / np.float32(steps)


def test_successive_halving_is_sorting_and_cutting(key, rng):
    settings = curves(rng, 20)
    found = jax.jit(train.successive_halving(curve, settings, score_of_curve, steps=2, factor=3))(key, None)
    alive, expected = list(range(20)), np.full((20, 3), np.nan)
    for rung, (steps, going_on) in enumerate([(2, 6), (6, 2), (18, 1)]):
        expected[alive, rung] = [height_at(settings, i, steps) for i in alive]
        alive = sorted(alive, key=lambda i: -expected[i, rung])[:going_on]
    np.testing.assert_allclose(found.scores, expected, rtol=1e-5)
    assert found.best == alive[0] and found.train_state.step == 18 and found.steps.tolist() == [2, 6, 18]
    assert found.train_state.params["height"] == settings["height"][alive[0]]
    table = found.table()
    assert np.bincount(table["rung"]).tolist() == [14, 4, 2] and set(table["steps"]) == {2, 6, 18}
    np.testing.assert_allclose(table["score"][alive[0]], height_at(settings, alive[0], 18), rtol=1e-5)


def simulated(settings, size, members, steps, rungs, factor):
    """Asynchronous halving in plain Python, slot by slot: the score of each setting at each rung."""
    scores: list[dict] = [{} for _ in range(rungs)]
    slots, following = [(i, 0, 0) for i in range(members)], members  # setting, age, rung
    while any(setting is not None for setting, _, _ in slots):
        slots = [(setting, age + 1, rung) for setting, age, rung in slots]
        arrived = [setting is not None and age == factor**rung for setting, age, rung in slots]
        for (setting, age, rung), here in zip(slots, arrived):
            if here:
                scores[rung][setting] = height_at(settings, setting, age * steps)
        for i, ((setting, age, rung), here) in enumerate(zip(slots, arrived)):
            if here:
                at = sorted(scores[rung].values(), reverse=True)
                earlier = [scores[rung].get(other) for other in range(setting)]
                place = at.index(scores[rung][setting]) + earlier.count(scores[rung][setting])
                stays = place < (1 if scores[rung][setting] == -np.inf else max(1, len(at) // factor))
                if stays and rung < rungs - 1:
                    slots[i] = setting, age, rung + 1
                else:
                    slots[i] = (following if following < size else None), 0, 0
                    following += 1
    return scores


def test_asynchronous_halving_equals_plain_python(key, rng):
    settings = curves(rng, 40)
    halve = train.asynchronous_halving(curve, settings, score_of_curve, members=6, steps=2, rungs=3, factor=2)
    found = jax.jit(halve)(key, None)
    expected = simulated(settings, 40, 6, 2, 3, 2)
    scores = np.full((40, 3), np.nan)
    for rung, at in enumerate(expected):
        scores[list(at), rung] = list(at.values())
    np.testing.assert_allclose(found.scores, scores, rtol=1e-5)
    best = max(expected[2], key=lambda setting: expected[2][setting])
    assert found.best == best and found.train_state.params["height"] == settings["height"][best]
    np.testing.assert_array_equal(*(jax.random.key_data(k) for k in (found.train_state.key, jax.random.fold_in(key, best))))
    assert not np.isnan(found.scores[:, 0]).any() and found.train_state.step == 8


def test_halving_ends_when_all_diverge(key):
    """The first goes on, and stays ahead of its equals."""
    settings = {"height": -np.ones(5, "float32"), "slowness": np.ones(5, "float32")}
    halve = train.asynchronous_halving(curve, settings, score_of_curve, members=2, steps=1, rungs=2, factor=2)
    found = jax.jit(halve)(key, None)
    assert found.best == 0 and found.train_state.step == 2
    assert found.table()["rung"].tolist() == [1, 0, 0, 0, 0] and found.table()["score"].tolist() == [-np.inf] * 5


def test_a_halved_setting_is_the_run_made_alone(key):
    """The best of all is, to rounding, its own run from its own key for as many steps; so is one that took another's place."""
    rates = np.float32([1e-5, 1e-1, 1e-4, 1e-6])
    forwards, backwards = {"learning_rate": rates}, {"learning_rate": rates[::-1]}
    make = lambda learning_rate: train.run(train.step(LINEAR, optax.sgd(learning_rate)), batch_size=4)
    score = lambda train_state: -train.evaluate(LINEAR, HELD_OUT)(train_state)["loss"]
    synchronous = train.successive_halving(make, forwards, score, steps=4, factor=2, rungs=2)
    refilled = train.asynchronous_halving(make, backwards, score, members=2, steps=4, rungs=2, factor=2)
    run = make(jnp.float32(1e-1))
    alone = jax.jit(lambda key: run.advance(run.init(key, DATA), DATA, 8)[0])
    for halve, best in ((synchronous, 1), (refilled, 2)):
        found = jax.jit(halve)(key, DATA)
        assert found.best == best and found.steps.tolist() == [4, 8]
        expected = alone(jax.random.fold_in(key, best))
        for a, b in zip(jax.tree.leaves(found.train_state.params), jax.tree.leaves(expected.params)):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_hyperband_s_brackets():
    """Of algorithm 1 of the paper, for R = 81."""
    assert search.hyperband(81) == [(81, 1, 5), (34, 3, 4), (15, 9, 3), (8, 27, 2), (5, 81, 1)]
    assert search.hyperband(1) == [(1, 1, 1)]
    for bracket in search.hyperband(100, factor=4):
        train.successive_halving(
            curve, {"height": np.ones(bracket.settings)}, score_of_curve, steps=bracket.steps, factor=4, rungs=bracket.rungs
        )


def test_scores_that_are_no_scalars_are_named(key):
    measure, height = train.evaluate(OBJECTIVE, HELD_OUT), {"height": np.ones(4)}
    several = lambda train_state: {"height": train_state.params["height"]}
    curves_of = lambda height: curve(height, 0.0)
    for halve in (
        train.successive_halving(curves_of, height, several, steps=1),
        train.asynchronous_halving(curves_of, height, several, members=2, steps=1, rungs=2),
    ):
        with pytest.raises(ValueError, match=r"halving: score must give a scalar, got {height: float32\[\]}; pick one"):
            jax.eval_shape(halve, key, None)
    based = train.population_based(make_run, {"learning_rate": RATES}, measure, search.perturb(), every=4)
    early = train.stop_early(make_run(0.1), train.patience(1), measure)
    for run, match in ((based, "population_based: score must"), (early, "stop_early: score must")):
        with pytest.raises(ValueError, match=match):
            jax.eval_shape(lambda key: run.advance(run.init(key, DATA), DATA, 1), key)  # noqa: B023


def test_halvings_that_cannot_be_are_named():
    with pytest.raises(ValueError, match="4 settings last for 2 rungs, got rungs=3"):
        train.successive_halving(curve, {"height": np.ones(4)}, score_of_curve, steps=1, rungs=3)
    with pytest.raises(ValueError, match="factor must be at least 2"):
        train.successive_halving(curve, {"height": np.ones(4)}, score_of_curve, steps=1, factor=1)
    with pytest.raises(ValueError, match="an entry for each setting"):
        train.successive_halving(curve, {"height": np.ones(4), "slowness": np.ones(3)}, score_of_curve, steps=1)
    with pytest.raises(ValueError, match="there are 4 settings, fewer than members, 5"):
        train.asynchronous_halving(curve, {"height": np.ones(4)}, score_of_curve, members=5, steps=1, rungs=2)


FOLDS = train.folds(jax.random.key(7), 20, 3)


def fold_run(fold, learning_rate=0.1):
    return train.run_on_folds(train.step(LINEAR, optax.sgd(learning_rate)), FOLDS, fold, batch_size=4)


@pytest.mark.parametrize("samples, count", [(20, 3), (12, 4), (7, 7), (5, 2)])
def test_folds_are_those_of_scikit_learn(key, samples, count):
    """Each sample is held out once, by folds of scikit-learn's sizes, and trains all the others."""
    from sklearn.model_selection import KFold

    folds = train.folds(key, samples, count)
    held_out = [folds.held_out(i) for i in range(count)]
    assert [len(fold) for fold in held_out] == [len(test) for _, test in KFold(count).split(np.zeros(samples))]
    assert sorted(np.concatenate(held_out)) == list(range(samples))
    for i in range(count):
        assert sorted([*folds.training(i), *held_out[i]]) == list(range(samples))


def test_stratified_folds_have_the_same_share_of_each_label(key, rng):
    labels = rng.choice(3, 50, p=[0.6, 0.3, 0.1])
    folds = train.folds(key, 50, 4, labels=labels)
    counts = np.array([np.bincount(labels[folds.held_out(i)], minlength=3) for i in range(4)])
    assert (np.ptp(counts, 0) <= 1).all() and np.ptp(folds.sizes) <= 1
    assert sorted(folds.order) == list(range(50))


def test_a_run_on_folds_sees_each_training_sample_and_no_other(key):
    """Over epochs, each fold's batches hold its own training samples, none twice in an epoch, in orders that differ."""
    counting = train.Step(
        lambda key, batch: train.TrainState({}, {}, (), key, *[jnp.zeros((), jnp.int32)] * 3),
        lambda train_state, batch: (train_state.replace(step=train_state.step + 1), {"batch": batch}),
    )
    population = train.population(lambda fold: train.run_on_folds(counting, FOLDS, fold, batch_size=6), {"fold": np.arange(3)})
    keys = jax.random.split(key, 3)
    train_state, seen = jax.jit(population.advance, static_argnums=2)(
        jax.jit(population.init)(keys, jnp.arange(20)), jnp.arange(20), 80
    )
    assert train_state.epoch.tolist() == [40, 40, 40]
    for fold in range(3):
        epochs = np.asarray(seen["batch"])[fold].reshape(40, 12)
        assert all(len(set(epoch)) == 12 for epoch in epochs) and len({tuple(epoch) for epoch in epochs}) > 30
        assert set(epochs.ravel()) == set(FOLDS.training(fold))  # 12 of 13 or 14 an epoch: all, over 40


def test_cross_validation_is_a_loop_over_folds():
    """Against runs alone on copies of a fold's own samples, evaluated on what it holds out."""
    found = jdl.cross_validate(
        fold_run,
        DATA,
        FOLDS,
        hyperparameters={"learning_rate": [0.1, 0.01]},
        evaluate=train.evaluate_on_folds(LINEAR, FOLDS, DATA, batch_size=4),
        epochs=2,
        seeds=2,
        progress=False,
    )
    assert found.history["evaluate/loss"].shape == (2, 2, 6) and found.settings == {"learning_rate": [0.1, 0.01]}
    init, update = jax.jit(fold_run(0).init), jax.jit(train.step(LINEAR, optax.sgd(0.01)).update)
    shuffled = jax.jit(lambda key, size: train.shuffled(key, jnp.arange(12), size, most=20))
    x, y = map(np.asarray, DATA)
    for fold, seed in ((0, 1), (2, 0)):
        state = init(jax.random.key(seed), DATA)
        training, rest = FOLDS.training(fold), FOLDS.held_out(fold)
        for epoch in range(2):
            order = np.asarray(shuffled(jdl.layer.derive(state.key, "order", epoch), training.size))
            for batch in training[order].reshape(3, 4):
                state, _ = update(state, (x[batch], y[batch]))
        member = found.member(1, 2 * fold + seed)
        assert member.hyperparameters["fold"] == fold
        chex.assert_trees_all_close(member.params, state.params, rtol=1e-5, atol=1e-6)
        predicted = x[rest] @ np.asarray(state.params["kernel"]) + np.asarray(state.params["bias"])
        expected = np.square(predicted - y[rest]).mean()
        np.testing.assert_allclose(found.history["evaluate/loss"][-1, 1, 2 * fold + seed], expected, rtol=1e-4)
    compared = found.compare(0, 1, "evaluate/loss")
    np.testing.assert_allclose(compared.difference.mean, np.subtract(*found.history["evaluate/loss"][-1]).mean(), rtol=1e-5)


def test_the_order_of_a_traced_size_is_a_permutation(key):
    sizes = np.array([3, 15, 16])
    orders = jax.jit(jax.vmap(lambda size: train.shuffled(key, jnp.arange(16) % size, size, most=16)))(sizes)
    for size, order in zip(sizes, orders):
        assert sorted(order[:size].tolist()) == list(range(size))


def test_folds_that_cannot_be_are_named(key):
    with pytest.raises(ValueError, match="count must be in"):
        train.folds(key, 5, 6)
    with pytest.raises(ValueError, match="one for each of 5 samples"):
        train.folds(key, 5, 2, labels=[0, 1])
    with pytest.raises(ValueError, match="batch_size 14 is larger than 13"):
        train.run_on_folds(train.step(LINEAR, optax.sgd(0.1)), FOLDS, 0, batch_size=14)
    with pytest.raises(ValueError, match=r"fold must lie in 0..2, found 3"):
        fold_run(3)
    with pytest.raises(ValueError, match="folds are of 20 samples, the data are 7"):
        train.evaluate_on_folds(LINEAR, FOLDS, HELD_OUT)
    with pytest.raises(ValueError, match="no hyperparameter 'fold'"):
        train.evaluate_on_folds(LINEAR, FOLDS, DATA)(jax.eval_shape(fold_run(0).init, key, DATA))
    with pytest.raises(ValueError, match="may not be named 'fold'"):
        jdl.cross_validate(fold_run, DATA, FOLDS, hyperparameters={"fold": [0]}, epochs=1)
    measure, widths = train.evaluate_on_folds(LINEAR, FOLDS, DATA), {"width": [1, 2]}
    with pytest.raises(TypeError, match=r"evaluate must take width by keyword.* evaluate=lambda train_state, width: measure"):
        jdl.cross_validate(lambda fold, width: fold_run(fold), DATA, FOLDS, hyperparameters=widths, evaluate=measure, epochs=1)


def test_the_uncertainty_of_classes_splits_as_in_information_theory(rng):
    """Total: entropy of the mean; epistemic: mean divergence of members from it, of SciPy; aleatoric: mean of entropies."""
    from scipy import special, stats

    logits = rng.normal(size=(5, 7, 4)).astype(np.float32) * 3
    logits[:, 0, 1] = -np.inf  # a class without probability
    uncertainty = jax.jit(metrics.classification_uncertainty)
    found = uncertainty(logits)
    each = special.softmax(logits.astype(float), -1)
    mean = each.mean(0)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-5)
    np.testing.assert_allclose(found.total, stats.entropy(mean, axis=-1), rtol=1e-5)
    np.testing.assert_allclose(found.aleatoric, stats.entropy(each, axis=-1).mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.epistemic, stats.entropy(each, mean[None], axis=-1).mean(0), rtol=1e-4, atol=1e-5)
    same = uncertainty(np.repeat(logits[:1], 5, 0))
    assert (same.epistemic >= 0).all() and (same.epistemic < 1e-5).all()


def test_the_uncertainty_of_gaussians_is_that_of_their_mixture(rng):
    """Against draws: first a member, then from its Gaussian."""
    means, variances = rng.normal(size=(4, 3)), rng.uniform(0.5, 2, (4, 3))
    found = jax.jit(metrics.gaussian_uncertainty)((means.astype(np.float32), variances.astype(np.float32)))
    draws = 200_000
    drawn = means[members := rng.integers(4, size=draws)] + rng.normal(size=(draws, 3)) * np.sqrt(variances[members])
    np.testing.assert_allclose(found.total, found.aleatoric + found.epistemic, rtol=1e-6)
    np.testing.assert_allclose(found.aleatoric, variances.mean(0), rtol=1e-5)
    deviation = drawn.std(0)
    assert (np.abs(found.mean - drawn.mean(0)) < 6 * deviation / draws**0.5).all()
    spread = np.sqrt(((drawn - drawn.mean(0)) ** 2).var(0) / draws)
    assert (np.abs(found.total - drawn.var(0)) < 6 * spread).all()


NORMED = L.chain(L.batch_norm(), L.dense(1))


def normed_run(every, count):
    cosine = optax.cosine_decay_schedule(0.1, every)
    step = train.step(train.objective(NORMED, losses.mean_squared_error), optax.sgd(lambda taken: cosine(taken % every)))
    return train.run(train.snapshots(step, every=every, count=count), batch_size=4)


def test_snapshots_are_the_run_at_the_ends_of_cycles(key):
    """Params and running statistics at steps 4, 6 and 8 of 9, of a population too; prediction is each model's own."""
    population = train.population(normed_run(2, 3))
    advance = jax.jit(population.advance, static_argnums=2)
    start = jax.jit(population.init)(jax.random.split(key, 2), DATA)
    final, _ = advance(start, DATA, 9)
    members = jax.jit(jax.vmap(train.snapshot_members))(final)
    state = start
    for place in (0, 0, 1, 2, 0):  # the fourth takes the place of the first
        if (snapshot := int(state.step[0]) // 2) > 1:
            found = (place_of(members, slice(None), place), place_of(state, slice(None)))
            chex.assert_trees_all_close(*found, rtol=1e-5, atol=1e-6), snapshot
        state, _ = advance(state, DATA, 2)
    predicted = jax.jit(lambda one: train.predict_members(NORMED, one, DATA[0]))(jax.tree.map(lambda a: a[1], members))
    apply = jax.jit(NORMED.apply)
    for i in range(3):
        np.testing.assert_allclose(predicted[i], apply(*place_of(members, 1, i), DATA[0])[0], rtol=1e-4, atol=1e-6)


def place_of(train_state, *index):
    """Params and state of some members."""
    return jax.tree.map(lambda a: np.asarray(a)[index], (train_state.params, train_state.state))


def test_ensembles_that_cannot_be_are_named(key):
    train_state = jax.jit(normed_run(2, 3).init)(key, DATA)
    with pytest.raises(ValueError, match="snapshot_members: all 3 snapshots must have been taken"):
        train.snapshot_members(train_state)
    with pytest.raises(ValueError, match=r"the train state keeps \[\], not snapshots"):
        train.snapshot_members(train_state.replace(memory={}))
    with pytest.raises(ValueError, match=r"write jax.vmap\(train.snapshot_members\)"):
        train.snapshot_members(jax.eval_shape(train.population(normed_run(2, 3)).init, jax.random.split(key), DATA))
    with pytest.raises(ValueError, match="must be a positive integer"):
        train.snapshots(train.step(LINEAR, optax.sgd(0.1)), every=2, count=0)
    with pytest.raises(ValueError, match=r"logits must be \(members, ..., classes\)"):
        metrics.classification_uncertainty(jnp.ones(3))
    with pytest.raises(ValueError, match="means and variances must be"):
        metrics.gaussian_uncertainty((jnp.ones((2, 3)), jnp.ones((2, 1))))


def in_python(train_state, advance, patience, epochs, score):
    """Early stopping after every epoch, in plain Python: the best params, the last, and after which epoch it stopped."""
    highest, best, waited = -np.inf, None, 0
    for epoch in range(1, epochs + 1):
        train_state = advance(train_state)
        if (found := float(score(train_state))) > highest:
            highest, best, waited = found, train_state.params, 0
        elif (waited := waited + 1) == patience:
            return best, train_state.params, epoch
    return best, train_state.params, None


def test_members_stop_early_each_by_itself(key):
    """In one program, through a sweep, as in Python: one stops when it diverges, one by patience, one not at all."""
    held_out = DATA[0], 0 * DATA[1] + 2.3  # the way to the data's own solution leads past what is best here
    score = lambda train_state: -train.evaluate(LINEAR, held_out)(train_state)["loss"]
    plain_run = lambda learning_rate: train.run(train.step(LINEAR, optax.sgd(learning_rate)), batch_size=4)
    make = lambda learning_rate: train.stop_early(plain_run(learning_rate), train.patience(2), score)
    rates = np.float32([3.0, 0.1, 1e-6])
    found = jdl.sweep(
        make,
        DATA,
        hyperparameters={"learning_rate": rates},
        seeds=key[None],
        evaluate=train.evaluate(LINEAR, held_out),
        epochs=9,
        progress=False,
    )
    ends = []
    start = jax.jit(plain_run(0.1).init)(jax.random.clone(key), DATA)
    advance, measure = jax.jit(lambda state, rate: plain_run(rate).advance(state, DATA, 5)[0]), jax.jit(score)
    for i, rate in enumerate(rates):
        best, last, end = in_python(start, lambda state: advance(state, rate), 2, 9, measure)  # noqa: B023
        member = found.member(i, 0)
        chex.assert_trees_all_close(member.params, last, rtol=1e-4, atol=1e-6)
        chex.assert_trees_all_close(train.best(member).params, best, rtol=1e-4, atol=1e-6)
        stopped = found.history["train/stopped"][:, i, 0]
        losses_of = found.history["train/loss"][:, i, 0]
        assert (member.epoch, member.step) == (9, 5 * (end or 9))
        assert stopped.tolist() == ([0.0] * 9 if end is None else [0.0] * (end - 1) + [np.float32(0.2)] + [1.0] * (9 - end))
        assert end is None or len(set(losses_of[end:])) == 1
        ends.append(end)
    assert ends[0] is not None and ends[2] is None


def test_a_population_measures_after_epochs_only(key):
    """`vmap` would turn a branch that differs between members into both. Who has stopped goes along with the others, also alone."""
    score = lambda train_state: 1.0 + 0 * train_state.epoch
    make = lambda patience: train.stop_early(make_run(0.1), train.patience(patience), score)
    each = {"patience": np.int32([1, 3])}
    population = train.population(make, each)
    start = jax.jit(population.init)(jax.random.split(key, 2), DATA)
    program = str(jax.make_jaxpr(lambda train_state: population.advance(train_state, DATA, 1))(start))
    assert program.count(" cond[") == 2
    final, metrics = jax.jit(population.advance, static_argnums=2)(start, DATA, 42)
    assert metrics["stopped"].tolist() == [[0.0] * 9 + [1.0] * 33, [0.0] * 19 + [1.0] * 23]
    mapped = jax.vmap(lambda train_state: make(train_state.hyperparameters["patience"]).advance(train_state, DATA, 42))
    exact = lambda train_state: train.population(make, each, exact=True).advance(train_state, DATA, 42)
    for last, found in ((final, metrics), *jax.jit(lambda train_state: (mapped(train_state), exact(train_state)))(start)):
        np.testing.assert_allclose(found["loss"], metrics["loss"], rtol=1e-4)
        assert (last.epoch.tolist(), last.position.tolist(), last.step.tolist()) == ([8, 8], [8, 8], [10, 20])


@pytest.mark.slow
def test_what_stops_and_what_evolves_goes_on_from_its_folder(key, tmp_path):
    """To the bit: progress of early stopping is in the checkpoint; and a population of populations is one, too."""
    early = train.stop_early(make_run(0.1), train.patience(2), score)
    based = train.population_based(make_run, {"learning_rate": RATES}, score, search.perturb(), every=4)
    for name, run in (("early", early), ("based", based)):
        keys = jax.random.split(jax.random.clone(key), 2)
        run = run._replace(init=jax.jit(run.init))
        whole, history = jdl.fit(run, DATA, keys, epochs=6, progress=False)
        jdl.fit(run, DATA, keys, epochs=3, folder=tmp_path / name, progress=False)
        resumed, again = jdl.fit(run, DATA, keys, epochs=6, folder=tmp_path / name, progress=False)
        chex.assert_trees_all_equal(plain(resumed), plain(whole))
        np.testing.assert_array_equal(again["train/loss"], history["train/loss"])
        alone, _ = jdl.fit(run, DATA, keys[1], epochs=6, progress=False)
        chex.assert_trees_all_close(place(whole.params, 1), plain(alone.params), rtol=1e-3, atol=1e-5)


def test_runs_that_cannot_stop_are_named(key):
    run = train.stop_early(make_run(0.1), train.patience(1), score)
    with pytest.raises(ValueError, match=r"stop_early: the train state has memory\['stop_early'\] already"):
        jax.eval_shape(train.stop_early(run, train.patience(1), score).init, key, DATA)
    population = train.stop_early(train.population(make_run(0.1)), train.patience(1), score)
    with pytest.raises(ValueError, match="stop each member"):
        jax.eval_shape(population.init, jax.random.split(key), DATA)
    with pytest.raises(ValueError, match=r"the train state keeps \[\]"):
        train.best(jax.eval_shape(make_run(0.1).init, key, DATA))


def test_settings_are_compared_in_pairs_of_seeds(rng):
    from scipy import stats

    first, second = rng.normal(size=(2, 8))
    history = {"epoch": np.arange(2), "evaluate/loss": np.stack([np.zeros((2, 8)), [first, second]])}
    found = jdl.Sweep({"rate": [0.1, 0.2]}, history, [])
    expected = stats.ttest_rel(first, second)
    compared = found.compare(0, 1, "evaluate/loss")
    np.testing.assert_allclose(compared.p_value, expected.pvalue, rtol=1e-6)
    np.testing.assert_allclose(compared.difference.low, expected.confidence_interval().low, rtol=1e-6)
    turned = found.compare(1, 0, "evaluate/loss", test=metrics.wilcoxon_test)
    np.testing.assert_allclose(turned.p_value, stats.wilcoxon(first, second).pvalue, rtol=1e-6)
    with pytest.raises(KeyError, match=r"metrics are \['evaluate/loss'\], got 'loss'"):
        found.compare(0, 1, "loss")
    with pytest.raises(IndexError, match="there are 2 settings, got -1"):
        found.compare(0, -1, "evaluate/loss")
