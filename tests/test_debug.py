"""What says why something went wrong: NaN, compilations; and what is found out before a run."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jdl
from jdl import debug, functional, losses, train
from jdl import layers as L
from jdl.loop._batch_size import _planned

BATCH = np.linspace(0.1, 1, 12, dtype=np.float32).reshape(4, 3), np.ones((4, 1), np.float32)


def state_of(objective, batch=BATCH):
    return jax.jit(train.step(objective, optax.sgd(0.1)).init)(jax.random.key(0), batch)


def causes(report):
    """The lines on where it begins and where it goes on, without those of the source."""
    return [line.rsplit(", /", 1)[0] for line in report.cause.splitlines()[1:]]


def inverse(x):
    return 1 / (x - x)


def root(x):
    return jnp.sqrt(x - x)


def masked(x):
    return jax.nn.softmax(jnp.where(x > 0.5, x, -jnp.inf), where=jnp.ones(x.shape, bool))


MODELS = {
    "chain": (L.chain(L.dense(1), bad=inverse), "forward bad: div of float32[] (of 1) and float32[4, 1] (of 0)"),
    "nested": (L.chain(lift=L.dense(2), body=L.chain(jnp.sin, root), out=L.dense(1)), "forward body/1: div of float32[] (of 0.5)"),
    "remat": (L.chain(L.remat(L.chain(jnp.sin, inverse)), L.dense(1)), "forward 0/1: div of float32[] (of 1)"),
    "repeat": (L.chain(L.repeat(L.chain(inverse, jnp.sin), 2), L.dense(1)), "forward 0/0: div of float32[] (of 1)"),
    "ensemble": (L.chain(L.ensemble(L.chain(L.dense(1), inverse), 2), lambda y: y.mean(0)), "forward 0/1: div of float32[] (of 1)"),
}


@pytest.mark.parametrize("name", MODELS)
def test_it_begins_in_a_layer(name):
    """Whatever layers are made of: a chain, recomputed, repeated in a loop, or members under `vmap`."""
    model, expected = MODELS[name]
    objective = train.objective(model, losses.mean_squared_error)
    report = debug.nan_report(objective, state_of(objective), BATCH)
    assert causes(report)[0].startswith(f"begins in {expected}"), report.cause
    places = [row.place for row in report.rows]
    assert places.index(expected.split(":")[0]) == 0


def embedded(ids):
    return functional.embedding(ids, jnp.ones((5, 3))).sum(-1)


MESH = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
SPLIT = jax.sharding.PartitionSpec("data")


@pytest.mark.parametrize(
    "transformed",
    [
        embedded,
        jax.jit(embedded),
        jax.checkpoint(embedded),
        lambda ids: jax.lax.scan(lambda total, ids: (total + embedded(ids).sum(), None), 0.0, ids)[0],
        lambda ids: jax.grad(lambda scale: (scale * embedded(ids)).sum())(1.0),
        jax.shard_map(embedded, mesh=MESH, in_specs=SPLIT, out_specs=SPLIT),
    ],
    ids=["alone", "jit", "checkpoint", "scan", "grad", "shard_map"],
)
def test_values_on_the_device_are_checked(transformed):
    right, wrong = jnp.array([[0, 1], [2, 4]]), jnp.array([[0, 1], [2, 7]])
    transformed(jnp.abs(right))  # traced once without checks, which must not be what is run with them
    checked = debug.checked(transformed)
    np.testing.assert_array_equal(checked(right), transformed(right))
    with pytest.raises(ValueError, match=r"embedding: ids must lie in 0\.\.4, found 7 at index \[([01], )?1\]$"):
        checked(wrong)


def test_nothing_is_checked_on_the_device_otherwise():
    ids = jnp.array([[0, 1], [2, 7]])
    assert "check" not in str(jax.make_jaxpr(embedded)(ids))
    with pytest.raises(ValueError, match="found 7"):
        debug.checked(jax.jit(embedded))(ids)
    assert jnp.isnan(jax.jit(embedded)(ids)).sum() == 1


def test_what_only_the_device_sees():
    """What the host would say of a rate, a length, a full cache, a label in a step of training, is said."""
    x, cache = jnp.ones((2, 3, 4)), functional.attention_cache(2, 4, 1, 2)
    rows = jnp.ones((2, 3, 1, 2))

    def twice(x):
        once = functional.extend_cache(cache, x, x)[1]
        return functional.extend_cache(once, x, x)

    step = train.step(train.objective(L.dense(3), losses.cross_entropy), optax.sgd(0.1))
    batch = np.ones((2, 4), np.float32), np.array([0, 3])
    labels = np.array([[1, 2], [3, 7]])
    ctc = lambda lengths: losses.ctc(jnp.zeros((2, 3, 4)), labels, label_lengths=lengths)
    assert np.isfinite(debug.checked(ctc)(np.array([2, 1])))  # the 7 does not count
    mistakes = {
        "ctc: labels must lie in 0..3 and not be the blank, 0, found 7 at index [1, 1]": (ctc, np.array([2, 2])),
        "dropout: rate must be in [0, 1], found 1.5": (lambda rate: functional.dropout(jax.random.key(0), x, rate), 1.5),
        "rnn: lengths must lie in 0..3, found 4 at index [1]": (
            lambda lengths: functional.rnn(x, jnp.ones((4, 4)), jnp.ones((4, 4)), lengths=lengths),
            np.array([3, 4]),
        ),
        "extend_cache: the cache holds 4 positions, found 6 at index [0]": (twice, rows),
        "cross_entropy: labels must lie in 0..2, found 3 at index [1]": (
            lambda batch: step.update(step.init(jax.random.key(0), batch), batch),
            batch,
        ),
    }
    for message, (function, given) in mistakes.items():
        with pytest.raises(ValueError) as caught:
            debug.checked(function)(given)
        assert str(caught.value) == message


def test_it_goes_on_backward():
    """A root at 0 is finite, its derivative is not, and the product with 0 is NaN: in the backward pass."""
    norm = lambda x: jnp.sqrt((x**2).sum(-1, keepdims=True))
    objective = train.objective(L.chain(first=L.dense(2), root=norm), losses.mean_squared_error)
    batch = np.zeros((4, 3), np.float32), BATCH[1]
    report = debug.nan_report(objective, state_of(objective, batch), batch)
    assert causes(report)[-1].startswith("goes on in backward root: mul of")
    assert report.cause.splitlines()[0] == "not finite: gradient/first/bias, gradient/first/kernel"
    assert {row.place: row.found for row in report.rows}["gradient/first/kernel"] == "6 NaN of 6"


@pytest.mark.parametrize("where", ["batch", "params"])
def test_what_was_not_finite_before(where):
    objective = train.objective(L.chain(L.dense(1), out=L.dense(1)), losses.mean_squared_error)
    train_state, batch = state_of(objective), BATCH
    if where == "batch":
        batch = np.where(np.arange(12).reshape(4, 3) == 7, np.nan, batch[0]).astype(np.float32), batch[1]
        expected = "begins in batch/0: 1 NaN of 12"
    else:
        train_state.params["out"]["kernel"] = jnp.full((1, 1), jnp.inf)
        expected = "begins in params/out/kernel: 1 infinite of 1"
    assert causes(debug.nan_report(objective, train_state, batch))[0] == expected


def test_a_mask_is_no_cause():
    """Infinite scores behind a mask reach no result."""
    objective = train.objective(L.chain(masked, L.dense(1)), losses.mean_squared_error)
    report = debug.nan_report(objective, state_of(objective), (BATCH[0] + np.float32(0.5), BATCH[1]))
    assert report.cause == "" and str(report).startswith("all results are finite")


def test_the_optimizer_may_be_the_cause():
    """A step is looked at as a whole; what it prints has the layer, the operation and the count."""
    objective = train.objective(L.dense(1), losses.mean_squared_error)
    step = train.step(objective, optax.scale(jnp.inf))
    report = debug.nan_report(step, state_of(objective), BATCH)
    assert report.cause.startswith("not finite: new train_state/params/bias, new train_state/params/kernel")
    assert "mul of" in causes(report)[0] and "(1 infinite of 1)" in causes(report)[0]
    assert "new train_state/params/kernel" in str(report) and "3 infinite of 3" in str(report)
    with pytest.raises(TypeError, match="nan_report: function must be an Objective or a Step"):
        debug.nan_report(objective.apply, state_of(objective), BATCH)


def test_what_a_step_hands_on_is_no_cause():
    """Early stopping's best score is infinite before the first."""
    step = train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.sgd(0.1))
    run = train.stop_early(train.run(step, batch_size=2), train.patience(3), lambda train_state: train_state.params["bias"][0])
    report = debug.nan_report(step, jax.jit(run.init)(jax.random.key(0), BATCH), BATCH)
    assert report.cause == ""
    assert [row.place for row in report.rows] == ["train_state/memory/stop_early/progress/best_score"]


def warned(function, *calls):
    with warnings.catch_warnings(record=True, action="always") as caught:
        for arguments in calls:
            function(*arguments)
    return [str(warning.message) for warning in caught]


def test_retraces_are_named():
    def total(data, scale, kind):
        return scale * data["x"].sum()

    compiled = lambda **named: jax.jit(debug.warn_retraced(total, **named), static_argnums=2)
    a, b, c = np.ones(2, np.float32), np.ones(3, np.float32), np.ones(2, np.int32)
    scale = np.float32(1)
    calls = [({"x": x}, scale, kind) for x, kind in ((a, "k"), (a + 1, "k"), (b, "k"), (c, "k"), (b, "l"))]
    assert warned(compiled(), *calls) == [
        "total is traced for the 2nd time: data/x is float32[3], was float32[2]",
        "total is traced for the 3rd time: data/x is int32[2], was float32[2]",
        "total is traced for the 4th time: kind is 'l', was 'k'",
    ]
    assert not warned(compiled(allowed=2), *calls[:3])
    assert compiled()({"x": b}, scale, "k") == 3


def quadratic(learning_rate):
    """A parabola: gradient descent is fastest at a rate of 1 and diverges above 2."""
    apply = lambda w, state, batch, key=None, train=True: (0.5 * w**2 + batch.mean(), ({}, {"loss": 0.5 * w**2}))
    objective = train.Objective(lambda key, batch: (jax.random.uniform(key, (), minval=1.0, maxval=2.0), {}), apply)
    return train.run(train.step(objective, optax.sgd(learning_rate)), batch_size=2)


def test_learning_rates(key):
    """For several seeds in one program: it suggests a rate between too slow and diverging, and says where it diverged."""
    data = jnp.zeros(8)
    find = jax.jit(jax.vmap(lambda key: train.learning_rate_range_test(quadratic, key, data, low=1e-4, high=1e4, steps=100)))
    found = find(jax.random.split(key, 3))
    assert found.losses.shape == found.learning_rates.shape == (3, 100)
    np.testing.assert_allclose(found.learning_rates[0], np.geomspace(1e-4, 1e4, 100), rtol=1e-4)
    assert ((found.suggestion > 0.005) & (found.suggestion < 1)).all()
    assert jnp.isnan(found.losses[:, -1]).all() and jnp.isfinite(found.losses[:, :50]).all()
    with pytest.raises(ValueError, match="steps must be at least 20"):
        train.learning_rate_range_test(quadratic, key, data, steps=10)
    with pytest.raises(ValueError, match="low must be at most high"):
        train.learning_rate_range_test(quadratic, key, data, low=1.0, high=0.1)


def test_a_rate_is_suggested_only_where_the_loss_falls(key):
    """Whatever some samples are; not at once above the rate at which it diverges, and not if all are NaN."""

    def skipping(learning_rate):
        step = train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.sgd(learning_rate))
        return train.run(train.skip_nonfinite(step), batch_size=4)

    x = jnp.ones((8, 1))
    find = lambda low, y: train.learning_rate_range_test(skipping, jax.random.key(0), (x, y), low=low, high=1e3, steps=60)
    targets = jnp.stack([jnp.full((8, 1), 3.0), jnp.full((8, 1), 3.0).at[5].set(jnp.nan), jnp.full((8, 1), jnp.nan)])
    found = jax.jit(jax.vmap(find))(jnp.array([1e-4, 1e-4, 1e-4, 1e2]), targets[jnp.array([0, 1, 2, 0])])
    assert ((found.suggestion[:2] > 1e-3) & (found.suggestion[:2] < 1)).all(), found.suggestion
    assert jnp.isnan(found.suggestion[2:]).all(), found.suggestion
    assert jnp.isnan(found.losses[1, :40]).sum() == 20 and jnp.isfinite(found.losses[0, :40]).all()


def test_the_largest_batch_fits(monkeypatch):
    """By XLA's plan: it grows with the batch, whose hidden units take 4 KB for each sample."""
    data = np.ones((70, 2), np.float32), np.ones((70, 1), np.float32)
    step = train.step(train.objective(L.chain(L.dense(1024), jnp.sin, L.dense(1)), losses.mean_squared_error), optax.sgd(0.1))
    made = []

    def make_run(size):
        made.append(size)
        return train.run(step, batch_size=size)

    assert jdl.largest_batch_size(make_run, data) == 64
    assert len(made) <= 3  # of seven sizes
    planned = {size: _planned(train.run(step, batch_size=size), jax.tree.map(jnp.asarray, data)) for size in (16, 32)}
    assert planned[32] - planned[16] >= 16 * 4096
    assert jdl.largest_batch_size(make_run, data, room=planned[32] - 1) == 16
    assert jdl.largest_batch_size(make_run, data, room=planned[32]) == 32
    with monkeypatch.context() as patch:  # data that are on the device already are not counted twice
        patch.setattr("jdl.loop._blocks._SHARE", 0)
        with pytest.raises(MemoryError, match=f"there are {sum(a.nbytes for a in data)}$"):
            jdl.largest_batch_size(make_run, data)
    with pytest.raises(MemoryError, match=r"largest_batch_size: one sample takes [\d,]+ bytes, there are 10"):
        jdl.largest_batch_size(make_run, data, room=10)


def test_a_profile_says_which_layer_takes_the_time(key, tmp_path):
    """Of two dense layers, one has three hundred times the work of the other; a loop is not counted besides what is in it."""
    data = np.ones((256, 512), np.float32), np.ones((256, 4), np.float32)
    model = L.chain(wide=L.dense(512), narrow=L.chain(L.dense(4), jnp.sin))
    objective = train.objective(model, losses.mean_squared_error)
    run = train.run(train.step(objective, optax.sgd(0.1)), batch_size=128)
    found = debug.profile(run, run.init(key, data), data, tmp_path, steps=4)
    places = {place: sum(row.seconds for row in found.rows if row.place == place) for place in {row.place for row in found.rows}}
    assert {"", "forward wide", "backward wide", "forward narrow/0", "backward narrow/0"} <= set(places)
    assert places["forward wide"] > places["forward narrow/0"] > 0
    assert sum(row.seconds for row in found.rows if row.operation == "while") < 0.5 * sum(places.values())
    products = {row.place: row.calls for row in found.rows if row.operation == "dot_general" and "wide" in row.place}
    assert products == {"forward wide": 1, "backward wide": 1}
    assert "forward wide" in str(found) and list(tmp_path.glob("**/*.xplane.pb"))
    with pytest.raises(ValueError, match="profile: steps must be a positive integer, got 0"):
        debug.profile(run, run.init(key, data), data, tmp_path, steps=0)
