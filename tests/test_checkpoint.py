"""Checkpoints survive kills, signals, full disks and flipped bits; and a run goes on from them to the bit."""

import functools
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import optax
import pytest
import trainer

import jdl
from jdl import checkpoint, losses, train
from jdl import layers as L
from jdl.checkpoint import _store
from jdl.loop._checkpoints import Checkpoints
from jdl.loop._signals import caught_signals


class Pair(NamedTuple):
    first: object
    second: object


def same(a, b):
    """Equal in structure, dtypes and bits."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    numbers = lambda x: np.asarray(jax.random.key_data(jax.random.clone(x)) if jdl.functional._check.is_key(x) else x)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b)):
        assert x.dtype == y.dtype and x.shape == y.shape
        assert numbers(x).tobytes() == numbers(y).tobytes()


def small(step):
    """What is saved as the checkpoint of a step."""
    return {"a": np.full((3, 5), step, np.float32), "b": {"c": np.arange(step, step + 4)}}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A folder with steps 1 and 2, not to be changed."""
    folder = tmp_path_factory.mktemp("written")
    with checkpoint.Saver(folder) as saver:
        saver.save(1, small(1))
        saver.save(2, small(2))
    return folder


@pytest.fixture
def folder(written, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(written, tmp_path / "copy"))


# What comes back


def test_everything_comes_back_to_the_bit(tmp_path, rng):
    """Typed keys, NamedTuples, dtypes that NumPy lacks, NaNs, scalars, arrays of size 0, names with dots and slashes."""
    tree = {
        "key": jax.random.key(3),
        "keys": jax.random.split(jax.random.key(4, impl="rbg"), 3),
        "pair": Pair(np.float64(np.pi), (np.bool_(True), np.arange(6, dtype=np.uint8).reshape(2, 3))),
        "bfloat16": rng.normal(size=(7,)).astype(ml_dtypes.bfloat16),
        "float8": np.array([1, 2], ml_dtypes.float8_e4m3fn),
        "int4": np.array([-8, 7], ml_dtypes.int4),
        "odd": np.array([np.nan, -0.0, np.inf, 1e-45], np.float32),
        "complex": np.array([1 + 2j], np.complex64),
        "empty": np.zeros((0, 3), np.float32),
        "a.b": {"/": np.int32(1), "": np.int32(2)},
        "nothing": None,
    }
    checkpoint.save(tmp_path, 7, tree, metrics={"loss": np.float32(0.5)}, info={"epoch": 1})
    with jax.enable_x64(True):
        restored = checkpoint.restore(tmp_path, tree)
        same(restored.tree, tree)
    assert (restored.step, restored.metrics, restored.info) == (7, {"loss": 0.5}, {"epoch": 1})
    assert restored.report.exact and not restored.skipped


def test_a_train_state_comes_back_into_an_abstract_one(tmp_path, key):
    data = jnp.ones((8, 3)), jnp.ones((8, 1))
    step = train.average(train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.adam(0.1)), 0.9)
    train_state = step.init(key, data)
    checkpoint.save(tmp_path, 0, train_state)
    same(checkpoint.restore(tmp_path, jax.eval_shape(step.init, key, data)).tree, train_state)


def test_a_checkpoint_knows_no_devices(tmp_path):
    """What was saved on eight devices is restored on as many as the template says."""
    x = np.arange(32.0, dtype=np.float32).reshape(8, 4)
    over = lambda n: jax.NamedSharding(jax.sharding.Mesh(np.array(jax.devices()[:n]), "d"), jax.P("d"))
    checkpoint.save(tmp_path, 1, {"x": jax.device_put(x, over(8))})
    for devices in (1, 2, 8):
        found = checkpoint.restore(tmp_path, {"x": jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=over(devices))}).tree["x"]
        assert len(found.sharding.device_set) == devices
        np.testing.assert_array_equal(found, x)


def test_templates_that_differ(folder):
    template = {"a": np.zeros((3, 4), np.float32), "b": {"d": np.zeros(2)}}
    with pytest.raises(checkpoint.Mismatch) as found:
        checkpoint.restore(folder, template)
    assert found.value.report == checkpoint.Report(("b/d",), ("b/c",), (("a", "float32[3, 5]", "float32[3, 4]"),))
    assert "a: saved as float32[3, 5], the template wants float32[3, 4]" in str(found.value)
    restored = checkpoint.restore(folder, template | {"b": {"d": np.ones(2), "c": np.zeros(4, int)}}, partial=True)
    np.testing.assert_array_equal(restored.tree["b"]["c"], [2, 3, 4, 5])
    np.testing.assert_array_equal(restored.tree["b"]["d"], [1, 1])
    assert restored.report.missing == ("b/d",) and restored.tree["a"].shape == (3, 4)
    with pytest.raises(checkpoint.Mismatch, match="b/d doesn't fit, and the template has no value for it"):
        checkpoint.restore(folder, {"b": {"d": jax.ShapeDtypeStruct((2,), np.float32)}}, partial=True)


def test_what_can_t_be_saved(tmp_path):
    with pytest.raises(TypeError, match="a/b must be an array of numbers or keys"):
        checkpoint.save(tmp_path, 1, {"a": {"b": np.array(["text"])}})
    with pytest.raises(ValueError, match="two leaves have the path 'a/b'"):
        checkpoint.save(tmp_path, 1, {"a": {"b": np.ones(1)}, "a/b": np.ones(1)})
    with pytest.raises(ValueError, match="step must be at least 0, got -1"):
        checkpoint.save(tmp_path, -1, {})
    with pytest.raises(TypeError, match="not JSON serializable"):
        checkpoint.save(tmp_path, 1, {}, info={"array": np.ones(1)})


def test_no_code_is_ever_loaded():
    """No name of what unpickles or evaluates occurs in the package."""
    for path in (Path(jdl.__file__).parent / "checkpoint").glob("*.py"):
        assert not {"pickle", "eval(", "exec(", "marshal", "allow_pickle", "cloudpickle"} & set(path.read_text().split()), path


# Damage


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def is_found(folder, path):
    """The damage to a file of step 2 is found, named, and passed over."""
    with pytest.raises(checkpoint.Damaged) as found:
        checkpoint.verify(folder, 2)
    assert path.name in str(found.value) or "COMPLETE" in str(found.value)
    with pytest.warns(checkpoint.RestoreWarning, match="restored step 1"):
        restored = checkpoint.restore(folder, small(0))
    same(restored.tree, jax.tree.map(jnp.asarray, small(1)))
    assert list(restored.skipped) == [2]


def flip(folder, rng):
    """Flips a bit of a file, chosen as bytes are."""
    paths = files_of(folder / "0000000002")
    path = rng.choices(paths, [path.stat().st_size for path in paths])[0]
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return path, bytes(content)


@pytest.mark.parametrize("flips", [25, pytest.param(1000, marks=pytest.mark.slow)])
def test_a_flipped_bit_is_found(folder, seed, flips):
    rng = random.Random(seed)
    for _ in range(flips):
        path, content = flip(folder, rng)
        before = path.read_bytes()
        path.write_bytes(content)
        is_found(folder, path)
        path.write_bytes(before)
    checkpoint.verify(folder, 2)


@pytest.mark.parametrize("cuts", [1, pytest.param(64, marks=pytest.mark.slow)])
def test_a_cut_file_is_found(folder, seed, cuts):
    """Each file cut short, and emptied, and gone."""
    rng = random.Random(seed)
    for path in files_of(folder / "0000000002"):
        before = path.read_bytes()
        for length in {0, *(rng.randrange(len(before)) for _ in range(max(1, cuts // 8)))}:
            path.write_bytes(before[:length])
            is_found(folder, path)
        path.unlink()
        is_found(folder, path)
        path.write_bytes(before)
    checkpoint.verify(folder, 2)


def test_files_that_were_exchanged_are_found(folder):
    one, two = folder / "0000000001", folder / "0000000002"
    data = [path for path in files_of(two) if path.parent.name == "d"]
    contents = [path.read_bytes() for path in data]
    for path, content in zip(data, contents[1:] + contents[:1]):
        path.write_bytes(content)
    is_found(folder, data[0].parent)
    for path, content in zip(data, contents):
        path.write_bytes(content)
    for name in ("manifest.json", "COMPLETE"):  # those of another step
        shutil.copy(one / name, two / name)
        is_found(folder, two / "manifest.json")


def test_an_unknown_file_is_found(folder):
    path = folder / "0000000002" / "arrays" / "stray"
    path.write_bytes(b"")
    is_found(folder, path)


def written_wrongly(monkeypatch):
    save = _store._save
    wrong = lambda arrays: {name: a + (name == "a") for name, a in arrays.items()}
    monkeypatch.setattr(_store, "_save", lambda folder, arrays: save(folder, wrong(arrays)))


def test_an_array_that_was_written_wrongly_is_found(tmp_path, monkeypatch):
    """Files that are what was written, of an array that is not what was to be: the digest of the array finds it."""
    written_wrongly(monkeypatch)
    checkpoint.save(tmp_path, 1, small(1))
    with pytest.raises(checkpoint.Damaged, match="array a is not the one that was saved"):
        checkpoint.verify(tmp_path, 1)


def test_nothing_good_is_an_error(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match="no complete checkpoint"):
        checkpoint.restore(tmp_path / "none", small(0))
    with pytest.raises(FileNotFoundError, match=r"no checkpoint of step 5 .* there are \[1, 2\]"):
        checkpoint.restore(folder, small(0), step=5)
    for step in (1, 2):
        (folder / f"000000000{step}" / "COMPLETE").write_bytes(b"")
    with pytest.raises(checkpoint.Damaged, match=r"every checkpoint .* is damaged"):
        checkpoint.restore(folder, small(0))
    assert [saved.complete for saved in checkpoint.steps(folder)] == [False, False]


def test_a_damaged_step_is_replaced_and_a_good_one_is_not(folder):
    path = files_of(folder / "0000000002" / "arrays")[0]
    path.write_bytes(b"")
    checkpoint.save(folder, 2, small(2))
    checkpoint.verify(folder, 2)
    with pytest.raises(checkpoint.SaveError, match="is there already, and is good"):
        checkpoint.save(folder, 2, small(3))
    same(checkpoint.restore(folder, small(0)).tree, jax.tree.map(jnp.asarray, small(2)))


def test_a_folder_that_is_read_only_can_be_restored_from(folder, monkeypatch):
    """Nothing is opened for writing, made or removed."""

    def refused(*args, **kwargs):
        raise PermissionError("read-only")

    for name in trainer.CALLS:
        monkeypatch.setattr(os, name, refused)
    assert checkpoint.restore(folder, small(0)).step == 2
    assert [saved.step for saved in checkpoint.steps(folder)] == [1, 2]


# What is kept


def test_newest_best_and_milestones_are_kept(tmp_path):
    rule = checkpoint.keep(1, best=1, by="loss", every=4)
    with checkpoint.Saver(tmp_path, rule) as saver:
        for step, loss in enumerate([9, 3, 1, 4, 5, 0, 2], 1):
            saver.save(step, small(step), metrics={"loss": np.nan if step == 6 else loss})
    assert [(saved.step, saved.complete) for saved in checkpoint.steps(tmp_path)] == [(3, True), (4, True), (7, True)]
    assert checkpoint.keep(1, best=1, by="loss", highest=True)(checkpoint.steps(tmp_path)) == {4, 7}


def test_nothing_is_deleted_unless_the_newest_is_good(folder, monkeypatch):
    written_wrongly(monkeypatch)
    with pytest.raises(checkpoint.SaveError, match="array a is not the one"), checkpoint.Saver(folder, checkpoint.keep(1)) as saver:
        saver.save(3, small(3))
    with pytest.warns(checkpoint.RestoreWarning):
        assert checkpoint.restore(folder, small(0)).step == 2


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: checkpoint.keep(0), "last must be a positive integer"),
        (lambda: checkpoint.keep(best=1), "give both or neither"),
        (lambda: checkpoint.keep(every=0), "every must be a positive integer"),
        (lambda: checkpoint.every(), "give seconds, steps or epochs"),
        (lambda: checkpoint.every(steps=0), "steps must be a positive integer"),
        (lambda: checkpoint.every(seconds=-1), "seconds must be above 0"),
    ],
)
def test_wrong_plans(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()


# Saving while training goes on


class Gate:
    """A writer that waits until it may go on."""

    def __init__(self, monkeypatch):
        self.open, self.inside, self.most = threading.Event(), 0, 0
        save = _store._save

        def gated(*args):
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.open.wait(60)
            save(*args)
            self.inside -= 1

        monkeypatch.setattr(_store, "_save", gated)


def test_what_is_saved_is_what_was_there(tmp_path, monkeypatch):
    """The buffers are donated and overwritten before the writer gets to them."""
    gate = Gate(monkeypatch)
    x = jnp.arange(1024.0)
    forward = jax.jit(lambda x: x * 2 + 1, donate_argnums=0)
    x = forward(x)
    expected = np.array(x, copy=True)
    with checkpoint.Saver(tmp_path) as saver:
        saver.save(1, {"x": x})
        begin = time.perf_counter()
        for _ in range(5):
            x = forward(x)
        x.block_until_ready()
        assert not any(saved.complete for saved in checkpoint.steps(tmp_path)) and time.perf_counter() - begin < 30
        gate.open.set()
    np.testing.assert_array_equal(checkpoint.restore(tmp_path, {"x": x}).tree["x"], expected)


def test_one_save_at_a_time(tmp_path, monkeypatch):
    gate = Gate(monkeypatch)
    with checkpoint.Saver(tmp_path) as saver:
        saver.save(1, small(1))
        threading.Timer(0.2, gate.open.set).start()
        saver.save(2, small(2))  # waits
        assert gate.open.is_set() and checkpoint.steps(tmp_path)[0].complete
        saver.save(3, small(3))
    assert gate.most == 1


def test_what_goes_wrong_in_the_writer_is_heard(tmp_path, monkeypatch):
    def fail(*args):
        raise OSError("no such disk")

    monkeypatch.setattr(_store, "_save", fail)
    with pytest.raises(checkpoint.SaveError, match="no such disk"), checkpoint.Saver(tmp_path) as saver:
        saver.save(1, small(1))
        with pytest.raises(checkpoint.SaveError, match="no such disk"):
            saver.save(2, small(2))
        saver.save(3, small(3))  # and its failure is heard at the end
    with pytest.raises(ZeroDivisionError) as error, checkpoint.Saver(tmp_path) as saver:
        saver.save(1, small(1))
        raise ZeroDivisionError
    assert "no such disk" in error.value.__notes__[0]


def test_one_writer_in_a_folder(tmp_path):
    with checkpoint.Saver(tmp_path):
        with pytest.raises(checkpoint.FolderInUse, match=f"in use by process {os.getpid()}"):
            checkpoint.save(tmp_path, 1, small(1))
    checkpoint.save(tmp_path, 1, small(1))


# Disks that fail


def calls_of_a_save(folder, monkeypatch):
    with monkeypatch.context() as patch:
        faults = trainer.Faults()
        faults.install(patch.setattr)
        with checkpoint.Saver(folder, checkpoint.keep(2)) as saver:
            saver.save(3, small(3))
        return faults.calls


@pytest.mark.parametrize("stride", [9, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EACCES"])
def test_a_disk_that_fails_at_any_call(written, tmp_path, monkeypatch, error, stride):
    """What is there stays good, nothing half stays, the error says what it was, and the next save succeeds."""
    calls = calls_of_a_save(shutil.copytree(written, tmp_path / "whole"), monkeypatch)
    assert calls > 20
    offset = {"ENOSPC": 1, "EIO": 4, "EACCES": 7}[error] if stride > 1 else 1
    for call in range(offset, calls + 1, stride):
        folder = Path(shutil.copytree(written, tmp_path / str(call)))
        with monkeypatch.context() as patch:
            trainer.Faults(fail=[call], error=error).install(patch.setattr)
            try:
                with checkpoint.Saver(folder, checkpoint.keep(2)) as saver:
                    saver.save(3, small(3))
                failed = False
            except checkpoint.SaveError as found:
                failed = True
                assert os.strerror(getattr(trainer.errno, error)) in str(found)
        there = [saved.step for saved in checkpoint.steps(folder)]
        assert set(there) <= {1, 2, 3} and 2 in there and (3 in there or failed)
        with monkeypatch.context() as patch:
            patch.setattr("warnings.warn", lambda *args, **kwargs: None)
            same(checkpoint.restore(folder, small(0)).tree, jax.tree.map(jnp.asarray, small(3 if 3 in there else 2)))
        checkpoint.save(folder, 4, small(4))
        assert [saved.complete for saved in checkpoint.steps(folder)] == [True] * len(checkpoint.steps(folder))
        shutil.rmtree(folder)


def test_a_limit_that_the_kernel_sets(tmp_path, rng):
    """Orbax writes in C++: its error, of a file that may not grow, comes through."""
    checkpoint.save(tmp_path, 1, small(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    big = {"a": rng.normal(size=(300, 1000))}
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(checkpoint.SaveError):
            checkpoint.save(tmp_path, 2, big)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [saved.step for saved in checkpoint.steps(tmp_path)] == [1]
    checkpoint.save(tmp_path, 2, big)
    checkpoint.verify(tmp_path, 2)


# Kills in the middle of a save


def swept(start, tmp_path, points, *, timed=False):
    found = start(folder=str(tmp_path), points=points, timed=timed)
    assert found.returncode == 0, found.stderr
    lines = [json.loads(line) for line in found.stdout.splitlines()]
    assert len(lines) == len(points)
    assert all(line["status"] == 0 and line["restored"] in ("2", "3") for line in lines), lines
    return lines


def test_a_kill_leaves_the_newest_complete_checkpoint(start, tmp_path):
    """SIGKILL before and after calls to the file system in a save; a run of all of them, and at random times, is slow."""
    lines = swept(start, tmp_path, [0, -1, 3, -9, 20, -28])
    assert [line["killed"] for line in lines] == [False] + [True] * 5
    assert int(lines[0]["calls"]) > 30
    assert lines[0]["restored"] == "3"


@pytest.mark.slow
def test_a_kill_at_every_call_and_at_random_times(start, tmp_path, seed):
    calls = int(swept(start, tmp_path / "whole", [0])[0]["calls"])
    lines = swept(start, tmp_path / "calls", [sign * call for call in range(1, calls + 1) for sign in (1, -1)])
    assert all(line["killed"] for line in lines) and {line["restored"] for line in lines} == {"2", "3"}
    rng = random.Random(seed)
    lines = swept(start, tmp_path / "times", [rng.uniform(0, 0.2) for _ in range(100)], timed=True)
    print(sum(line["killed"] for line in lines), "of 100 killed in time;", {line["restored"] for line in lines})


# Runs


def lines_of(folder):
    lines = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def newest(folder):
    return checkpoint.steps(folder / "checkpoints")[-1]


def test_a_run_goes_on_through_everything(start, tmp_path):
    """Stopped while compiling, training, evaluating and saving, and killed: in the end it is the run that nothing happened to."""
    straight = start(folder=str(tmp_path / "straight"), epochs=4, every={"epochs": 100}, chunk=1)
    assert straight.returncode == 0, straight.stderr
    folder = tmp_path / "disturbed"
    run = lambda **arguments: start(folder=str(folder), epochs=4, every={"steps": 7}, **arguments)

    found = run(signal=signal.SIGTERM, phase="compile")
    assert found.returncode == 143 and "no step yet" in found.stderr and not checkpoint.steps(folder / "checkpoints")
    found = run(signal=signal.SIGTERM, phase="train", from_step=3)
    assert found.returncode == 143 and "step 4 is saved" in found.stderr and newest(folder).step == 4
    found = run(signal=signal.SIGINT, phase="evaluate", faults={"slow": 0.3})
    assert found.returncode == -signal.SIGINT and "KeyboardInterrupt: fit: stopped, step 10 is saved" in found.stderr
    assert newest(folder).step == 10 and len(lines_of(folder)) == 1
    found = run(kill_step=23)
    assert found.returncode == -signal.SIGKILL and newest(folder).step in (14, 21)
    found = run(signal=signal.SIGTERM, phase="save")
    assert found.returncode == 143 and newest(folder).complete and newest(folder).step > 14

    found = run(chunk=1)
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout) == json.loads(straight.stdout)
    assert lines_of(folder) == lines_of(tmp_path / "straight") and len(lines_of(folder)) == 4


@pytest.mark.slow
def test_kills_change_no_bit(start, tmp_path, seed):
    rng = random.Random(seed)
    folder = tmp_path / "killed"
    run = lambda folder, **arguments: start(folder=str(folder), epochs=20, optimize=True, **arguments)
    straight = run(tmp_path / "straight", every={"epochs": 100})
    for step in sorted(rng.sample(range(10, 199), 5)):
        found = run(folder, every={"steps": 3}, kill_step=step, chunk=rng.choice([1e-9, 1e-3, 1]))
        assert found.returncode == -signal.SIGKILL, found.stderr
    found = run(folder, every={"seconds": 0.01})
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout) == json.loads(straight.stdout)
    assert lines_of(folder) == lines_of(tmp_path / "straight") and len(lines_of(folder)) == 20


DATA = np.linspace(-1, 1, 24, dtype=np.float32).reshape(-1, 1), np.linspace(1, 3, 24, dtype=np.float32).reshape(-1, 1)


def tiny(width=1, batch_size=8, rate=0.1):
    objective = train.objective(L.chain(L.dropout(0.1), L.dense(width), L.dense(1)), losses.mean_squared_error)
    return train.run(train.step(objective, optax.sgd(rate)), batch_size=batch_size)


def fit(folder, key, epochs, run=None, data=DATA, **options):
    return jdl.fit(run or tiny(), data, key, epochs=epochs, folder=folder, progress=False, **options)


def test_a_run_that_is_over_goes_on_with_more_epochs(tmp_path, key):
    """Here one of two members."""
    keys = jax.random.split(key, 2)
    straight, history = fit(tmp_path / "a", keys, 4)
    fit(tmp_path / "b", keys, 2)
    again, continued = fit(tmp_path / "b", keys, 4)
    same(again, straight)
    assert list(continued) == list(history)
    for name in set(history) - {"seconds", "compile_seconds"}:
        np.testing.assert_array_equal(continued[name], history[name], strict=True)
    assert lines_of(tmp_path / "a") == lines_of(tmp_path / "b")
    assert (np.diff(continued["seconds"]) > 0).all()
    same(fit(tmp_path / "b", keys, 4)[0], straight)  # nothing is left to do
    with pytest.raises(ValueError, match="is 4 epochs long already, got epochs=3"):
        fit(tmp_path / "b", keys, 3)


def test_another_run_s_folder(tmp_path, key):
    fit(tmp_path, key, 1)
    before = {path: path.read_bytes() for path in files_of(tmp_path) if path.name != ".lock"}
    for message, change in {
        "its key differs": {"key": jax.random.key(7**7)},
        "params/1/kernel: saved as float32\\[1, 1\\], the template wants float32\\[1, 2\\]": {"run": tiny(width=2)},
        "its program differs, so its model, loss, optimizer, batch size": {"run": tiny(batch_size=4)},
        "its data have other values": {"data": (DATA[0] + 1, DATA[1])},
        "its program differs": {"run": tiny(rate=0.2)},
        "its metrics are": {"evaluate": lambda train_state: {"step": train_state.step}},
    }.items():
        with pytest.raises(
            FileExistsError, match=f"holds another run; give another folder, nothing was overwritten: (.|\n)*{message}"
        ):
            fit(**{"folder": tmp_path, "key": key, "epochs": 2} | change)
    with pytest.raises(FileExistsError, match="exists already"):
        fit(tmp_path, key, 2, checkpoint=None)
    assert before == {path: path.read_bytes() for path in files_of(tmp_path) if path.name != ".lock"}
    with checkpoint.Saver(tmp_path / "checkpoints"), pytest.raises(checkpoint.FolderInUse):
        fit(tmp_path, key, 2)


@pytest.mark.parametrize("lasting", [True, False])
def test_a_run_falls_back_from_a_damaged_checkpoint(tmp_path, key, monkeypatch, lasting):
    """One that can't be read for good is replaced as the run comes by; one that only couldn't for a moment stays."""
    plan = checkpoint.every(epochs=1)
    fit(tmp_path, key, 2, checkpoint=plan)
    straight, _ = fit(tmp_path / "straight", key, 3, checkpoint=plan)
    path = files_of(tmp_path / "checkpoints" / "0000000006" / "arrays")[-1]
    content = path.read_bytes()
    path.write_bytes(b"")
    if not lasting:
        limit = Checkpoints.limit  # asked before every chunk
        monkeypatch.setattr(Checkpoints, "limit", lambda *args: path.write_bytes(content) and limit(*args))
    with pytest.warns(checkpoint.RestoreWarning, match="restored step 3; newer ones are no good"):
        again, _ = fit(tmp_path, key, 3, checkpoint=plan)
    same(again, straight)
    assert [saved.step for saved in checkpoint.steps(tmp_path / "checkpoints")] == [6, 9]
    checkpoint.verify(tmp_path / "checkpoints", 6)


def test_epochs_of_steps_that_do_nothing_are_kept(tmp_path, key):
    """As after an early stop: they are over, although the count of steps stays; real steps then go on with their own numbers."""
    run = tiny()

    def advance(train_state, data, steps):
        new, metrics = run.advance(train_state, data, steps)
        idle = (train_state.epoch > 0) & (train_state.epoch < 4)
        return new.replace(step=jnp.where(idle, train_state.step, new.step)), metrics

    told = []
    call = functools.partial(fit, tmp_path, key, run=run._replace(advance=advance), callbacks=[told.append])
    plan = checkpoint.every(steps=3, keep=checkpoint.keep(9))
    for epochs in (2, 5):
        _, history = call(epochs, checkpoint=plan)
    assert history["step"].tolist() == [3, 3, 3, 3, 6]
    assert [event.epoch for event in told if event.kind == "start"] == [0, 2]
    saves = [(event.epoch, event.step) for event in told if event.kind == "checkpoint"]
    assert saves == [(1, 3), (2, 3), (5, 6)]
    assert [saved.step for saved in checkpoint.steps(tmp_path / "checkpoints")] == [3, 4, 6]


def test_a_damaged_run_json_has_a_clear_error(tmp_path, key):
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(ValueError, match=r"run.json is damaged; delete it"):
        fit(tmp_path, key, 3)


def test_training_goes_on_when_the_disk_is_full(tmp_path, key, monkeypatch):
    """Two saves fail, with a warning each; the third succeeds."""
    faults = trainer.Faults()
    faults.install(monkeypatch.setattr)
    write = _store.write

    def full_at_first(*args):
        faults.fail = [5] if faults.saves < 2 else []
        write(*args)

    monkeypatch.setattr(_store, "write", full_at_first)
    with pytest.warns(UserWarning, match="checkpoint not written .* No space left on device; training goes on") as warned:
        _, history = fit(tmp_path, key, 4, checkpoint=checkpoint.every(epochs=1))
    assert len(warned) == 2 and len(history["epoch"]) == 4 == len(lines_of(tmp_path))
    assert [saved.step for saved in checkpoint.steps(tmp_path / "checkpoints")] == [9, 12]


def test_a_last_checkpoint_that_can_t_be_written_is_an_error(tmp_path, key, monkeypatch):
    trainer.Faults(fail=[2], error="EIO").install(monkeypatch.setattr)
    with pytest.raises(checkpoint.SaveError, match="Input/output error") as error:
        fit(tmp_path, key, 1)
    train_state, history = error.value.result
    assert train_state.step == 3 and history["epoch"].tolist() == [1]


def test_lines_wait_for_space(tmp_path, key, monkeypatch):
    """A line of metrics that can't be written is written with the next."""
    from jdl.checkpoint import _files

    write_all, calls = _files.write_all, []

    def full_once(descriptor, content):
        calls.append(content)
        if len(calls) == 6:  # after run.json, config.json, environment.json and the file without lines: the second line
            os.write(descriptor, content[:5])
            raise OSError(28, "No space left on device")
        write_all(descriptor, content)

    monkeypatch.setattr(_files, "write_all", full_once)
    with pytest.warns(UserWarning, match="will be with the next line"):
        fit(tmp_path, key, 4, checkpoint=checkpoint.every(seconds=1e6))
    assert [line["epoch"] for line in lines_of(tmp_path)] == [1, 2, 3, 4]


def test_a_second_signal_acts_as_it_did_before():
    """The first one is noted; afterwards all is as it was."""
    heard = []
    interrupt = signal.getsignal(signal.SIGINT)  # ignored in what a shell runs in the background
    before = signal.signal(signal.SIGTERM, mine := lambda number, frame: heard.append(number))
    try:
        with caught_signals(active=True) as caught:
            assert caught() is None
            os.kill(os.getpid(), signal.SIGTERM)
            assert caught() == signal.SIGTERM and not heard
            os.kill(os.getpid(), signal.SIGTERM)
            assert heard == [signal.SIGTERM]
        assert signal.getsignal(signal.SIGTERM) is mine and signal.getsignal(signal.SIGINT) is interrupt
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_a_run_at_once(start, tmp_path, number):
    """While the writer hangs: nothing complete is lost."""
    begin = time.perf_counter()
    found = start(folder=str(tmp_path), epochs=4, signal=number, phase="train", again=2.0, faults={"slow": 300})
    assert found.returncode == -number and time.perf_counter() - begin < 250


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_at_any_time_loses_no_step(tmp_path, seed, number):
    """Fifty times, from the import to the save: before `fit` the process ends at once, later it says at which step it saved."""
    rng = random.Random(seed)
    arguments = {"folder": str(tmp_path / "run"), "cache": str(tmp_path / "cache"), "faults": {"slow": 0.2}}

    def begun(**more):
        command = [sys.executable, "-W", "error", trainer.__file__, json.dumps(arguments | more)]
        return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)

    begin = time.perf_counter()
    with begun(folder=str(tmp_path / "short"), epochs=3) as process:
        process.communicate(timeout=300)
    short = time.perf_counter() - begin
    last, ended = 0, {"early": 0, "saved": 0, "no step": 0}
    for _ in range(50):
        with begun(epochs=10**5, every={"steps": 50}) as process:
            time.sleep(rng.uniform(0, 2 * short))
            process.send_signal(number)
            _, errors = process.communicate(timeout=300)
        told = re.search(r"fit: stopped, (step (\d+) is saved|no step yet)", errors)
        assert process.returncode in ((143, -15) if number == signal.SIGTERM else (-2,)), errors
        if told is None:
            assert process.returncode == -number and "fit:" not in errors, errors
        ended["early" if told is None else "saved" if told[2] else "no step"] += 1
        saved = checkpoint.steps(tmp_path / "run" / "checkpoints") if (tmp_path / "run" / "checkpoints").exists() else []
        step = saved[-1].step if saved else 0
        assert step >= last and (told is None or not told[2] or int(told[2]) == step), (errors, saved)
        assert not saved or checkpoint.verify(tmp_path / "run" / "checkpoints", step) is None
        last = step
    print(ended, "last step", last)
    assert last > 0


# Weights for others


def test_export_is_safetensors(tmp_path, rng):
    safetensors = pytest.importorskip("safetensors.numpy")
    tree = {"0": {"kernel": rng.normal(size=(3, 4)).astype(np.float32), "bias": rng.normal(size=4).astype(np.float16)}}
    checkpoint.export(tmp_path / "weights.safetensors", tree)
    found = safetensors.load_file(tmp_path / "weights.safetensors")
    assert found.keys() == {"0/kernel", "0/bias"}
    np.testing.assert_array_equal(found["0/kernel"], tree["0"]["kernel"], strict=True)
    with pytest.raises(TypeError, match="key is a random key"):
        checkpoint.export(tmp_path / "weights.safetensors", {"key": jax.random.key(0)})


def test_export_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ImportError, match=r"pip install 'jdl\[pretrained\]'"):
        checkpoint.export(tmp_path / "weights.safetensors", {"x": np.ones(3)})
