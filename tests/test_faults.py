"""Steps that spike, overflow or are not finite; and several networks in one step."""

import functools
import runpy
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jdl
from jdl import layers as L
from jdl import losses, train

GAN = runpy.run_path(str(Path(__file__).parents[1] / "experiments" / "gan.py"))
NOISY = L.chain(L.batch_norm(), L.dropout(0.3), L.dense(1))
OBJECTIVE = train.objective(NOISY, losses.mean_squared_error)


def batches(rng, number, size=8):
    return tuple(rng.normal(size=(number, size, width)).astype(np.float32) for width in (2, 1))


def plain(**named):
    return train.average(train.step(OBJECTIVE, optax.sgd(0.01, momentum=0.9), **named), 0.9)


@functools.cache
def scanned(step):
    """`(key, batches) -> (train_states, metrics)` after each step, in one program."""

    def run(key, batches):
        each = lambda train_state, batch: (lambda new: (new[0], new))(step.update(train_state, batch))
        return jax.lax.scan(each, step.init(key, jax.tree.map(lambda a: a[0], batches)), batches)[1]

    return jax.jit(run)


def at(train_states, i):
    return jax.tree.map(lambda a: a[i], train_states.replace(key=jax.random.key_data(train_states.key)))


def replayed(update, params):
    """A step made by hand, whose params and metrics follow from a batch of plain numbers."""

    def init(key, batch):
        count = [jnp.int32(0) for _ in range(3)]
        return train.TrainState(params, {}, {}, jax.random.clone(key), *count)

    def step(train_state, batch):
        new, metrics = update(train_state.params, batch)
        return train_state.replace(params=new, step=train_state.step + 1), metrics

    return train.Step(init, step)


PLAIN = plain()


def guarded(step):
    return train.rollback(step, after=3, every=4)


FACTOR = 1e4  # at least ten times the median, which the norms of these gradients don't reach by themselves
GUARDED = {
    "loss": guarded(train.skip_spikes(PLAIN, FACTOR, window=4)),
    "gradient": guarded(train.skip_spikes(plain(gradient=train.with_gradient_norm()), FACTOR, by="gradient_norm", window=4)),
    "loss of a micro-batch": guarded(train.skip_spikes(plain(gradient=train.accumulate(2)), FACTOR, window=4)),
}


def test_without_faults_it_is_the_plain_run(key, rng):
    """But for how XLA rounds another program."""
    given = batches(rng, 12)
    expected, measured = scanned(PLAIN)(jax.random.clone(key), given)
    found, also = scanned(GUARDED["loss"])(key, given)
    assert not also["skipped"].any() and not also["rolled_back"].any()
    np.testing.assert_allclose(measured["loss"], also["loss"], rtol=1e-4)
    chex.assert_trees_all_close(at(expected, -1), at(found.replace(memory={}), -1), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", GUARDED)
@pytest.mark.parametrize("fault", [1e6, np.nan, np.inf])
def test_a_spike_changes_nothing(key, rng, name, fault):
    """Of one sample; to the bit, also what is remembered of spikes: the run without those batches."""
    given, run = batches(rng, 12), scanned(GUARDED[name])
    bad = np.sort(rng.choice(np.arange(5, 12), 2, replace=False))
    spiked = given[1].copy()
    spiked[bad, -1] = fault
    found, measured = run(jax.random.clone(key), (given[0], spiked))
    expected, _ = run(key, tuple(np.concatenate([np.delete(a, bad, 0), a[:2]]) for a in given))
    assert np.flatnonzero(measured["skipped"]).tolist() == bad.tolist()
    memory = [at(states, i).memory["rollback"] | {"skipped": 0} for states, i in ((found, 11), (expected, 9))]
    chex.assert_trees_all_equal(*memory)
    chex.assert_trees_all_equal(at(found, 11).replace(memory={}), at(expected, 9).replace(memory={}))


def test_what_a_run_keeps_around_the_step_does_not_go_back(key):
    """Early stopping counts on, whatever the step goes back to."""
    data = jnp.ones((8, 3)), jnp.full((8, 1), jnp.nan)
    objective = train.objective(L.dense(1), losses.mean_squared_error)
    step = train.rollback(train.skip_nonfinite(train.step(objective, optax.sgd(0.1))), after=2, every=1)
    score = lambda train_state: -train.evaluate(objective, data)(train_state)["loss"]
    run = train.stop_early(train.run(step, batch_size=4), train.patience(2), score)
    metrics = jax.jit(lambda key: run.advance(run.init(key, data), data, 6)[1])(key)
    assert metrics["rolled_back"].tolist() == [0, 1, 0, 1, 1, 1]  # of steps after it stopped, those of the last are told
    assert metrics["stopped"].tolist() == [0, 0, 0, 1, 1, 1]


def test_a_scaled_loss_is_exact_in_single_precision(key, rng):
    """Operation by operation, so that XLA fuses nothing: to the bit."""
    sgd, apply = optax.sgd(0.1), lambda w, state, x, key=None, train=True: (jnp.sin(w * x), ({}, {}))
    objective = train.Objective(lambda key, x: (jnp.asarray(0.7), {}), apply)
    step = train.step(objective, sgd)
    scaled = train.scale_loss(lambda gradient: train.step(objective, sgd, gradient=gradient))
    x = jnp.asarray(rng.normal(), jnp.float32)
    first = scaled.init(key, x)
    with jax.disable_jit():
        expected, found = step.update(first, x)[0], scaled.update(first, x)[0]
    assert expected.params == found.params != first.params


VALUES = replayed(lambda params, value: (params + 1, {"loss": value}), jnp.int32(0))


def test_spikes_are_those_of_the_definition(key, rng):
    """Median and deviation of the last values that were none, against NumPy, for members with factors of their own."""
    window, factors = 5, np.array([1.0, 3.0, 10.0], np.float32)
    values = rng.standard_cauchy((3, 60)).astype(np.float32) + np.float32(2)
    values[:, -1] = 1e30

    def skipped(factor, values):
        step = train.skip_spikes(VALUES, factor, window=window)
        return jax.lax.scan(step.update, step.init(jax.random.key(0), values[0]), values)[1]["skipped"]

    found = jax.jit(jax.vmap(skipped))(factors, values)
    for member in range(3):
        kept: list[np.float32] = []
        for value, skip in zip(values[member], found[member]):
            last = np.array(kept[-window:], np.float32)
            middle = np.median(last) if kept else np.float32(0)
            deviation = max(1.4826 * np.median(abs(last - middle)), 1e-3 * abs(middle)) if kept else 0
            spike = len(kept) >= window and value > middle + factors[member] * deviation
            assert spike == bool(skip)
            kept += [] if spike else [value]
    assert found[:, -1].all() and not found[:, :window].any()


FLAGS = train.skip_nonfinite(replayed(lambda params, bad: (params + 1, {"loss": jnp.where(bad, jnp.nan, 0.0)}), jnp.int32(0)))


def test_rolling_back_is_as_described(key, rng):
    """Against lists of Python, for members with settings of their own and faults that come in runs."""
    after, every = np.array([1, 2, 3, 2], np.int32), np.array([1, 3, 5, 4], np.int32)
    faults = np.repeat(rng.random((4, 40)) < 0.3, 3, axis=1)

    def run(after, every, faults):
        step = train.rollback(FLAGS, after=after, every=every)
        first = step.init(jax.random.key(0), faults[0])
        both = lambda train_state, bad: (lambda new: (new[0], (new[0].params, new[0].step, new[1])))(step.update(train_state, bad))
        return jax.lax.scan(both, first, faults)[1]

    params, steps, measured = jax.jit(jax.vmap(run))(after, every, faults)
    for member in range(4):
        now, older, newer, good, streak, taken = 0, 0, 0, 0, 0, 0
        for i, bad in enumerate(faults[member]):
            back = bad and streak + 1 >= after[member]
            if bad:
                streak += 1
            else:
                now, good, streak, taken = now + 1, good + 1, 0, taken + 1
                if good == every[member]:
                    older, newer, good = newer, now, 0
            if back:
                now, newer, good, streak = older, older, 0, 0
            assert (params[member, i], steps[member, i], measured["rolled_back"][member, i]) == (now, taken, back)
    assert measured["rolled_back"].any(1).all() and (steps[:, -1] == (~faults).sum(1)).all()


def test_the_scale_of_a_loss(key, rng):
    """It halves at every overflow, doubles after a period without, stays in its bounds; a step that overflows changes nothing."""

    def apply(params, state, batch, key=None, train=True):
        return (params["w"] * batch.astype("float16")).astype("float32") / 4096, (state, {})

    objective = train.Objective(lambda key, batch: ({"w": jnp.zeros((), "float16")}, {}), apply)
    sgd = optax.sgd(1.0)
    step = train.scale_loss(lambda gradient: train.step(objective, sgd, gradient=gradient), period=3)
    sizes = rng.choice([1e-6, 1.0, 4.0, 60_000.0, np.inf], 140, p=[0.3, 0.3, 0.2, 0.1, 0.1]).astype(np.float32)
    sizes[20:] = 2.0**-20  # with which the scale reaches its bound
    trace = lambda train_state, batch: (lambda new: (new[0], (new[0], new[1])))(step.update(train_state, batch))
    _, (states, measured) = jax.jit(lambda sizes: jax.lax.scan(trace, step.init(key, sizes[0]), sizes))(sizes)
    scale, good, taken = 2.0**15, 0, 0
    for i, size in enumerate(sizes):
        assert measured["loss_scale"][i] == scale
        overflow = scale / 4096 * float(np.float16(size)) >= 65520  # which rounds to infinity in float16
        assert bool(measured["skipped"][i]) == overflow
        good, taken = (0, taken) if overflow else (good + 1, taken + 1)
        scale = max(scale / 2, 1.0) if overflow else min(2 * scale, 2.0**24) if good == 3 else scale
        good %= 3
        assert states.step[i] == taken
    assert np.isfinite(states.params["w"]).all() and scale == 2.0**24


def test_the_scale_of_a_loss_does_not_go_back(key):
    """One that overflows more often in a row than it takes to go back is halved until it does not."""
    apply = lambda w, state, batch, key=None, train=True: ((w * batch).astype("float32"), (state, {}))
    objective = train.Objective(lambda key, batch: (jnp.zeros((), "float16"), {}), apply)
    scaled = train.scale_loss(lambda gradient: train.step(objective, optax.sgd(1e-6), gradient=gradient))
    step = train.rollback(scaled, after=2, every=1)
    measured = scanned(step)(key, jnp.full(10, 300, "float16"))[1]
    assert measured["loss_scale"].tolist() == [*(2.0**i for i in range(15, 6, -1)), 2.0**7]
    assert measured["rolled_back"].tolist() == [0, 1] * 4 + [0, 0]


def test_the_norm_of_a_gradient_is_that_without_a_scale(key, rng):
    """Also of one that is accumulated."""
    objective, batch = train.objective(L.dense(1), losses.mean_squared_error), tuple(a[0] for a in batches(rng, 1))
    make = lambda gradient: train.step(objective, optax.sgd(0.1), gradient=train.with_gradient_norm(gradient))
    accumulated = train.accumulate(2)

    def norms(key):
        first = make(accumulated).init(key, batch)
        scaled = train.scale_loss(make, gradient=accumulated)
        memory = scaled.init(jax.random.clone(first.key), batch).memory
        return [step.update(first.replace(memory=memory), batch)[1]["gradient_norm"] for step in (make(accumulated), scaled)]

    expected, found = jax.jit(norms)(key)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_small_gradients_of_half_precision_don_t_vanish(key):
    model = L.precision(L.dense(1, bias=False), "float16")
    objective = train.objective(model, lambda y, target: 1e-6 * losses.mean_absolute_error(y, target))
    batch = np.full((4, 2), 0.01, np.float32), np.full((4, 1), 100, np.float32)
    plain = train.step(objective, optax.sgd(1e6))
    scaled = train.scale_loss(lambda gradient: train.step(objective, optax.sgd(1e6), gradient=gradient))

    def moved(key, step):
        before = step.init(key, batch)
        return step.update(before, batch)[0].params["kernel"] - before.params["kernel"]

    lost, found = jax.jit(lambda key: (moved(jax.random.clone(key), plain), moved(key, scaled)))(key)
    assert not lost.any()
    np.testing.assert_allclose(found, np.full((2, 1), 1e-2), rtol=1e-2)


def test_misuse_is_refused(key, rng):
    given = batches(rng, 1)
    batch = tuple(a[0] for a in given)
    attempt = lambda step: jax.eval_shape(lambda: step.update(step.init(key, batch), batch))
    with pytest.raises(ValueError, match="rollback: the step has no metric 'skipped'; wrap it in skip_nonfinite"):
        attempt(train.rollback(PLAIN))
    with pytest.raises(ValueError, match="skip_spikes: the step has no metric 'norm', only loss"):
        attempt(train.skip_spikes(PLAIN, 10.0, by="norm"))
    with pytest.raises(ValueError, match="skip_spikes: the step has a metric named 'skipped' already"):
        attempt(train.skip_spikes(train.skip_nonfinite(PLAIN), 10.0))
    with pytest.raises(ValueError, match=r"rollback: the train state has memory\['rollback'\] already"):
        attempt(train.rollback(GUARDED["loss"]))
    with pytest.raises(ValueError, match="scale_loss: make_step must hand on what it is given"):
        attempt(train.scale_loss(lambda gradient: PLAIN))
    with pytest.raises(ValueError, match="scale_loss: rollback goes around it"):
        attempt(train.scale_loss(lambda gradient: guarded(train.skip_nonfinite(plain(gradient=gradient)))))
    with pytest.raises(ValueError, match="scale_loss: gradient measures the scaled loss: gradient_norm; measure inside make_step"):
        attempt(train.scale_loss(lambda gradient: plain(gradient=gradient), gradient=train.with_gradient_norm()))
    with pytest.raises(ValueError, match="after must be at least 1, got 0"):
        train.rollback(PLAIN, after=0)
    with pytest.raises(ValueError, match="factor must be above 0"):
        train.skip_spikes(PLAIN, 0.0)
    with pytest.raises(ValueError, match="window must be a positive integer"):
        train.skip_spikes(PLAIN, 1.0, window=0)
    with pytest.raises(ValueError, match=r"initial must be in \[1, 16777216.0\]"):
        train.scale_loss(lambda gradient: PLAIN, initial=0.5)


def gan(generator, discriminator):
    optimizer = jdl.gradients.by_path({"generator/**": generator, "discriminator/**": discriminator})
    step = GAN["adversarial"](*GAN["networks"](4), *GAN["LOSSES"]["non-saturating"], optimizer)
    return train.skip_nonfinite(step)


def test_two_networks_in_one_run(key, rng, tmp_path):
    """A step made by hand runs in `fit` as a population, is saved, and goes on from there to the bits of a run in one piece."""
    run = train.run(gan(optax.adam(1e-3), optax.adam(1e-2)), batch_size=8)
    run = run._replace(init=jax.jit(run.init))
    data = rng.normal(size=(24, 2)).astype(np.float32)
    data[5] = np.nan  # one step in three is skipped
    keys = jax.random.split(key, 2)
    fit = functools.partial(jdl.fit, run, data, keys, progress=False)
    whole, history = fit(epochs=3)
    fit(epochs=1, folder=tmp_path / "run")
    resumed, also = fit(epochs=3, folder=tmp_path / "run")
    chex.assert_trees_all_equal(at(whole, ...), at(resumed, ...))
    np.testing.assert_array_equal(history["train/generator"], also["train/generator"])
    np.testing.assert_allclose(history["train/skipped"], np.full((3, 2), 1 / 3), rtol=1e-6)
    assert (whole.step == 6).all() and all(np.isfinite(a).all() for a in jax.tree.leaves(whole.params))


def test_a_frozen_network_stays(key, rng):
    """A learning rate by path glob; the other network is frozen, to the bit."""
    step = gan(optax.sgd(0.0), optax.sgd(1e-2))
    data = rng.normal(size=(3, 8, 2)).astype(np.float32)
    before, (after, _) = jax.jit(
        lambda key: (lambda first: (first, jax.lax.scan(step.update, first, data)))(step.init(key, data[0]))
    )(key)
    before, after = jax.device_get((before.params, after.params))
    chex.assert_trees_all_equal(before["generator"], after["generator"])
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), before["discriminator"], after["discriminator"])
    assert all(jax.tree.leaves(changed))
