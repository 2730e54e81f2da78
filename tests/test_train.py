"""Objectives, steps and runs."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jdl import augment, losses, metrics, regularizers, train
from jdl import layers as L

LINE = tuple(np.linspace(*ends, 40, dtype="float32").reshape(-1, 1) for ends in ((-1, 1), (1, 3)))


def run_of(model, loss=losses.mean_squared_error, batch_size=8, learning_rate=0.1, optimizer=optax.adam, **named):
    objective = train.objective(model, loss, **named)
    return train.run(train.step(objective, optimizer(learning_rate)), batch_size=batch_size)


def init(of, *given):
    """What a step or a run makes, in one program, which finds no fault with values."""
    return jax.jit(of.init)(*given)


NOISY = L.chain(L.dense(8, bias=False), L.batch_norm(), jax.nn.relu, L.dropout(0.3), L.dense(1))


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64, 100, 1000])
def test_order_is_a_permutation(key, size):
    order = jax.jit(train.shuffled, static_argnums=2)(key, jnp.arange(size), size)
    assert sorted(order.tolist()) == list(range(size))


def test_order_is_uniform(key):
    size, draws = 10, 20_000
    of_each = jax.jit(jax.vmap(lambda key: train.shuffled(key, jnp.arange(size), size)))
    orders = np.asarray(of_each(jax.random.split(key, draws)))
    counts = np.stack([np.bincount(orders[:, position], minlength=size) for position in range(size)])
    chi_square = ((counts - draws / size) ** 2 / (draws / size)).sum()  # 81 degrees of freedom
    assert chi_square < 160  # one in 3 million by chance
    follows = np.bincount(((orders[:, 1] - orders[:, 0]) % size).tolist(), minlength=size)[1:]
    assert ((follows - draws / 9) ** 2 / (draws / 9)).sum() < 55  # neighbours are independent too; 8 degrees of freedom


def test_an_entry_of_the_order_needs_no_other(key):
    entries = jax.jit(train.shuffled, static_argnums=2)
    assert entries(jax.random.clone(key), np.array([977]), 1000)[0] == entries(key, np.arange(1000), 1000)[977]


def test_step_equals_optax_by_hand(key):
    objective = train.objective(NOISY, losses.mean_squared_error, penalty=regularizers.l2(0.01, "**/kernel"))
    optimizer = optax.sgd(0.1, momentum=0.9)
    step = train.step(objective, optimizer)
    before = init(step, key, LINE)
    after, measured = jax.jit(step.update)(before, LINE)

    from jdl.layer import derive

    def loss(params):
        dropout_key = derive(before.key, "step", 0)
        predictions, state = NOISY.apply(params, before.state, LINE[0], key=dropout_key, train=True)
        kernels = params["0"]["kernel"], params["4"]["kernel"]
        return ((predictions - LINE[1]) ** 2).mean() + 0.01 * sum((k**2).sum() for k in kernels), state

    def by_hand(params):
        (value, state), gradient = jax.value_and_grad(loss, has_aux=True)(params)
        updates, _ = optimizer.update(gradient, optimizer.init(params))
        return value, state, optax.apply_updates(params, updates)

    value, state, params = jax.jit(by_hand)(before.params)
    np.testing.assert_allclose(measured["loss"] + measured["penalty"], value, rtol=1e-6)
    chex.assert_trees_all_close(after.params, params, rtol=1e-4, atol=1e-6)
    chex.assert_trees_all_close(after.state, state, rtol=1e-5)
    assert after.step == 1


def test_an_objective_may_be_scheduled(key):
    """A function from the step to an objective: the strength of a penalty grows, in one program."""
    schedule = optax.linear_schedule(0.0, 1.0, 4)
    penalised = lambda count: train.objective(L.dense(1), losses.mean_squared_error, penalty=regularizers.l2(schedule(count)))
    run = train.run(train.step(penalised, optax.sgd(0.0)), batch_size=8)
    before = init(run, key, LINE)
    _, measured = jax.jit(run.advance, static_argnums=2)(before, LINE, 6)
    squares = sum((np.asarray(w) ** 2).sum() for w in jax.tree.leaves(before.params))
    np.testing.assert_allclose(measured["penalty"], np.array([0, 0.25, 0.5, 0.75, 1, 1]) * squares, rtol=1e-5)


def test_parts_of_a_batch_give_the_gradient_of_the_whole(key):
    """Accumulation 4 x 8 equals 32; batch norm's running statistics have seen four batches."""
    model = L.chain(L.dense(8), jnp.tanh, L.dense(1))
    objective = train.objective(model, losses.mean_squared_error, metrics={"absolute": losses.mean_absolute_error})
    batch = tuple(a[:32] for a in LINE)
    steps = [train.step(objective, optax.sgd(0.1, momentum=0.9), **named) for named in ({}, {"gradient": train.accumulate(4)})]
    whole, parts = (jax.jit(step.update)(init(step, jax.random.clone(key), batch), batch) for step in steps)
    chex.assert_trees_all_close((whole[0].params, whole[1]), (parts[0].params, parts[1]), rtol=1e-5, atol=1e-6)

    normed = train.objective(L.chain(L.batch_norm(momentum=0.5), L.dense(1)), losses.mean_squared_error)
    step = train.step(normed, optax.sgd(0.1), gradient=train.accumulate(4))
    after, _ = jax.jit(step.update)(init(step, key, batch), batch)
    mean = functools.reduce(lambda mean, part: (mean + part.mean()) / 2, np.split(np.asarray(batch[0]), 4), 0.0)
    np.testing.assert_allclose(after.state["0"]["mean"], [mean], rtol=1e-5)


def test_parts_in_half_precision_are_summed_in_single(key):
    """In bfloat16 a sum of ones stays at 256."""
    objective = train.Objective(
        lambda key, batch: ({"w": jnp.ones((), "bfloat16")}, {}),
        lambda params, state, batch, key=None, train=True: (params["w"] * batch[0].mean().astype("bfloat16"), (state, {})),
    )
    step = train.step(objective, optax.sgd(1.0), gradient=train.accumulate(1024))
    batch = (jnp.ones(1024, "bfloat16"),)
    after, _ = jax.jit(step.update)(step.init(key, batch), batch)
    assert after.params["w"].dtype == "bfloat16" and after.params["w"] == 0


def test_parts_that_do_not_divide_a_batch_are_an_error(key):
    objective = train.objective(L.dense(1), losses.mean_squared_error)
    step = train.step(objective, optax.sgd(0.1), gradient=train.accumulate(3))
    with pytest.raises(ValueError, match="accumulate: 3 parts don't divide a batch of 40 samples"):
        jax.eval_shape(step.update, step.init(key, LINE), LINE)
    with pytest.raises(ValueError, match="times must be a positive integer"):
        train.accumulate(0)


@pytest.mark.parametrize("where", ["inputs", "targets"])
def test_a_step_that_is_not_finite_changes_nothing(key, where):
    """To the bit: params, optimizer, batch norm, average, keys and counts are those of the run without that batch."""
    objective = train.objective(NOISY, losses.mean_squared_error)
    noise, start = jax.random.split(key)
    optimizer = optax.chain(optax.add_noise(0.01, 0.5, noise), optax.sgd(0.1, momentum=0.9))
    step = train.skip_nonfinite(train.average(train.step(objective, optimizer), 0.9))
    spoilt = np.where(np.arange(40) == 3, np.nan, 1).astype("float32")[:, None]
    bad = tuple(a * spoilt if name == where else a for name, a in zip(("inputs", "targets"), LINE))
    update, skipped = jax.jit(step.update), []
    with_it = init(step, start, LINE)
    without = jax.tree.map(jnp.copy, with_it)
    for batch in (LINE, bad, LINE, bad, bad, LINE):
        with_it, measured = update(with_it, batch)
        skipped.append(measured["skipped"].item())
    for _ in range(3):
        without, _ = update(without, LINE)
    assert skipped == [0, 1, 0, 1, 1, 0]
    chex.assert_trees_all_equal(with_it, without)


def test_a_member_skips_alone(key):
    step = train.skip_nonfinite(train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.sgd(0.1)))
    keys = jax.random.split(key, 3)
    before = jax.jit(jax.vmap(step.init, (0, None)))(keys, LINE)
    batches = tuple(np.stack([a, np.where(np.arange(40)[:, None] == 0, np.float32(np.inf), a), a]) for a in LINE)
    after, measured = jax.jit(jax.vmap(step.update))(before, batches)
    assert measured["skipped"].tolist() == [0, 1, 0]
    assert after.step.tolist() == [1, 0, 1]
    changed = (np.asarray(after.params["kernel"]) != before.params["kernel"]).any((1, 2))
    assert changed.tolist() == [True, False, True]


def test_chunks_don_t_change_a_run(key):
    """Order, keys and state depend on (key, epoch, step) alone: 13 steps at once equal 4, 4 and 5, to the bit."""
    run = run_of(NOISY, optimizer=lambda rate: optax.sgd(rate, momentum=0.9))
    advance = jax.jit(run.advance, static_argnums=2)
    start = init(run, key, LINE)
    whole, metrics_of_whole = advance(start, LINE, 13)
    state, collected = start, []
    for steps in (4, 4, 5):
        state, measured = advance(state, LINE, steps)
        collected.append(measured["loss"])
    chex.assert_trees_all_equal(jax.tree.map(_data, state), jax.tree.map(_data, whole))
    np.testing.assert_array_equal(np.concatenate(collected), metrics_of_whole["loss"])
    assert (whole.step, whole.epoch, whole.position) == (13, 2, 24)


def test_a_step_alone_is_the_step_of_a_run(key):
    """XLA compiles a single step without the loop and may round it otherwise; batches, keys and counts are the same."""
    run = run_of(NOISY, optimizer=optax.sgd)  # Adam divides by the gradient, so it blows up the rounding of one near 0
    advance = jax.jit(run.advance, static_argnums=2)
    state, collected = init(run, key, LINE), []
    whole, measured = advance(state, LINE, 6)
    for _ in range(6):
        state, alone = advance(state, LINE, 1)
        collected.append(alone["loss"])
    np.testing.assert_allclose(np.concatenate(collected), measured["loss"], rtol=1e-4)
    chex.assert_trees_all_close(state.params, whole.params, rtol=1e-3, atol=1e-5)
    assert (_data(state.key) == _data(whole.key)).all()
    assert (state.step, state.epoch, state.position) == (whole.step, whole.epoch, whole.position) == (6, 1, 8)


def _data(a):
    return jax.random.key_data(a) if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) else a


def test_every_sample_once_an_epoch(key):
    seen = train.Step(
        lambda key, batch: train.TrainState({}, {}, {}, jax.random.clone(key), *[jnp.int32(0)] * 3),
        lambda state, batch: (state.replace(step=state.step + 1), {"batch": batch}),
    )
    run = train.run(seen, batch_size=5)
    _, measured = jax.jit(run.advance, static_argnums=2)(run.init(key, jnp.arange(23)), jnp.arange(23), 8)
    first, second = measured["batch"].reshape(2, -1).tolist()  # 4 batches of 5 in an epoch of 23
    assert len(set(first)) == len(set(second)) == 20 and first != second


def _plain(step):
    return train.run(step, batch_size=8)


def _on_folds(step):
    return train.run_on_folds(step, train.folds(jax.random.key(0), 40, 3), 0, batch_size=8)


def _stopping(step):
    return train.stop_early(_plain(step), train.patience(1), lambda train_state: -1.0)


def _members(step):
    return train.population(_plain(step))


@pytest.mark.parametrize(("make", "members"), [(_plain, ()), (_on_folds, ()), (_stopping, ()), (_members, (2,))])
def test_a_run_says_how_many_steps_are_left_of_an_epoch(make, members, key):
    """Whether steps do anything or not: one of these runs stops after its second epoch."""
    run = make(train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.sgd(0.1)))

    def one(train_state, _):
        left, epoch = run.left(train_state, LINE), train_state.epoch
        train_state, _ = run.advance(train_state, LINE, 1)
        return train_state, (left, epoch)

    several = jax.jit(lambda key: jax.lax.scan(one, run.init(key, LINE), length=17)[1])
    lefts, epochs = (np.asarray(a) for a in several(jax.random.split(key, members) if members else key))
    assert lefts.shape == (17, *members)
    lefts, epochs = lefts.reshape(17, -1)[:, -1], epochs.reshape(17, -1)[:, -1]
    ends = np.flatnonzero(np.diff(epochs)) + 1
    assert ends.size >= 3
    for start, end in zip([0, *ends], ends):
        assert lefts[start:end].tolist() == list(range(end - start, 0, -1))


def test_a_population_is_its_members(key):
    run = run_of(NOISY, optimizer=optax.sgd)  # Adam divides by the gradient, so it blows up the rounding of one near 0
    keys = jax.random.split(key, 3)
    members = train.population(run)
    together, curves = jax.jit(members.advance, static_argnums=2)(init(members, keys, LINE), LINE, 6)
    one = jax.jit(run.advance, static_argnums=2)
    assert curves["loss"].shape == (3, 6)
    for i in range(3):
        alone, curve = one(init(run, keys[i], LINE), LINE, 6)
        np.testing.assert_allclose(curves["loss"][i], curve["loss"], rtol=1e-4)
        chex.assert_trees_all_close(
            jax.tree.map(lambda a, i=i: np.asarray(a)[i], together.params), alone.params, rtol=1e-3, atol=1e-5
        )
    assert len({float(x) for x in curves["loss"][:, 0]}) == 3


def test_an_experiment_maps_over_hyperparameters(key):
    def experiment(key, learning_rate, rate, strength):
        model = L.chain(L.dense(8), jax.nn.relu, L.dropout(rate), L.dense(1))
        run = run_of(model, learning_rate=learning_rate, penalty=regularizers.l2(strength))
        return run.advance(run.init(key, LINE), LINE, steps=60)[1]["loss"].mean()

    settings = jnp.array([0.03, 0.03, 1e6]), jnp.array([0.0, 0.9, 0.0]), jnp.array([0.0, 0.0, 1.0])
    good, dropped, diverged = jax.jit(jax.vmap(experiment, (None, 0, 0, 0)))(key, *settings)
    assert good < dropped < diverged


def test_inputs_by_position_and_keyword(key):
    @L.compose(a=L.dense(4), b=L.dense(4))
    def model(net, x, other):
        return net.a(x) + net.b(other)

    x, other, targets = (np.ones((6, size), "float32") for size in (3, 2, 4))
    objective = train.objective(model, losses.mean_squared_error)
    values = []
    for inputs in ((x, other), {"other": other, "x": x}):
        params, state = init(objective, key, (inputs, targets))
        values.append(jax.jit(objective.apply)(params, state, (inputs, targets))[0])
    assert values[0] == values[1]


@pytest.mark.parametrize("batch_size", [1, 7, 40, 1024])
def test_evaluate_is_exact_for_means(key, batch_size):
    objective = train.objective(NOISY, losses.mean_squared_error)
    train_state = init(train.step(objective, optax.sgd(0.1)), key, LINE)
    measured = jax.jit(train.evaluate(objective, LINE, batch_size=batch_size))(train_state)
    predictions, _ = jax.jit(NOISY.apply)(train_state.params, train_state.state, LINE[0])
    np.testing.assert_allclose(measured["loss"], ((predictions - LINE[1]) ** 2).mean(), rtol=1e-5)


def test_line_search_optimizers_get_what_they_need(key):
    step = train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.lbfgs())
    state = init(step, key, LINE)
    update = jax.jit(step.update)
    for _ in range(10):
        state, measured = update(state, LINE)
    assert measured["loss"] < 1e-8


def test_training_is_differentiable(key):
    """A whole training run as a function of its learning rate has a gradient, forward and reverse, equal to finite differences."""

    def final(learning_rate):
        run = run_of(L.dense(1), learning_rate=learning_rate, optimizer=lambda rate: optax.sgd(rate, momentum=0.9))
        return run.advance(run.init(key, LINE), LINE, steps=5)[1]["loss"][-1]

    below, above = jax.jit(jax.vmap(final))(np.float32([0.048, 0.052]))
    forward, reverse = jax.jit(lambda rate: (jax.jacfwd(final)(rate), jax.grad(final)(rate)))(0.05)
    np.testing.assert_allclose(forward, reverse, rtol=1e-3)
    np.testing.assert_allclose(forward, (float(above) - float(below)) / 0.004, rtol=2e-2)


def test_shift_moves_by_whole_pixels(key):
    images = np.zeros((500, 5, 5, 1), "float32")
    images[:, 2, 2] = 1
    moved = np.asarray(jax.jit(augment.shift, static_argnums=2)(key, images, 1))
    assert (moved.sum((1, 2, 3)) == 1).all() and set(np.unique(moved)) == {0.0, 1.0}
    places = {(int(r), int(c)) for _, r, c, _ in np.argwhere(moved)}
    assert places == {(r, c) for r in (1, 2, 3) for c in (1, 2, 3)}


DIGITS = np.zeros((12, 8, 8, 1), "float32"), np.arange(12) % 10
CNN = L.chain(L.conv(4, 3), jax.nn.relu, L.flatten, head=L.chain(drop=L.dropout(0.5), out=L.dense(10)))


@pytest.mark.parametrize(
    ("data", "batch_size", "error", "message"),
    [
        (
            (DIGITS[0], np.where(np.arange(12) == 7, 10, DIGITS[1])),
            4,
            ValueError,
            r"labels must lie in 0\.\.9, found 10 at index \[7\]",
        ),
        ((DIGITS[0][:0], DIGITS[1][:0]), 4, ValueError, "data holds no samples"),
        (DIGITS, 13, ValueError, "batch_size 13 is larger than the data, 12 samples"),
        (DIGITS, 0, ValueError, "batch_size must be a positive integer, got 0"),
        ((DIGITS[0], DIGITS[1][:5]), 4, ValueError, "one first axis"),
        (DIGITS[0], 4, TypeError, r"a batch must be a pair \(inputs, targets\)"),
        ((DIGITS[0].astype("uint8"), DIGITS[1]), 4, TypeError, r"conv: x must be a floating-point array, got uint8"),
        (
            (DIGITS[0][..., 0, 0], DIGITS[1]),
            4,
            ValueError,
            r"conv: x must be \(batch, 1 to 3 spatial axes, channels\), got float32",
        ),
    ],
)
def test_bad_data(key, data, batch_size, error, message):
    with pytest.raises(error, match=message):
        run_of(CNN, loss=losses.cross_entropy, batch_size=batch_size, metrics={"accuracy": metrics.accuracy}).init(key, data)


def test_errors_of_a_run_carry_the_layer_s_path(key):
    with pytest.raises(TypeError) as raised:
        run_of(CNN, loss=losses.cross_entropy).init(key, (DIGITS[0].astype("int32"), DIGITS[1]))
    assert 'in layer "0"' in raised.value.__notes__[0]
    params, state = init(CNN, key, DIGITS[0])
    with pytest.raises(ValueError, match="needs a key in training") as raised:
        CNN.apply(params, state, DIGITS[0], train=True)
    assert 'in layer "head/drop"' in raised.value.__notes__[0]


def test_misuse_is_refused(key):
    run = run_of(CNN, loss=losses.cross_entropy, batch_size=4)
    with pytest.raises(TypeError, match=r"key must be one typed key"):
        run.init(jax.random.PRNGKey(0), DIGITS)
    with pytest.raises(TypeError, match="for several, vmap init"):
        run.init(jax.random.split(key, 2), DIGITS)
    with pytest.raises(ValueError, match="steps must be a positive integer"):
        run.advance(init(run, key, DIGITS), DIGITS, 0)
    with pytest.raises(ValueError, match="loss must be a scalar, got float32"):
        run_of(L.dense(1), loss=lambda predictions, targets: (predictions - targets) ** 2).init(key, LINE)
    with pytest.raises(ValueError, match="may not be named"):
        train.objective(CNN, losses.cross_entropy, metrics={"loss": metrics.accuracy})
    with pytest.raises(TypeError, match="unexpected keyword"):
        run_of(CNN, loss=losses.cross_entropy, regularizer=None)
