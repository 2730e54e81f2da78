"""A training run in a process of its own, to be killed, signalled and starved; the fixture `start` starts it.

It prints a line of JSON at the end: digests of all that a run decides. What is to happen to it, and where, is in its arguments,
such as `{"folder": "runs/x", "epochs": 10, ...}`:

- `kill`: SIGKILL when that many calls to the file system were made by a save (negative: right after that call).
- `errno`: that error instead, at `fail`, a list of such calls; or at all of them.
- `kill_step`: SIGKILL at the first look at the device at this step or later.
- `stall`: it hangs at that step, under a `watchdog` of that many seconds.
- `signal`, `phase`: that signal to itself, in "init", "compile", "train" (from step `from_step` on), "evaluate" or "save"; and once
  more `again` seconds later.
"""

import contextlib
import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

CALLS = ("mkdir", "rename", "replace", "rmdir", "unlink", "write", "fsync")


class Faults:
    """Counts the calls to the file system that saves make, and lets something happen at one of them."""

    def __init__(self, *, kill: int = 0, fail: list[int] | None = None, error: str = "ENOSPC", slow: float = 0.0, first: int = 1):
        self.kill, self.fail, self.error, self.slow = kill, fail or [], getattr(errno, error), slow
        self.first, self.saves, self.calls = first, 0, 0  # faults begin with this save

    def install(self, put=setattr) -> None:
        from jdl.checkpoint import _store

        for name in CALLS:
            put(os, name, self.around(getattr(os, name)))
        put(_store, "_save", self.around(_store._save))  # Orbax's own calls are not Python's
        write = _store.write

        def counted(*args):
            self.saves += 1
            self.calls = 0
            time.sleep(self.slow)
            return write(*args)

        put(_store, "write", counted)

    def around(self, call):
        def faulty(*args, **kwargs):
            if self.saves < self.first or threading.current_thread().name != "jdl checkpoint":
                return call(*args, **kwargs)
            self.calls += 1
            now = self.calls
            if self.kill == now:
                os.kill(os.getpid(), signal.SIGKILL)
            if now in self.fail:
                raise OSError(self.error, os.strerror(self.error))
            result = call(*args, **kwargs)
            if self.kill == -now:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return faulty


def tree(step: int) -> dict:
    """What is saved at a step of the sweep."""
    rng = np.random.default_rng(step)
    return {"kernel": rng.normal(size=(64, 32)).astype(np.float32), "step": np.int32(step), "empty": np.zeros((0, 3))}


def forked(job) -> tuple[int, str]:
    """Runs a job in a fork, before JAX or Orbax have threads; returns the wait status, and what the job returned."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reader)
        code = 1
        with contextlib.suppress(BaseException):
            text = job()
            os.write(writer, text.encode())
            code = 0
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        text = pipe.read()
    return os.waitpid(child, 0)[1], text


def sweep(folder: Path, points: list[float], *, timed: bool = False) -> None:
    """For each point: saves steps 1, 2 and 3, keeping two, is killed there in the third save, restores, and saves again.

    Timed points are seconds from the start of the third save. Prints a line for each: the point, whether it was killed, the step.
    """
    import orbax.checkpoint  # noqa: F401 before forking

    from jdl import checkpoint

    def save(target: Path, point: float) -> str:
        faults = Faults(kill=0 if timed else int(point), first=3)
        faults.install()
        with checkpoint.Saver(target, checkpoint.keep(2)) as saver:
            for step in (1, 2, 3):
                saver.wait()
                if timed and step == 3:
                    signal.signal(signal.SIGALRM, signal.SIG_DFL)
                    threading.Thread(target=lambda: (time.sleep(point), os.kill(os.getpid(), signal.SIGKILL)), daemon=True).start()
                saver.save(step, tree(step))
        return str(faults.calls)

    def load(target: Path) -> str:
        import warnings

        warnings.simplefilter("ignore", checkpoint.RestoreWarning)
        restored = checkpoint.restore(target, tree(0))
        for name, value in tree(restored.step).items():
            assert np.asarray(restored.tree[name]).tobytes() == np.asarray(value).tobytes()
        with checkpoint.Saver(target) as saver:  # and the next run can save
            saver.save(9, tree(9))
        left = [path.name for path in target.iterdir() if path.name.startswith("partial")]
        return f"{restored.step}{' left: ' + str(left) if left else ''}"

    for i, point in enumerate(points):
        status, calls = forked(lambda point=point, i=i: save(folder / str(i), point))
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        status, restored = forked(lambda i=i: load(folder / str(i)))
        print(json.dumps({"point": point, "killed": killed, "calls": calls, "restored": restored, "status": status}), flush=True)


def digests(train_state, history: dict) -> dict[str, str]:
    """SHA-256 of the bytes of all that a run decides; times are not among it."""
    import jax

    of = lambda tree: hashlib.sha256(b"".join(np.asarray(a).tobytes() for a in jax.tree.leaves(tree))).hexdigest()
    parts = {name: of(getattr(train_state, name)) for name in ("params", "state", "optimizer_state", "step", "epoch", "position")}
    parts |= {"averages": of(train_state.averages), "key": of(jax.random.key_data(train_state.key))}
    return parts | {name: of(value) for name, value in history.items() if "seconds" not in name}


def main(arguments: dict) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell has ignored by what it runs in the background
    import jax
    import jax.numpy as jnp
    import optax

    import jdl
    from jdl import checkpoint, losses, report, train
    from jdl import layers as L
    from jdl.loop import _drive

    jax.config.update("jax_compilation_cache_dir", arguments["cache"])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_disable_most_optimizations", not arguments.get("optimize", False))
    _drive._CHUNK = arguments.get("chunk", 0)  # by default the host looks after every step

    rng = np.random.default_rng(0)
    data = rng.normal(size=(85, 4)).astype(np.float32), rng.normal(size=(85, 1)).astype(np.float32)
    model = L.chain(L.dense(arguments.get("width", 8)), L.batch_norm(), jax.nn.relu, L.dropout(0.2), L.dense(1))
    objective = train.objective(model, losses.mean_squared_error)
    step = train.step(objective, optax.adam(optax.cosine_decay_schedule(0.01, 200)), gradient=train.accumulate(2))
    step = train.augment(step, lambda key, batch: (batch[0] + 0.1 * jax.random.normal(key, batch[0].shape), batch[1]))
    run = train.run(train.average(step, 0.9), batch_size=arguments.get("batch_size", 8))
    evaluate = train.evaluate(objective, data)

    Faults(**arguments.get("faults", {})).install()
    disturb(arguments)
    plan = checkpoint.every(**arguments.get("every", {"steps": 4}), keep=checkpoint.keep(**arguments.get("keep", {})))
    key = jax.random.key(arguments.get("key", 0))
    train_state, history = jdl.fit(
        run,
        jax.tree.map(jnp.asarray, data),
        key,
        epochs=arguments["epochs"],
        evaluate=evaluate,
        folder=arguments["folder"],
        checkpoint=plan,
        callbacks=[report.csv_log("metrics.csv"), report.tensorboard_log("tensorboard")] if "logs" in arguments else [],
        watchdog=arguments.get("watchdog"),
        progress=False,
    )
    print(json.dumps(digests(train_state, history)), flush=True)


def disturb(arguments: dict) -> None:
    """Has signals sent where the arguments say."""
    from jdl.checkpoint import _store
    from jdl.loop import _drive, _fit, _programs

    number, phase, at = arguments.get("signal", 0), arguments.get("phase"), arguments.get("kill_step", 0)
    sent = []

    def before(place: str, call):
        def disturbed(*args, **kwargs):
            if place == phase and not sent:
                sent.append(place)
                os.kill(os.getpid(), number)
                if "again" in arguments:
                    threading.Timer(arguments["again"], os.kill, (os.getpid(), number)).start()
            return call(*args, **kwargs)

        return disturbed

    chunk, lower = _drive._chunk, _fit.programs

    def watched(advance, journey, *rest):
        if journey.step >= arguments.get("stall", float("inf")):
            threading.Event().wait()
        found = chunk(before("train", advance) if journey.step >= arguments.get("from_step", 0) else advance, journey, *rest)
        if at and journey.step >= at:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    def lowered(*args, **kwargs):
        found = lower(*args, **kwargs)

        def compile():
            advance, measure = before("compile", found.compile)()
            return advance, before("evaluate", measure)

        return found._replace(compile=compile)

    _drive._chunk, _fit.programs, _drive.owned = watched, lowered, before("init", _programs.owned)
    _store._save = before("save", _store._save)


@contextlib.contextmanager
def started():
    """Gives `start(**arguments)`, which says what became of such a run: its exit code, what it printed, and its errors.

    One process imports all, and each run is a fork of it, since to import takes longer than to train; they share what they compile.
    """
    command = [sys.executable, "-W", "error", __file__]
    with (
        tempfile.TemporaryDirectory() as cache,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as forks,
    ):

        def start(**arguments) -> subprocess.CompletedProcess:
            with tempfile.TemporaryDirectory() as place:
                print(json.dumps([place, {"cache": cache} | arguments]), file=forks.stdin, flush=True)
                code = int(forks.stdout.readline())
                texts = [(Path(place) / name).read_text() for name in ("out", "err")]
            return subprocess.CompletedProcess([arguments], code, *texts)

        yield start


def fork_for_each_line() -> dict:
    """Forks for each line of standard input, and prints the exit codes; returns, in a fork only, the arguments of its run."""
    import jax  # noqa: F401

    import jdl  # noqa: F401
    from jdl import checkpoint, losses, report, train  # noqa: F401
    from jdl import layers as L  # noqa: F401

    for line in iter(sys.stdin.readline, ""):
        place, arguments = json.loads(line)
        if (child := os.fork()) == 0:
            for number, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(Path(place) / name, os.O_WRONLY | os.O_CREAT, 0o600), number)
            signal.alarm(500)  # which ends one that hangs
            return arguments
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
    sys.exit()


if __name__ == "__main__":
    given = json.loads(sys.argv[1]) if sys.argv[1:] else fork_for_each_line()
    if "points" in given:
        sweep(Path(given["folder"]), given["points"], timed=given.get("timed", False))
    else:
        main(given)
