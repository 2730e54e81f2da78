"""`jdl.fit`, reports, and what they leave behind."""

import json

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jdl
from jdl import layers as L
from jdl import losses, report, train

DATA = jnp.linspace(-1, 1, 40).reshape(-1, 1), jnp.linspace(1, 3, 40).reshape(-1, 1)
OBJECTIVE = train.objective(
    L.chain(L.dense(4, bias=False), L.batch_norm(), jnp.tanh, L.dropout(0.1), L.dense(1)), losses.mean_squared_error
)
RUN = train.run(train.step(OBJECTIVE, optax.sgd(0.05)), batch_size=8)  # Adam would blow up the rounding of gradients near 0


def test_fit_is_the_run_in_chunks(key, tmp_path):
    """What fit returns and writes is what the run computes, epoch by epoch."""
    fitted, history = jdl.fit(RUN, DATA, key, epochs=7, evaluate=train.evaluate(OBJECTIVE, DATA), folder=tmp_path, progress=False)
    whole, measured = jax.jit(RUN.advance, static_argnums=2)(RUN.init(key, DATA), DATA, 35)
    for a, b in zip(jax.tree.leaves(fitted.params), jax.tree.leaves(whole.params)):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(history["train/loss"], measured["loss"].reshape(7, 5).mean(1), rtol=1e-4)
    assert history["epoch"].tolist() == list(range(1, 8)) and history["step"][-1] == 35
    assert (np.diff(history["seconds"]) > 0).all() and history["compile_seconds"] > 0
    np.testing.assert_allclose(history["evaluate/loss"][-1], train.evaluate(OBJECTIVE, DATA)(fitted)["loss"], rtol=1e-4)

    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 7 and lines[-1]["step"] == 35
    np.testing.assert_allclose([line["train/loss"] for line in lines], history["train/loss"])


@pytest.mark.parametrize("members", [None, 2])
def test_the_clock_doesn_t_change_a_run(key, members, monkeypatch):
    """However fit cuts the steps as it learns their pace, the result is the same to the bit, for one key and for several."""
    keys = key if members is None else jax.random.split(key, members)
    fitted, losses_of = [], []
    for seconds in (0.0, 1000.0):  # chunks of one step, and of ten times the last
        monkeypatch.setattr("jdl.loop._drive._CHUNK", seconds)
        train_state, history = jdl.fit(RUN, DATA, keys, epochs=4, progress=False)
        fitted.append(train_state.params)
        losses_of.append(history["train/loss"])
    chex.assert_trees_all_equal(*fitted)
    np.testing.assert_allclose(*losses_of, rtol=1e-6)


def test_fit_trains_a_population_for_an_array_of_keys(key, tmp_path):
    keys = jax.random.split(key, 3)
    evaluate = train.evaluate(OBJECTIVE, DATA)
    fitted, history = jdl.fit(RUN, DATA, keys, epochs=3, evaluate=evaluate, folder=tmp_path, progress=False)
    alone, _ = jdl.fit(RUN, DATA, keys[1], epochs=3, progress=False)
    assert history["train/loss"].shape == history["evaluate/loss"].shape == (3, 3)
    for a, b in zip(jax.tree.leaves(fitted.params), jax.tree.leaves(alone.params)):
        np.testing.assert_allclose(a[1], b, rtol=1e-3, atol=1e-5)
    assert len(json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])["train/loss"]) == 3


def test_fit_compiles_the_population_once(key):
    """A population run is one program for its steps, whatever their number, and one for evaluation."""
    traced = []

    def counted(predictions, targets):
        traced.append(1)
        return losses.mean_squared_error(predictions, targets)

    objective = train.objective(L.dense(1), counted)
    run = train.run(train.step(objective, optax.adam(0.05)), batch_size=8)
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: compiled.append(event) if event == "/jax/core/compile/backend_compile_duration" else None
    )
    keys = jax.random.split(key, 4)
    jdl.fit(run, DATA, keys, epochs=2, evaluate=train.evaluate(objective, DATA), progress=False)
    traces, programs = len(traced), len(compiled)
    jdl.fit(run, DATA, keys, epochs=9, evaluate=train.evaluate(objective, DATA), progress=False)
    assert len(traced) == 2 * traces  # more epochs trace no more
    assert len(compiled) - programs <= 2 < programs  # the small programs of init are there; advance and evaluate are made anew
    jax.monitoring.clear_event_listeners()


def test_the_user_s_arrays_survive_donation(key):
    data = tuple(jnp.array(a) for a in DATA)
    fitted, _ = jdl.fit(RUN, data, key, epochs=1, progress=False)
    jdl.fit(RUN, data, key, epochs=1, progress=False)
    assert not any(a.is_deleted() for a in (*data, *jax.tree.leaves(fitted)))


def test_fit_takes_optimizers_that_keep_the_params(key):
    """The same buffer twice in the state can't be donated twice."""

    def init(params):
        return params

    keeper = optax.chain(optax.adam(0.05), optax.GradientTransformation(init, lambda updates, state, params: (updates, state)))
    run = train.run(train.step(OBJECTIVE, keeper), batch_size=8)
    assert np.isfinite(jdl.fit(run, DATA, key, epochs=2, progress=False)[1]["train/loss"]).all()


def test_a_member_that_diverges_leaves_valid_json(key, tmp_path):
    def poisoned(predictions, targets):
        return losses.mean_squared_error(predictions, targets) * jnp.nan

    run = train.run(train.step(train.objective(L.dense(1), poisoned), optax.sgd(0.1)), batch_size=8)
    jdl.fit(run, DATA, jax.random.split(key, 2), epochs=1, folder=tmp_path, progress=False)
    assert json.loads((tmp_path / "metrics.jsonl").read_text())["train/loss"] == [None, None]


def test_nothing_is_overwritten(key, tmp_path):
    (tmp_path / "metrics.jsonl").write_text("mine")
    with pytest.raises(FileExistsError, match="give another folder, nothing was overwritten"):
        jdl.fit(RUN, DATA, key, epochs=1, folder=tmp_path, progress=False)
    assert (tmp_path / "metrics.jsonl").read_text() == "mine"


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"epochs": 0}, ValueError, "fit: epochs must be a positive integer, got 0"),
        ({"key": jax.random.PRNGKey(0)}, TypeError, "fit: key must be jax.random.key"),
        ({"key": 3}, TypeError, "fit: key must be jax.random.key"),
        ({"data": (DATA[0][:4], DATA[1][:4])}, ValueError, "batch_size 8 is larger than the data, 4 samples"),
    ],
)
def test_bad_calls(key, change, error, message):
    given = {"data": DATA, "key": key, "epochs": 1, "progress": False} | change
    with pytest.raises(error, match=message):
        jdl.fit(RUN, **given)


def test_fit_shows_its_progress(key, capsys):
    jdl.fit(RUN, DATA, jax.random.split(key, 2), epochs=2, evaluate=train.evaluate(OBJECTIVE, DATA))
    shown = capsys.readouterr().out
    assert "epoch 2/2" in shown and "loss" in shown and "±" in shown


def test_interval_is_student_s():
    from scipy import stats

    values = [0.97, 0.98, 0.99, 0.985]
    found = report.interval(values)
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    np.testing.assert_allclose([found.low, found.high, found.deviation], [low, high, np.std(values, ddof=1)])
    assert np.isnan(report.interval([1.0]).low)
    assert report.interval(np.ones((5, 3))).mean.shape == (5,)
    with pytest.raises(ValueError, match="no members"):
        report.interval([])


def test_table_knows_best_from_worst():
    import rich.console

    console = rich.console.Console(width=120)
    with console.capture() as capture:
        console.print(report.table({"accuracy": [0.9, 0.8], "loss": [0.3, 0.1]}))
    accuracy, loss = (line for line in capture.get().splitlines() if "accuracy" in line or "loss" in line)
    assert accuracy.index("0.9000") < accuracy.index("0.8000") and loss.index("0.1000") < loss.index("0.3000")


def test_plots_draw_what_they_are_given():
    history = {"epoch": np.arange(1, 4), "train/loss": np.array([[1.0, 3.0], [2.0, 2.0], [0.0, 4.0]])}
    figure = report.curves(history, ["train/loss"])
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [2, 2, 2])
    band = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (0, 4)
    texts = [text.get_text() for text in report.confusion([[5, 1], [0, 4]]).axes[0].texts]
    assert texts == ["5", "1", "4"]
    figure = report.images(np.zeros((3, 8, 8)), ["a", "b", "c"], columns=2)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c", ""]


def test_summary_by_abstract_evaluation_only():
    """A model of a trillion parameters: any value made would not fit."""
    model = L.chain(L.dense(10**6), jax.nn.relu, block=L.repeat(L.chain(inner=L.dense(10**6)), 3), head=L.dense(10))
    found = jdl.summary(model, jax.ShapeDtypeStruct((2, 8), jnp.float32))
    rows = {row.path: row for row in found.rows}
    assert list(rows) == ["0", "1", "block", "block/inner", "head", ""]
    assert rows["block/inner"].parameters == 3 * (10**12 + 10**6) and rows["block/inner"].output == "float32[2, 1000000]"
    assert rows[""].parameters == 9 * 10**6 + 3 * (10**12 + 10**6) + 10**7 + 10 and rows[""].bytes == 4 * rows[""].parameters
    assert "3,000,013,000,010" not in str(found) and f"{rows[''].parameters:,}" in str(found)


def test_summary_counts_flops():
    x = jax.ShapeDtypeStruct((32, 64), jnp.float32)
    product = 2 * 32 * 64 * 64
    found = jdl.summary(L.repeat(L.dense(64, bias=False), 5), x, flops=True)
    assert product * 5 <= found.rows[-1].flops <= product * 5.1  # repeat counts each time
    found = jdl.summary(L.chain(L.dense(64, bias=False), L.dense(64, bias=False)), x, flops=True)
    assert [row.flops for row in found.rows] == [product, product, 2 * product]
