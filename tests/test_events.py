"""Callbacks, logs, what a run's folder says, progress, and the watchdog."""

import csv
import functools
import json
import re
import struct
import subprocess
import sys
import time

import jax
import numpy as np
import optax
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

import jdl
from jdl import checkpoint, losses, report, train
from jdl import layers as L
from jdl.loop import _about, _progress, _watchdog
from jdl.loop._described import described
from jdl.loop._programs import Programs
from jdl.report import _logs
from jdl.report._tensorboard import crc32c

DATA = np.linspace(-1, 1, 24).reshape(-1, 1).astype("float32"), np.linspace(1, 3, 24).reshape(-1, 1).astype("float32")
OBJECTIVE = train.objective(L.dense(3), lambda predictions, targets: losses.mean_squared_error(predictions, targets.repeat(3, 1)))
RUN = train.run(train.step(OBJECTIVE, optax.sgd(0.05)), batch_size=8)


def fit(key, epochs, folder=None, **options):
    return jdl.fit(RUN, DATA, key, epochs=epochs, folder=folder, progress=False, **options)


def bits(train_state):
    return [np.asarray(a).tobytes() for a in jax.tree.leaves(train_state.params)]


# Callbacks


def test_a_callback_is_told_everything_in_order(key, tmp_path):
    told = []
    callback = lambda event: told.append((event.kind, event.epoch, event.step, len(event.records), event.folder))
    fit(key, 3, tmp_path, checkpoint=checkpoint.every(epochs=2), callbacks=[callback])
    kinds = [("start", 0), ("epoch", 1), ("epoch", 2), ("checkpoint", 2), ("epoch", 3), ("checkpoint", 3), ("end", 3)]
    assert told == [(kind, epoch, 3 * epoch, epoch, tmp_path) for kind, epoch in kinds]
    told.clear()
    fit(key, 4, tmp_path, checkpoint=checkpoint.every(seconds=1e6), callbacks=[callback])
    assert [one[:2] for one in told] == [("start", 3), ("epoch", 4), ("checkpoint", 4), ("end", 4)]


def test_a_callback_has_its_records_and_a_train_state_of_its_own(key):
    """The copy stays what it was although the run goes on in the same buffers; what was not copied in time is an error."""
    events, copies = [], []

    def keep(event):
        events.append(event)
        copies.append(event.train_state())

    final, history = fit(key, 3, callbacks=[keep])
    once, _ = fit(key, 1)
    assert bits(copies[1]) == bits(once) and bits(copies[-1]) == bits(final) != bits(once)
    assert jax.random.key_data(jax.random.clone(copies[0].key)).tolist() == jax.random.key_data(final.key).tolist()
    assert [record["train/loss"] for record in events[3].records] == history["train/loss"].tolist()
    with pytest.raises(RuntimeError, match="this train state is gone"):
        events[1].train_state()


def test_an_error_in_a_callback_loses_nothing(key, tmp_path):
    """It names the callback; the run is saved where it was, and goes on from there to the same bits."""

    def fails(event):
        if event.kind == "epoch" and event.epoch == 2:
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine") as error:
        fit(key, 4, tmp_path, callbacks=[fails])
    assert re.search(r"fit: raised by the callback .*fails at 'epoch', epoch 2, step 6", error.value.__notes__[0])
    assert [saved.step for saved in checkpoint.steps(tmp_path / "checkpoints")] == [6]
    with pytest.raises(ZeroDivisionError):  # without a folder, too
        fit(key, 4, callbacks=[fails])
    resumed, history = fit(key, 4, tmp_path, callbacks=[fails])
    assert bits(resumed) == bits(fit(key, 4)[0]) and history["epoch"].tolist() == [1, 2, 3, 4]


def test_an_error_at_the_start_or_the_end_loses_nothing_without_checkpoints(key, tmp_path):
    """At the start, the same folder will do once the callback is mended; at the end, the error has what was trained."""

    def fails_at(kind, event):
        if event.kind == kind:
            raise ZeroDivisionError("mine")

    for kind in ("start", "end"):
        with pytest.raises(ZeroDivisionError) as error:
            fit(key, 1, tmp_path, checkpoint=None, callbacks=[functools.partial(fails_at, kind)])
    train_state, history = error.value.result
    assert bits(train_state) == bits(fit(key, 1)[0]) and history["step"].tolist() == [3]


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"callbacks": ["print"]}, TypeError, "fit: callbacks must be functions of an event, got 'print'"),
        ({"watchdog": 0}, ValueError, "fit: watchdog must be above 0"),
    ],
)
def test_bad_calls(key, change, error, message):
    with pytest.raises(error, match=message):
        fit(key, 1, **change)


# Logs


def rows(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_csv_has_what_the_history_has(key, tmp_path):
    evaluate = lambda train_state: {"matrix": np.eye(2), "step": 1.0 * train_state.step}
    log = [report.csv_log("logs/metrics.csv")]
    keys = jax.random.split(key, 2)
    _, history = fit(keys, 2, tmp_path, evaluate=evaluate, callbacks=log)
    found = rows(tmp_path / "logs" / "metrics.csv")
    assert list(found[0]) == ["epoch", "step", "seconds", "train/loss", "evaluate/step", "member"]  # matrices are no numbers
    assert [(row["epoch"], row["member"]) for row in found] == [("1", "0"), ("1", "1"), ("2", "0"), ("2", "1")]
    np.testing.assert_array_equal([float(row["train/loss"]) for row in found], history["train/loss"].ravel())

    _, history = fit(keys, 3, tmp_path, evaluate=evaluate, callbacks=log)  # goes on
    assert [row["epoch"] for row in rows(tmp_path / "logs" / "metrics.csv")] == ["1", "1", "2", "2", "3", "3"]


def test_logs_overwrite_nobody_else_s(key, tmp_path):
    (tmp_path / "mine.csv").write_text("mine")
    for log in (report.csv_log(tmp_path / "mine.csv"), report.tensorboard_log(tmp_path)):
        for folder in (None, tmp_path / "run"):
            with pytest.raises(FileExistsError, match="exists already; give another path, or one in the run's folder"):
                fit(key, 1, folder, callbacks=[log])
    assert (tmp_path / "mine.csv").read_text() == "mine"


def test_a_csv_log_overwrites_no_file_of_the_run_s_folder(key, tmp_path):
    for name in ("metrics.jsonl", "run.json"):
        with pytest.raises(ValueError, match=f"csv_log: {name} is a file of the run itself; give another name"):
            report.csv_log(name)
    (tmp_path / "metrics.csv").write_text("mine")
    with pytest.raises(FileExistsError, match=r"csv_log: .*metrics\.csv exists and is no log of epochs; give another path"):
        fit(key, 1, tmp_path, callbacks=[report.csv_log("metrics.csv")])
    assert (tmp_path / "metrics.csv").read_text() == "mine"


def test_a_log_without_a_folder_has_all_blocks_of_a_sweep(tmp_path):
    """As told of blocks of two, two and one: members are numbered through. What is no block is no part of it."""
    logs = [report.csv_log(tmp_path / "metrics.csv"), report.tensorboard_log(tmp_path / "board")]
    start, record = report.Event("start", 0, 0, (), None, dict), {"epoch": 1, "step": 200, "seconds": 1.0}
    for losses_of in ([1.0, 2.0], [3.0, 4.0], 5.0):
        for event in (start, start._replace(kind="epoch", records=({**record, "train/loss": np.array(losses_of)},))):
            for log in logs:
                log(event)
    found = [(row["member"], row["train/loss"]) for row in rows(tmp_path / "metrics.csv")]
    assert found == [(str(i), f"{i + 1}.0") for i in range(5)]
    assert [read_board(tmp_path / "board" / str(i))[0].summary.value[0].simple_value for i in range(5)] == [1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match=r"metrics\.csv is of a run with other metrics, .*'train/loss'\]; give another path"):
        logs[0](start._replace(kind="epoch", records=(record,)))
    for log in logs:
        with pytest.raises(FileExistsError, match="exists already; give another path"):
            log(start)


def test_a_file_that_is_deleted_in_a_run_is_there_again_and_whole(key, tmp_path):
    def delete(event):
        if event.kind == "epoch" and event.epoch == 1:
            (tmp_path / "metrics.jsonl").unlink()

    fit(key, 3, tmp_path, callbacks=[delete])
    assert [json.loads(line)["epoch"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [1, 2, 3]


def test_a_checksum_is_castagnoli_s():
    assert crc32c(b"123456789") == 0xE3069283  # https://reveng.sourceforge.io/crc-catalogue/17plus.htm#crc.cat.crc-32-iscsi


def event_type():
    """TensorBoard's message, as protobuf itself reads it."""
    kind = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="event.proto", package="t", syntax="proto3")
    for message, fields in {
        "Value": {"tag": (1, kind.TYPE_STRING), "simple_value": (2, kind.TYPE_FLOAT)},
        "Summary": {"value": (1, "Value")},
        "SessionLog": {"status": (1, kind.TYPE_INT32)},
        "Event": {
            "wall_time": (1, kind.TYPE_DOUBLE),
            "step": (2, kind.TYPE_INT64),
            "file_version": (3, kind.TYPE_STRING),
            "summary": (5, "Summary"),
            "session_log": (7, "SessionLog"),
        },
    }.items():
        made = file.message_type.add(name=message)
        for name, (number, type_) in fields.items():
            label = kind.LABEL_REPEATED if name == "value" else kind.LABEL_OPTIONAL
            if isinstance(type_, str):
                made.field.add(name=name, number=number, label=label, type=kind.TYPE_MESSAGE, type_name=f".t.{type_}")
            else:
                made.field.add(name=name, number=number, label=label, type=type_)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("t.Event"))


def crc_bit_by_bit(content):
    crc = 0xFFFFFFFF
    for bit in (byte >> i & 1 for byte in content for i in range(8)):
        crc = crc >> 1 ^ (0x82F63B78 if crc & 1 != bit else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def read_board(folder):
    """The events of the one file in a folder, checksums compared."""
    (path,) = folder.glob("events.out.tfevents.*")
    content, events, made = path.read_bytes(), [], event_type()
    while content:
        (size,) = struct.unpack("<Q", content[:8])
        record = content[12 : 12 + size]
        sums = struct.unpack("<I", content[8:12]) + struct.unpack("<I", content[12 + size : 16 + size])
        assert sums == (crc_bit_by_bit(content[:8]), crc_bit_by_bit(record))
        events.append(made.FromString(record))
        content = content[16 + size :]
    assert events[0].file_version == "brain.Event:2" and events[1].session_log.status == 1
    return events[2:]


def test_tensorboard_has_what_the_history_has(key, tmp_path):
    log = [report.tensorboard_log("board")]
    fit(key, 2, tmp_path, callbacks=log)
    _, history = fit(key, 3, tmp_path, callbacks=log)  # goes on, in a file of its own
    events = read_board(tmp_path / "board")
    assert [event.step for event in events] == [3, 6, 9]
    assert [[value.tag for value in event.summary.value] for event in events] == [["train/loss"]] * 3
    np.testing.assert_array_equal([event.summary.value[0].simple_value for event in events], history["train/loss"])
    np.testing.assert_allclose(np.diff([event.wall_time for event in events]), np.diff(history["seconds"]), atol=1e-5)
    assert abs(events[-1].wall_time - time.time()) < 60


def test_members_are_runs_of_their_own(tmp_path):
    log, event = report.tensorboard_log(tmp_path / "board"), report.Event("start", 0, 0, (), None, dict)
    log(event)
    record = {"epoch": 1, "step": 200, "seconds": 1.0, "train/loss": np.array([0.5, np.nan, 1e300])}
    log(event._replace(kind="epoch", records=(record,)))
    found = [read_board(tmp_path / "board" / str(member))[0].summary.value[0].simple_value for member in range(3)]
    np.testing.assert_array_equal(found, [0.5, np.nan, np.inf])


def test_vectors_are_no_members():
    """Neither those of a single run, nor those of a population that has as many members as they have entries."""
    of = lambda record: list(_logs.by_member({"epoch": 1, **record}))
    assert of({"train/loss": 0.5, "evaluate/per_class": np.ones(3)}) == [{"epoch": 1, "train/loss": 0.5}]
    assert of({"evaluate/each": np.eye(2), "train/loss": np.array([1.0, 2.0])}) == [{"epoch": 1, "train/loss": x} for x in (1, 2)]


def test_logs_survive_a_kill(start, tmp_path):
    """Killed between two checkpoints, and started again: no epoch is there twice, none is missing."""
    arguments = {"folder": str(tmp_path / "run"), "epochs": 4, "logs": True}
    killed = start(**arguments, every={"steps": 15}, kill_step=29)
    assert killed.returncode == -9, killed.stderr
    assert [row["epoch"] for row in rows(tmp_path / "run" / "metrics.csv")] == ["1", "2"]
    done = start(**arguments)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    found, events = rows(tmp_path / "run" / "metrics.csv"), read_board(tmp_path / "run" / "tensorboard")
    assert [row["epoch"] for row in found] == ["1", "2", "3", "4"]
    assert [event.step for event in events] == [10, 20, 30, 40]
    for name in ("train/loss", "evaluate/loss"):
        values = [line[name] for line in lines]
        assert [float(row[name]) for row in found] == values
        board = [{value.tag: value.simple_value for value in event.summary.value}[name] for event in events]
        np.testing.assert_allclose(board, values, rtol=1e-7)


# What the folder says


def test_the_folder_says_how_it_was_made(key, tmp_path):
    fit(key, 1, tmp_path)
    fit(key, 2, tmp_path)
    fit(key, 2, tmp_path)  # which is over, and starts nothing
    config = json.loads((tmp_path / "config.json").read_text())["called with"]
    assert config["epochs"] == 2 and config["run"]["batch_size"] == 8
    assert config["data"] == ["float32[24, 1]", "float32[24, 1]"] and config["checkpoint"]["seconds"] == 300
    first, second = json.loads((tmp_path / "environment.json").read_text())["starts"]
    assert (first["step"], second["step"]) == (0, 3) and first["packages"]["jax"] == jax.__version__
    assert "device_count=8" in first["XLA_FLAGS"] and first["devices"] == "8 x cpu"
    assert first["flags"]["jax_numpy_rank_promotion"] == "raise"
    git = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True)
    assert git.returncode or first["git"]["commit"] == git.stdout.strip()
    assert second["end"]["compile_seconds"] > 0 and second["end"]["host_peak_bytes"] > 1e7


@pytest.mark.parametrize("mine", ['{"mine": 1}', '{"starts": 3}', '{"starts": [1]}', "[1]", "mine", None])
def test_files_of_somebody_else_stay(tmp_path, mine):
    """Whatever is in them, and folders of their names too."""
    files = [tmp_path / name for name in ("config.json", "environment.json")]
    for file in files:
        file.mkdir() if mine is None else file.write_text(mine)
    _about.write_about(tmp_path, {"epochs": 1}, 0, starts=True)
    _about.write_end(tmp_path, Programs({}, {}, str, lambda: (None, None)), 0.0)
    assert all(file.is_dir() if mine is None else file.read_text() == mine for file in files)


def test_a_function_is_described_by_what_it_closes_over():
    rate = optax.cosine_decay_schedule(0.25, 77)
    model = L.chain(L.dense(5), L.dropout(0.125), out=L.dense(2))
    found = json.dumps(described(train.step(train.objective(model, losses.mean_squared_error), optax.adam(rate, b1=0.75))))
    for part in ('"init_value": 0.25', '"decay_steps": 77', '"rate": 0.125', '"b1": 0.75', '"out"', "mean_squared_error", "[5]"):
        assert part in found
    assert found.count("dropout.dropout") == 2  # its check and its draw, once each
    assert described({"numbers": np.arange(3), "one": np.float32(2)}) == {"numbers": "int64[3]", "one": 2.0}
    itself = []
    itself.append(itself)
    assert len(json.dumps(described(itself))) < 1000


# Progress


def test_progress_tells_what_counts():
    record = {"epoch": 1, "train/loss": np.array([1.0, 3.0, np.nan]), "train/matrix": np.eye(3)}
    assert _progress.describe(record) == "2/3 alive  loss 2 ±1.4"
    assert _progress.describe({"train/loss": 0.5, "evaluate/loss": np.float32(0.25)}) == "loss 0.25"
    assert _progress.describe({"train/loss": np.nan}) == "not finite  loss nan"
    assert _progress.describe({"train/loss": 0.5, "evaluate/loss": 0.25, "evaluate/each": np.array([0.5, np.nan])}) == "loss 0.25"
    assert [_progress._short(x) for x in (5, 1234, 999_600, 2.5e9)] == ["5", "1.23k", "1M", "2.5G"]
    assert [_progress._clock(x) for x in (5, 3599.6, 7325)] == ["0:05", "1:00:00", "2:02:05"]


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_fits_its_place(key, terminal, monkeypatch, capsys):
    """Lines where the output is no terminal; a bar within 80 columns where it is one."""
    monkeypatch.setattr(_progress, "_EVERY", 0.0)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    evaluate = lambda train_state: {f"a_metric[/with]_a_name_{i}": 1.0 * train_state.step for i in range(5)}
    jdl.fit(RUN, DATA, key, epochs=3, evaluate=evaluate)
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", capsys.readouterr().out)
    if terminal:
        assert "3/3" in shown and "samples/s" in shown and max(map(len, re.split(r"[\r\n]", shown))) <= 80
    else:
        assert re.findall(r"^epoch (\d)/3  a_metric\[/with\]_a_name_0 ", shown, re.MULTILINE) == ["1", "2", "3"]


# The watchdog


def test_a_run_that_stalls_ends_and_says_where(start, tmp_path):
    stalled = start(folder=str(tmp_path / "run"), epochs=4, stall=6, watchdog=1.0)
    assert stalled.returncode == _watchdog.EXIT_CODE == 124, stalled.stderr
    assert "fit: stalled, a chunk of steps from step 6 has taken 1 s" in stalled.stderr
    assert "most recent call first" in stalled.stderr and "in watched" in stalled.stderr and "in drive" in stalled.stderr
    assert checkpoint.steps(tmp_path / "run" / "checkpoints")[-1].step == 4


def test_without_a_limit_it_only_tells_once(monkeypatch, capfd):
    monkeypatch.setattr(_watchdog, "_PATIENCE", 0.1)
    with _watchdog.watchdog(None) as watch:
        with watch("a nap"):
            time.sleep(0.5)
        with watch("a second, as long as ever"):
            time.sleep(0.5)
    shown = capfd.readouterr().err
    assert shown.count("fit: stalled, a nap has taken") == 1 == shown.count("stalled") and "it is not ended" in shown


STALLS = """
import runpy, sys, time
watchdog = runpy.run_path(sys.argv[1])["watchdog"]
stuck = len(sys.argv) > 2
print("kept", end="")
with watchdog(0.2, saves=stuck) as watch, watch("a write"):
    print("x" * 10**6) if stuck else time.sleep(50)
"""


@pytest.mark.parametrize("stuck", [False, True])
def test_what_was_printed_is_kept_when_it_ends(stuck):
    """It ends also if a write stalls, to a pipe that nobody reads. A checkpoint is promised where there are some."""
    command = [sys.executable, "-E", "-c", STALLS, _watchdog.__file__, *["stuck"] * stuck]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.wait(30) == 124
        finally:
            process.kill()
        told = process.stderr.read()
        assert "fit: stalled, a write has taken" in told and ("newest checkpoint" in told) == stuck
        assert stuck or process.stdout.read() == "kept"
