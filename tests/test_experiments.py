"""The experiments as they are run: real processes, few steps."""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from jdl import layers as L
from jdl import parallel

ROOT = Path(__file__).parents[1]


def run(script, *arguments, cwd, check=True):
    soon = {  # what tests are compiled with, as conftest.py says
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".cache" / "jax" / os.environ.get("PYTEST_XDIST_WORKER", "main")),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    command = [sys.executable, str(ROOT / "experiments" / script), *arguments]
    return subprocess.run(command, cwd=cwd, env=os.environ | soon, check=check, capture_output=True, text=True)


def test_digits_on_few_steps(tmp_path):
    done = run("digits.py", "--seeds", "2", "--epochs", "2", cwd=tmp_path)
    last = done.stdout.strip().splitlines()[-1]
    found = re.fullmatch(r"test accuracy: mean (\d\.\d{4}) worst (\d\.\d{4}) seeds 2 seconds \d+", last)
    assert found and 0.3 < float(found[1]) <= 1 and float(found[2]) <= float(found[1])
    assert "95% interval" in done.stdout and "epoch 2/2" in done.stdout

    (folder,) = (tmp_path / "runs").iterdir()
    names = {path.name for path in folder.iterdir()}
    left_by_fit = {"metrics.jsonl", "run.json", "config.json", "environment.json", "checkpoints"}
    plots = {"accuracy.png", "loss.png", "confusion.png", "mistakes.png"}
    assert names == left_by_fit | plots | {"arguments.json", "report.html"}
    assert json.loads((folder / "arguments.json").read_text())["seeds"] == 2
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [14, 28] and len(lines[0]["evaluate/accuracy"]) == 2
    assert all((folder / name).read_bytes().startswith(b"\x89PNG") for name in names if name.endswith("png"))

    again = run("digits.py", "--seeds", "2", "--epochs", "1", "--folder", str(folder), cwd=tmp_path, check=False)
    assert again.returncode != 0 and "nothing was overwritten" in again.stderr


def test_digits_explains_its_options(tmp_path):
    shown = run("digits.py", "--help", cwd=tmp_path).stdout
    for option in ("seeds", "epochs", "batch-size", "learning-rate", "decay", "smoothing", "dropout", "shift", "key", "folder"):
        assert f"--{option} " in shown
    assert "How many networks to train" in shown


def test_xor(tmp_path):
    found = re.search(r"solved XOR: (\d+) of 64 networks", run("xor.py", cwd=tmp_path).stdout)
    assert found and 32 < int(found[1]) < 64


def test_gan(tmp_path):
    shown = run("gan.py", "--seeds", "2", "--steps", "20", "--width", "4", cwd=tmp_path).stdout
    rows = re.findall(r"(minimax|non-saturating|least squares) +│ +(0\.\d+) │", shown)
    assert [name for name, _ in rows] == ["minimax", "non-saturating", "least squares"]
    assert all(0 < float(mean) < 2 for _, mean in rows) and "over 2 seeds" in shown


def small(rate):
    return L.chain(L.flatten, L.dropout(rate), L.dense(10))


@pytest.mark.parametrize("model", [small, pytest.param(None, marks=pytest.mark.slow)])
def test_devices_give_the_losses_of_one(model, monkeypatch, capsys):
    """The script on the eight devices of this process, and on the first of them; with a model that compiles soon, and its own."""
    monkeypatch.syspath_prepend(str(ROOT / "experiments"))
    path, losses = ROOT / "experiments" / "devices.py", []
    script, page = runpy.run_path(str(path)), (ROOT / "docs" / "devices.md").read_text()
    assert re.search(r"```py\n(def main.*?)```", page, re.DOTALL)[1] in path.read_text()
    if model is not None:
        monkeypatch.setitem(script["main"].__globals__, "network", model)
    monkeypatch.setattr(parallel, "start", lambda *place: parallel.Job(0, 1))  # which comes before JAX is used, in a script
    for devices in (jax.devices(), jax.devices()[:1]):
        monkeypatch.setattr(jax, "devices", lambda devices=devices: devices)
        script["main"](script["Config"](epochs=2))
        shown = capsys.readouterr().out
        assert shown.startswith(f"{len(devices)} x cpu, in 1 processes\n")
        losses.append([float(loss) for loss in re.findall(r"epoch \d: loss (\S+)", shown)])
    assert len(losses[0]) == 2 and losses[0][1] < losses[0][0]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_plan_counts_what_every_block_sends():
    """Of a small decoder over the devices that are here, against what is worked out by hand."""
    plan = runpy.run_path(str(ROOT / "experiments" / "plan.py"))
    config = plan["Config"](mesh="data=4,model=2", blocks=5, width=256, hidden=96, vocabulary=64, length=16, samples=8)
    train_state, _, step = plan["lowered"](config)
    sent = {(row.kind, row.devices): row.bytes for row in parallel.collectives(step.compile()).rows}
    block, tables, norms = 4 * 256 * 256 + 3 * 256 * 96, 2 * 64 * 256, 256
    split, whole = 5 * block + tables, (2 * 5 + 1) * norms  # what the model axis splits, and what it doesn't
    assert parallel.explain(train_state.params).bytes == 4 * (split / 8 + whole / 4)
    assert sent["all-gather", 4] == 4 * (split / 2 + whole)  # of single precision, once
    activations = 2 * 2 * 16 * 256  # of half precision, two samples on a device; a block sums them eight times over the model axis
    assert 5 * 8 * activations <= sent["all-reduce", 2] <= (5 * 8 + 3) * activations


@pytest.mark.slow
def test_digits_whole(tmp_path):
    """The main job as the README runs it: above 0.983 in the mean, above scikit-learn's 0.969 in every seed."""
    last = run("digits.py", cwd=tmp_path).stdout.strip().splitlines()[-1]
    found = re.fullmatch(r"test accuracy: mean (\S+) worst (\S+) seeds 16 seconds \d+", last)
    assert float(found[1]) >= 0.983 and float(found[2]) > 0.969
