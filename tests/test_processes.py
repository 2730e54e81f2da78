"""Two processes over loopback: the losses of one, one writer, an end that names who died, and the same bits after a restart."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
import worker
from trainer import digests

from jdl import checkpoint, parallel
from jdl.loop._watchdog import EXIT_CODE

WORKER = Path(__file__).with_name("worker.py")
HEARTBEAT = 4  # seconds
NAMED = "The following tasks are unhealthy (stopped sending heartbeats):\n1\n"
CACHE = Path(__file__).parents[1] / ".cache" / "jax" / "processes"


def job(tmp, runs, *, happens=None, limit=200, heartbeat=HEARTBEAT):
    """Runs two processes of two devices each; gives of each its exit code, what it printed, its errors, and when it ended.

    `happens` is what happens to one of them: its index, and arguments of the worker.
    """
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    flags = os.environ["XLA_FLAGS"] + " --xla_force_host_platform_device_count=2"  # the last one counts
    environment = os.environ | {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    processes, victim = [], happens or (None, {})
    for index in range(2):
        arguments = {"place": [address, 2, index], "runs": runs, "heartbeat": heartbeat, "cache": str(CACHE)}
        arguments |= victim[1] if index == victim[0] else {}
        command = [sys.executable, str(WORKER), json.dumps(arguments)]
        with (tmp / f"{index}.out").open("w") as out, (tmp / f"{index}.err").open("w") as err:
            processes.append(subprocess.Popen(command, stdout=out, stderr=err, env=environment))
    ends, limit = [0.0, 0.0], time.monotonic() + limit
    try:
        while not all(ends) and time.monotonic() < limit:
            time.sleep(0.02)
            ends = [end or (process.poll() is not None) * time.monotonic() for end, process in zip(ends, processes)]
        assert all(ends), f"still running: {[process.poll() for process in processes]}"
    finally:
        for process in processes:
            process.kill()
            process.wait()
    texts = [[(tmp / f"{index}.{name}").read_text() for name in ("out", "err")] for index in range(2)]
    return [(process.returncode, *text, end) for process, text, end in zip(processes, texts, ends)]


def results(out):
    return [json.loads(line) for line in out.splitlines() if line.startswith("{")]  # gloo prints, too


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A folder whose run lost a process, and how the two ended."""
    tmp = tmp_path_factory.mktemp("killed")
    return tmp / "run", job(tmp, [{"folder": str(tmp / "run")}], happens=(1, {"number": signal.SIGKILL, "at": 14}))


@pytest.fixture(scope="module")
def resumed(killed, tmp_path_factory):
    """What both processes printed of the run that goes on in that folder, and of two that nothing happened to."""
    tmp = tmp_path_factory.mktemp("resumed")
    settings = [{"folder": str(killed[0])}, {"folder": str(tmp / "run"), "own": True}, {"folder": None, "host": True}]
    ended = job(tmp, settings)
    assert [code for code, *_ in ended] == [0, 0], ended
    return [results(out) for _, out, _, _ in ended]


def test_a_dead_process_ends_the_other_which_names_it(killed):
    (code, _, errors, end), (died, _, _, death) = killed[1]
    assert died == -signal.SIGKILL and code not in (0, None)
    assert -1 < end - death < HEARTBEAT + 5
    assert NAMED in errors, errors
    assert "fit: in process 0 of 2, after step 1" in errors, errors


def test_a_restart_goes_on_to_the_same_bits(resumed):
    """And so it does not matter whether each process had all of the data or its own part, or reads them."""
    again, *straight = resumed[0]
    assert all(one["digests"] == again["digests"] and one["losses"] == again["losses"] for one in straight)
    assert [one["digests"] for one in resumed[1]] == [one["digests"] for one in resumed[0]]


def test_the_first_process_calls_back_and_writes(killed, resumed):
    assert resumed[0][1]["events"] == 9 and not any(one["events"] for one in resumed[1])
    lines = (killed[0] / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]
    starts = json.loads((killed[0] / "environment.json").read_text())["starts"]
    assert [(start["step"], start["processes"]) for start in starts] == [(0, 2), (12, 2)]


def test_two_processes_give_the_losses_of_one_which_goes_on_from_their_checkpoint(killed, resumed, tmp_path):
    mesh = parallel.mesh("data=4", devices=jax.devices()[:4])
    run, data = worker.problem(mesh)
    _, history, _ = worker.fit(run, data, tmp_path / "alone", epochs=3)
    np.testing.assert_allclose(resumed[0][0]["losses"], history["train/loss"][:2], rtol=1e-6)
    assert history["train/loss"][1] < 0.8 * history["train/loss"][0]

    for size in (1, 8):
        mesh = parallel.mesh(f"data={size}", devices=jax.devices()[:size])
        template = parallel.place(jax.eval_shape(run.init, jax.random.key(0), data), mesh, parallel.fully_sharded("data"))
        restored = checkpoint.restore(killed[0] / "checkpoints", {"train_state": template}, step=20, partial=True)
        found = digests(restored.tree["train_state"], {})
        names = ("params", "optimizer_state", "key", "position")
        assert restored.step == 20 and [found[name] for name in names] == [resumed[0][0]["digests"][name] for name in names]

    _, continued, _ = worker.fit(run, data, killed[0], epochs=3)
    np.testing.assert_allclose(continued["train/loss"], history["train/loss"], rtol=1e-6)


@pytest.mark.slow
def test_the_death_of_the_first_process_ends_the_other(tmp_path):
    (died, _, _, death), (code, _, errors, end) = job(
        tmp_path, [{"folder": None}], happens=(0, {"number": signal.SIGKILL, "at": 5})
    )
    assert died == -signal.SIGKILL and code not in (0, None) and end - death < HEARTBEAT + 5
    assert "leader" in errors and "task 0" in errors, errors


@pytest.mark.slow
def test_an_error_in_one_process_ends_both(tmp_path):
    (code, _, errors, end), (failed, _, message, error) = job(
        tmp_path, [{"folder": None}], happens=(1, {"error": "of this worker", "at": 5})
    )
    assert failed == 1 and "of this worker" in message and "start: process 1 of 2 ends\n" in message, message
    assert code not in (0, None) and end - error < HEARTBEAT + 5 and NAMED in errors, errors


@pytest.mark.slow
def test_a_signal_to_one_process_stops_both_in_order(tmp_path):
    folder = tmp_path / "run"
    ended = job(tmp_path, [{"folder": str(folder)}], happens=(1, {"number": signal.SIGTERM, "at": 6}))
    assert [code for code, *_ in ended] == [143, 143], ended
    assert [saved.step for saved in checkpoint.steps(folder / "checkpoints")] == [4, 6]


@pytest.mark.slow
def test_a_process_that_is_stopped_ends_the_other(tmp_path):
    """It sends no heartbeats."""
    with pytest.raises(AssertionError, match=r"still running: \[-?\d+, None\]"):
        job(tmp_path, [{"folder": None}], happens=(1, {"number": signal.SIGSTOP, "at": 5}), limit=60)
    assert NAMED in (tmp_path / "0.err").read_text()


@pytest.mark.slow
def test_a_process_that_is_stopped_is_noticed_by_the_watchdog_of_the_other(tmp_path):
    """Where heartbeats would take longer: it shows what it waits for, and ends."""
    runs = [{"folder": None, "watchdog": 10}]
    with pytest.raises(AssertionError, match=rf"still running: \[{EXIT_CODE}, None\]"):
        job(tmp_path, runs, happens=(1, {"number": signal.SIGSTOP, "at": 5}), heartbeat=600, limit=90)
    errors = (tmp_path / "0.err").read_text()
    assert re.search(r"fit: stalled, .* step \d+ has taken 1\d s; the stacks of all threads follow, the process ends\n", errors)
    assert "_drive.py" in errors, errors


@pytest.mark.slow
def test_a_sweep_over_two_processes_gives_the_bits_of_one_which_goes_on_from_its_folder(tmp_path):
    folder = tmp_path / "sweep"
    ended = job(tmp_path, [{"folder": str(folder), "sweep": True}])
    assert [code for code, *_ in ended] == [0, 0], ended
    alone = worker.sweep(None)
    assert [results(out) for _, out, _, _ in ended] == [[alone], [alone]]
    assert worker.sweep(str(folder), epochs=3) == worker.sweep(None, epochs=3)


def test_arguments_that_cannot_be():
    with pytest.raises(ValueError, match=r"start: give address, count and index, or none .* \['count', 'index'\] are missing"):
        parallel.start("127.0.0.1:1234")
    with pytest.raises(ValueError, match=r"start: address must be 'host:port', such as '10\.0\.0\.1:1234', got '10\.0\.0\.1'"):
        parallel.start("10.0.0.1", 2, 0)
    with pytest.raises(ValueError, match="start: index must be an integer from 0 to count - 1 = 1, got 2"):
        parallel.start("10.0.0.1:1234", 2, 2)
    with pytest.raises(ValueError, match="start: heartbeat must be a positive integer, got 0"):
        parallel.start(heartbeat=0)
    with pytest.raises(ValueError, match=r"from_processes: 3 samples can't be split .* 8 parts of 'data'"):
        parallel.from_processes(np.zeros((3, 2)), parallel.mesh("data=8"))


def test_alone_a_script_runs_as_it_is():
    code = "from jdl import parallel; print(*parallel.start(), *parallel.start())"
    found = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert found.stdout.split() == ["0", "1", "0", "1"], found.stderr
