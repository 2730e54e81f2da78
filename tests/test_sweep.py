"""Populations of settings and seeds."""

import functools
import json
import signal

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jdl
from jdl import checkpoint, losses, parallel, report, search, train
from jdl import layers as L
from jdl.loop import _about, _drive, _members, _sweep
from jdl.loop._blocks import block_size
from jdl.report import _found

DATA = np.linspace(-1, 1, 40).reshape(-1, 1).astype("float32"), np.linspace(1, 3, 40).reshape(-1, 1).astype("float32")
OBJECTIVE = train.objective(L.chain(L.dense(4, bias=False), L.batch_norm(), jnp.tanh, L.dense(1)), losses.mean_squared_error)


def make_run(learning_rate, rate=0.1, width=4, place=lambda step: step):
    model = L.chain(L.dense(width, bias=False), L.batch_norm(), jnp.tanh, L.dropout(rate), L.dense(1))
    objective = train.objective(model, losses.mean_squared_error)
    return train.run(place(train.step(objective, optax.sgd(learning_rate))), batch_size=8)


sweep = functools.partial(jdl.sweep, make_run, DATA, epochs=2, progress=False)
measure = lambda train_state: {"loss": jnp.abs(train_state.params["4"]["kernel"]).sum()}
RATES = {"learning_rate": [0.1, 0.05, 0.02, 0.01]}


@pytest.fixture(scope="module")
def whole():
    """Four settings with two seeds, all in one block, two on each of four devices; no program sends anything between them."""
    programs, kept = _sweep.programs, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_sweep, "programs", lambda *given: kept.append(programs(*given)) or kept[-1])
        found = sweep(seeds=2, hyperparameters=RATES, evaluate=measure)
    for compiled in (kept[0].compile()[0], kept[0].compile()[1].func):
        assert len(kept) == 1 and "num_partitions=4" in compiled.as_text() and not parallel.collectives(compiled).rows
    return found


def on_one_device(members, *, alone):
    return _members.Spread(members, [1], alone)


def params_of(found, *place):
    return jax.tree.map(np.asarray, found.member(*place).params)


def test_a_member_depends_neither_on_the_block_nor_on_its_place(whole):
    """To the bit, in blocks of 3, the last one filled up, and with settings in another order and a fill."""
    found = sweep(seeds=2, hyperparameters=RATES, block=3)
    chex.assert_trees_all_equal(found.groups[0][1].params, whole.groups[0][1].params)
    np.testing.assert_array_equal(found.history["train/loss"], whole.history["train/loss"])
    turned = sweep(hyperparameters={"learning_rate": [0.03, *RATES["learning_rate"][::-1]]})
    chex.assert_trees_all_equal(params_of(turned, 4, 0), params_of(whole, 0, 0))
    assert turned.history["train/loss"].shape == (2, 5, 1) and len(turned.groups[0][1].step) == 5


def test_a_member_does_not_depend_on_the_number_of_devices(whole, monkeypatch):
    """To the bit: on one device, as on four."""
    monkeypatch.setattr(_sweep, "spread", on_one_device)
    found = sweep(seeds=2, hyperparameters=RATES, evaluate=measure)
    chex.assert_trees_all_equal(found.groups[0][1].params, whole.groups[0][1].params)
    for name in ("train/loss", "evaluate/loss"):
        np.testing.assert_array_equal(found.history[name], whole.history[name])


@pytest.mark.parametrize("members, block, processes, size, devices", [
    (100, None, 1, 104, 8), (17, None, 1, 18, 6), (8, None, 1, 8, 4), (1, None, 1, 1, 1), (1, None, 2, 2, 2), (5, None, 2, 8, 4),
    (100, 50, 1, 50, 5), (100, 7, 1, 7, 1), (4, 50, 1, 4, 2), (100, 1, 1, 2, 1), (100, 7, 2, 8, 4), (100, 1, 2, 4, 2),
])  # fmt: skip
def test_blocks_are_spread_over_devices(members, block, processes, size, devices):
    """At least two members on each if there are two; the same number on each, and as many devices of each process."""
    spread = _members.Spread(members, range(processes, 9, processes))
    found = spread.asked(block) if block else spread.filled(spread.share)
    assert found == size and spread.devices(size) == devices


@pytest.mark.slow
def test_runs_that_lie_on_several_devices_stay_there(whole):
    mesh = parallel.mesh("data=-1")
    over = functools.partial(make_run, place=lambda step: parallel.over(step, mesh, parallel.fully_sharded()))
    found = jdl.sweep(over, DATA, epochs=2, hyperparameters={"learning_rate": RATES["learning_rate"][:2]}, progress=False)
    np.testing.assert_allclose(found.history["train/loss"][:, :, 0], whole.history["train/loss"][:, :2, 0], rtol=1e-5)


def test_a_member_that_diverges_is_nan_by_itself(whole):
    found = sweep(seeds=2, hyperparameters={"learning_rate": [0.1, 1e30, *RATES["learning_rate"][1:]]})
    assert np.isnan(found.history["train/loss"][-1, 1]).all()
    for old, new in ((0, 0), (1, 2), (2, 3), (3, 4)):
        chex.assert_trees_all_equal(params_of(found, new, 1), params_of(whole, old, 1))


def test_exact_members_are_runs_made_alone():
    found = sweep(seeds=2, hyperparameters={"learning_rate": [0.1, 0.05]}, exact=True)
    alone, history = jdl.fit(make_run(jnp.float32(0.05)), DATA, jax.random.key(1), epochs=2, progress=False)
    chex.assert_trees_all_equal(params_of(found, 1, 1), jax.tree.map(np.asarray, alone.params))
    np.testing.assert_array_equal(found.history["train/loss"][:, 1, 1], history["train/loss"])


def test_vectors_keep_their_axes():
    """Two blocks of two settings, with two seeds each, of three epochs, and a metric of five entries; the table has numbers."""
    values = np.arange(3 * 4 * 5).reshape(3, 4, 5)
    parts = [({"evaluate/each": values[:, i : i + 2], "evaluate/first": values[:, i : i + 2, 0]}, 2) for i in (0, 2)]
    history = _sweep._over_blocks(parts, (2, 2))
    np.testing.assert_array_equal(history["evaluate/each"], values.reshape(3, 2, 2, 5))
    table = jdl.Sweep({"rate": [0.1, 0.2]}, history, []).table()
    assert set(table) == {"rate", *(f"evaluate/first {field}" for field in report.Interval._fields)}
    assert table["evaluate/first mean"].shape == (2,)
    alone = {name: a[:, :1] for name, a in history.items()} | {"epoch": np.arange(3)}
    assert _found.found(jdl.Sweep({}, alone, [])).history["evaluate/each"].shape == (3, 2, 5)


def test_a_hundred_settings_compile_once():
    """In two blocks: what makes a run is called as often as for two settings in one."""
    calls = []

    def counted(learning_rate):
        calls.append(learning_rate)
        return make_run(learning_rate)

    counts = []
    for settings, block in ((2, 2), (100, 50)):
        rates = {"learning_rate": np.geomspace(1e-3, 1e-1, settings)}
        jdl.sweep(counted, DATA, hyperparameters=rates, block=block, epochs=1, progress=False)
        counts.append(len(calls))
        calls.clear()
    assert counts[1] <= counts[0] + 1  # each block makes its own first train states


def test_settings_of_other_shapes_are_other_programs():
    evaluate = lambda train_state, width: {"width": train_state.params["0"]["kernel"].shape[1] + 0 * train_state.epoch}
    settings = search.grid(learning_rate=[0.1, 0.01], width=[3, 5])
    found = sweep(seeds=2, hyperparameters=settings, evaluate=evaluate)
    assert [indices for indices, _ in found.groups] == [[0, 2], [1, 3]]
    assert found.history["evaluate/width"][-1].tolist() == [[3, 3], [5, 5], [3, 3], [5, 5]]
    assert found.member(3, 0).hyperparameters["learning_rate"] == np.float32(0.01)
    table = found.table()
    assert table["width"] == [3, 5, 3, 5] and table["train/loss mean"].shape == (4,)
    with pytest.raises(IndexError, match="there are 4 settings, got 4"):
        found.member(4, 0)


def test_a_sweep_goes_on_from_its_folder(tmp_path, whole, monkeypatch):
    """On another number of devices."""
    sweep(seeds=2, hyperparameters=RATES, folder=tmp_path, block=4, epochs=1)
    assert sorted(path.name for path in (tmp_path / "group-0").iterdir()) == ["members-0", "members-4"]
    monkeypatch.setattr(_sweep, "spread", on_one_device)
    found = sweep(seeds=2, hyperparameters=RATES, folder=tmp_path, block=4)
    chex.assert_trees_all_equal(found.groups[0][1].params, whole.groups[0][1].params)
    assert found.history["train/loss"].shape == (2, 4, 2)


def test_a_sweep_goes_on_in_its_blocks_whatever_memory_is_free(tmp_path, monkeypatch):
    """A default that follows free memory is kept with the sweep; another number of members is refused, and changes nothing."""

    def line(learning_rate):
        return train.run(train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.sgd(learning_rate)), batch_size=8)

    options = {"seeds": 4, "hyperparameters": {"learning_rate": [0.1]}, "folder": tmp_path, "epochs": 1, "progress": False}
    again = functools.partial(jdl.sweep, line, DATA, **options)
    monkeypatch.setattr(_sweep, "spread", on_one_device)
    monkeypatch.setattr("jdl.loop._sweep.block_size", lambda *_: 2)
    first = again()
    monkeypatch.setattr("jdl.loop._sweep.block_size", lambda *_: 4)
    np.testing.assert_array_equal(again().history["train/loss"], first.history["train/loss"])
    before = (tmp_path / "sweep.json").read_bytes()
    with pytest.raises(FileExistsError, match=r"sweep\.json is of blocks of 2; give block=2, or another folder"):
        again(block=3)
    assert (tmp_path / "sweep.json").read_bytes() == before
    for start in (0, 2):  # each block says what the sweep was called with
        config = json.loads((tmp_path / "group-0" / f"members-{start}" / "config.json").read_text())["called with"]
        told = {"hyperparameters": {"learning_rate": [0.1]}, "seeds": 4, "data": ["float32[40, 1]"] * 2, "epochs": 1}
        assert told.items() <= config.items() and config["make_run"].endswith("goes_on_in_its_blocks_whatever_memory_is_free")


def test_a_signal_stops_a_sweep_which_goes_on_to_the_same_bits(tmp_path, monkeypatch):
    """In its second block, after a step of it; the first block is not trained again."""

    def line(learning_rate):
        return train.run(train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.sgd(learning_rate)), batch_size=8)

    rates = {"learning_rate": [0.1, 0.05, 0.01]}
    short = functools.partial(jdl.sweep, line, DATA, hyperparameters=rates, epochs=2, block=2, progress=False)
    chunk, starts = _drive._chunk, []

    def signalled(advance, journey, *rest):
        chunk(advance, journey, *rest)
        starts.append(journey.steps == journey.step == 1)
        if starts[-1] and sum(starts) == 2:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(_drive, "_chunk", signalled)
    with pytest.raises(SystemExit, match="143"):
        short(folder=tmp_path)
    steps = [checkpoint.steps(tmp_path / "group-0" / f"members-{start}" / "checkpoints")[-1].step for start in (0, 2)]
    assert steps == [10, 1] and sum(starts) == 2
    found = short(folder=tmp_path)
    assert sum(starts) == 2, "what was trained is not trained again"
    chex.assert_trees_all_equal(found.groups[0][1].params, short().groups[0][1].params)


def test_the_first_process_alone_writes_what_a_sweep_is(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    _about.write_sweep(tmp_path / "sweep", {"a": [1]}, 1, [[0]])
    assert not (tmp_path / "sweep").exists()


def test_another_sweep_s_folder(tmp_path):
    """Neither the sweep in it nor a file of somebody else is taken for this one's, or overwritten."""
    short = functools.partial(sweep, folder=tmp_path, epochs=1)
    short(hyperparameters={"learning_rate": [0.1, 0.01]})
    path = tmp_path / "sweep.json"
    before = path.read_bytes()
    for change, differs in (({"learning_rate": [0.7, 0.8]}, "settings"), ({"learning_rate": [0.1, 0.01]}, "seeds")):
        with pytest.raises(FileExistsError, match=rf"sweep\.json is of other {differs}; give another folder"):
            short(hyperparameters=change, seeds=2 if differs == "seeds" else 1)
    assert path.read_bytes() == before
    path.unlink()
    with pytest.raises(FileExistsError, match="its hyperparameters have other values"):
        short(hyperparameters={"learning_rate": [0.7, 0.8]})
    path.write_text("mine")
    with pytest.raises(FileExistsError, match=r"sweep\.json is of other settings"):
        short(hyperparameters={"learning_rate": [0.1, 0.01]})
    assert path.read_text() == "mine"


@pytest.mark.parametrize(
    "members, of_one, room, expected", [(100, 1, 1000, 100), (100, 10, 520, 50), (3, 300, 720, 2), (1, 5, 30, 1)]
)
def test_blocks_fit_in_memory(members, of_one, room, expected):
    assert block_size(members, lambda size: 20 + of_one * size, room) == expected


def test_what_cannot_be_swept_is_named(key):
    with pytest.raises(MemoryError, match="2 members take"):
        block_size(10, lambda size: 100 * size, 50)
    with pytest.raises(ValueError, match=r"an entry for each setting, these have \{'learning_rate': 2, 'rate': 3\}"):
        sweep(hyperparameters={"learning_rate": [0.1, 0.2], "rate": [0.1, 0.2, 0.3]})
    with pytest.raises(TypeError, match="seeds must be a number or an array of typed keys"):
        sweep(seeds=key, hyperparameters=RATES)
    with pytest.raises(ValueError, match="positive integer") as caught:
        sweep(hyperparameters={"learning_rate": [0.1, 0.1], "width": np.array([3, 4])})
    assert "what decides shapes must be the same for all members" in "".join(caught.value.__notes__)
    members = train.population(make_run, {"learning_rate": [0.1, 0.2]})
    with pytest.raises(ValueError, match="there are 3 keys"):
        members.init(jax.random.split(key, 3), DATA)


def test_designs(key):
    assert search.grid(a=[1.0, 2.0], b=["x"]) == {"a": [1.0, 2.0], "b": ["x", "x"]}
    drawn = search.random(key, 500, rate=search.log_uniform(1e-4, 1e-1), width=search.choice([16, 32]))
    assert drawn["rate"].min() >= 1e-4 and drawn["rate"].max() <= 1e-1 and set(drawn["width"]) == {16, 32}
    assert 0.3 < (drawn["rate"] < 10**-2.5).mean() < 0.7  # half of the orders of magnitude
    for wrong, message in ((lambda: search.grid(a=[]), "a has no values"), (lambda: search.choice([]), "got none")):
        with pytest.raises(ValueError, match=message):
            wrong()
    with pytest.raises(ValueError, match="low must be at most high, got 2 and 1"):
        search.uniform(2, 1)
