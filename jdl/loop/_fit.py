"""The Python around a run."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax

from jdl import train
from jdl.checkpoint import Every, every
from jdl.functional import _check
from jdl.loop._described import described
from jdl.loop._drive import Callback, History, drive
from jdl.loop._feed import HostData
from jdl.loop._programs import of_members, programs
from jdl.train import Run, TrainState


def fit(
    run: Run,
    data: Any,
    key: jax.Array,
    *,
    epochs: int,
    evaluate: Callable[[TrainState], dict[str, jax.Array]] | None = None,
    folder: str | Path | None = None,
    checkpoint: Every | None = every(seconds=300),
    callbacks: Sequence[Callback] = (),
    watchdog: float | None = None,
    progress: bool = True,
) -> tuple[TrainState, History]:
    """Trains: one run for one key, a population in one program for an array of keys.

    Everything is compiled once, before the first step. The train state stays on the device and its buffers are reused (donated)
    from chunk to chunk; a chunk ends with the epoch, or after about a second.

    With a folder, a run survives whatever ends it: the same call goes on from the newest good checkpoint, to the same bits as if
    nothing had happened (on the same devices and versions; on other devices, or with another mesh or rules of `parallel.over`, up
    to the order of sums). SIGTERM and SIGINT end it in order: it saves at the step it is at and
    raises SystemExit with code 143, or KeyboardInterrupt; while a program is compiled or runs, as soon as that returns. A second
    signal ends it at once. When a checkpoint can't be written, such as on a full disk, training goes on with a warning, and the
    next one is tried when it is due.

    In a job of several processes, after `parallel.start`, all of them make the same call, with a run over the devices of all
    (`parallel.over`) and a folder that all see. The first writes it, calls the callbacks and shows progress.

    Args:
      run: what to do, from `train.run`.
      data: a tree of arrays with one first axis, that of samples, put on the device once; or, for one key, a `jdl.HostData`.
      key: a typed key, or an array of them `(members,)`.
      epochs: passes over the data; a run that is over goes on if there are more than before.
      evaluate: from a train state (of one member) to named scalars, after every epoch; see `train.evaluate`.
      folder: where to write `metrics.jsonl`, a line for every epoch; `config.json`, what this was called with; `environment.json`,
        versions, devices, flags and git commit at each start; `checkpoints/`; and `run.json`, which says whose they are. Made if it
        isn't there.
      checkpoint: when to save in the folder and what to keep; see `checkpoint.every`. None saves nothing. A checkpoint has the
        number of its step, or the next one that is free where steps do nothing, such as those after an early stop.
      callbacks: functions `(event) -> None`, called in this order at the start, after each epoch and each checkpoint, and at the
        end; see `report.Event`, `report.csv_log`, `report.tensorboard_log`. If one raises, the run is saved where it is, and the
        error names the callback; at the end, its `result` is what would have been returned.
      watchdog: seconds after which a chunk of steps, an evaluation or a save is taken for stalled: the stacks of all threads are
        printed and the process ends with code 124, for whatever started it to start it again. Without, they are printed once after
        ten minutes, or a hundred times as long as ever before, and nothing ends.
      progress: whether to show a progress bar; a line now and then where the output is not a terminal.

    Returns:
      The final train state, and the history: `epoch`, `step`, `seconds` (since the first step, without breaks), `train/...` (means
      over the epoch) and `evaluate/...`, each with a first axis of epochs and, for a population, a second of members; and
      `compile_seconds`.

    Raises:
      TypeError: if `key` is not typed, or a callback not callable.
      ValueError: if `epochs` or `watchdog` is not positive, or fewer epochs than are over, or the data don't fit the run;
        or they are `jdl.HostData`, and there are several keys.
      FileExistsError: if the folder holds another run: another key, model or batch size, other data or metrics; nothing is
        overwritten.
      checkpoint.FolderInUse: if somebody else writes there.
      checkpoint.Damaged: if there are checkpoints and none is good.
      checkpoint.SaveError: if the last checkpoint could not be written; its `result` is what would have been returned.

    Example:
      >>> import jax, jax.numpy as jnp, optax, jdl
      >>> from jdl import layers as L, losses, train
      >>> data = jnp.linspace(-1, 1, 64).reshape(-1, 1), jnp.linspace(1, 3, 64).reshape(-1, 1)
      >>> objective = train.objective(L.dense(1), losses.mean_squared_error)
      >>> run = train.run(train.step(objective, optax.adam(0.1)), batch_size=16)
      >>> keys = jax.random.split(jax.random.key(0), 3)
      >>> train_state, history = jdl.fit(run, data, keys, epochs=50, evaluate=train.evaluate(objective, data), progress=False)
      >>> history["evaluate/loss"].shape, bool(history["evaluate/loss"][-1].max() < 1e-3)
      ((50, 3), True)
    """
    _check.positive("fit", epochs=epochs)
    if not _check.is_key(key) or key.ndim > 1 or key.size == 0:
        raise TypeError(f"fit: key must be jax.random.key(0) or an array of such keys, got {_check.describe(key)}")
    if key.ndim and isinstance(data, HostData):
        raise ValueError("fit: HostData is read in the order of one key, got several; each member has an order of its own")
    if watchdog is not None:
        _check.above_zero("fit", watchdog=watchdog)
    if wrong := [callback for callback in callbacks if not callable(callback)]:
        raise TypeError(f"fit: callbacks must be functions of an event, got {wrong[0]!r}")
    config = {"run": run, "data": data, "key": key, "evaluate": evaluate, "checkpoint": checkpoint}
    config = {name: described(value) for name, value in config.items()} if folder is not None else {}
    if key.ndim:
        run, evaluate = train.population(run), evaluate and of_members(evaluate)
    prepare = functools.partial(programs, run, evaluate)
    options = {"epochs": epochs, "folder": folder, "checkpoint": checkpoint, "progress": progress}
    return drive(run.init, prepare, data, key, **options, callbacks=callbacks, watch=watchdog, config=config)
