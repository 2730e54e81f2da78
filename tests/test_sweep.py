"""Populations of settings and seeds."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jdl
from jdl import layers as L
from jdl import losses, search, train
from jdl.loop._blocks import block_size

DATA = np.linspace(-1, 1, 40).reshape(-1, 1).astype("float32"), np.linspace(1, 3, 40).reshape(-1, 1).astype("float32")
OBJECTIVE = train.objective(L.chain(L.dense(4, bias=False), L.batch_norm(), jnp.tanh, L.dense(1)), losses.mean_squared_error)


def make_run(learning_rate, rate=0.1, width=4):
    model = L.chain(L.dense(width, bias=False), L.batch_norm(), jnp.tanh, L.dropout(rate), L.dense(1))
    objective = train.objective(model, losses.mean_squared_error)
    return train.run(train.step(objective, optax.sgd(learning_rate)), batch_size=8)


sweep = functools.partial(jdl.sweep, make_run, DATA, epochs=2, progress=False)
RATES = {"learning_rate": [0.1, 0.05, 0.02, 0.01]}


@pytest.fixture(scope="module")
def whole():
    """Four settings with two seeds, all in one block."""
    return sweep(seeds=2, hyperparameters=RATES)


def params_of(found, *place):
    return jax.tree.map(np.asarray, found.member(*place).params)


def test_a_member_depends_neither_on_the_block_nor_on_its_place(whole):
    """To the bit, in blocks of 3, the last one filled up, and with settings in another order."""
    found = sweep(seeds=2, hyperparameters=RATES, block=3)
    chex.assert_trees_all_equal(found.groups[0][1].params, whole.groups[0][1].params)
    np.testing.assert_array_equal(found.history["train/loss"], whole.history["train/loss"])
    turned = sweep(seeds=2, hyperparameters={"learning_rate": RATES["learning_rate"][::-1]})
    chex.assert_trees_all_equal(params_of(turned, 3, 1), params_of(whole, 0, 1))


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


def test_a_sweep_goes_on_from_its_folder(tmp_path, whole):
    sweep(seeds=2, hyperparameters=RATES, folder=tmp_path, block=4, epochs=1)
    assert sorted(path.name for path in (tmp_path / "group-0").iterdir()) == ["members-0", "members-4"]
    found = sweep(seeds=2, hyperparameters=RATES, folder=tmp_path, block=4)
    chex.assert_trees_all_equal(found.groups[0][1].params, whole.groups[0][1].params)
    assert found.history["train/loss"].shape == (2, 4, 2)


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
