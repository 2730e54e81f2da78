"""Drives compiled programs to the last epoch: chunks of about a second, evaluation, records, checkpoints, callbacks, signals."""

import contextlib
import dataclasses
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jdl.checkpoint import Every, SaveError, _files
from jdl.checkpoint._together import fetched, first, largest
from jdl.loop._about import write_about, write_end
from jdl.loop._checkpoints import Checkpoints, opened
from jdl.loop._feed import Feed, fed
from jdl.loop._journey import Journey, history
from jdl.loop._programs import Programs, abstract, owned
from jdl.loop._progress import Progress
from jdl.loop._signals import caught_signals, stop
from jdl.loop._watchdog import watchdog
from jdl.report import Event
from jdl.report._logs import json_line
from jdl.train import TrainState

_CHUNK = 1.0  # seconds between two looks at the device

History = dict[str, np.ndarray]
Callback = Callable[[Event], None]


def drive(
    init: Callable[[jax.Array, Any], TrainState],
    prepare: Callable[[TrainState, Any], Programs],
    data: Any,
    key: jax.Array,
    *,
    epochs: int,
    folder: str | Path | None,
    checkpoint: Every | None,
    progress: bool,
    callbacks: Sequence[Callback] = (),
    watch: float | None = None,
    config: Mapping[str, Any] | None = None,
) -> tuple[TrainState, History]:
    """What `fit` says that it does; `prepare(train_state, data)` lowers its programs, `config` goes into the folder."""
    folder = None if folder is None else Path(folder)
    with contextlib.ExitStack() as stack:
        feed = stack.enter_context(fed(data, epochs))
        saves = folder is not None and checkpoint is not None
        caught = stack.enter_context(caught_signals(active=saves))
        checkpoints = stack.enter_context(opened(folder, checkpoint))
        bar = stack.enter_context(Progress(epochs, feed.size, shown=progress and first()))
        watched = stack.enter_context(watchdog(watch, saves=saves))
        journey = checkpoints.restore(lambda: abstract(init, key, feed.sample)) or Journey(owned(init(key, feed.sample)))
        stack.enter_context(_located(journey))

        start = time.perf_counter()
        lowered = prepare(journey.train_state, feed.at(journey)[0])
        checkpoints.identify(key, feed.identity, lowered)
        if len(journey.records) > epochs:
            raise ValueError(f"fit: the run in {folder} is {len(journey.records)} epochs long already, got epochs={epochs}")

        def stopped() -> int:
            with watched(f"waiting for all processes after step {journey.step}"):
                return largest(caught() or 0)

        more = lambda: len(journey.records) < epochs and not stopped()
        starts = more()
        write = _opened_folder(folder, journey, {"epochs": epochs} | dict(config or {}), starts=starts)
        compiled = lowered.compile() if starts else None
        compile_seconds = time.perf_counter() - start

        tell = functools.partial(_tell, callbacks, checkpoints, journey, folder)
        save = functools.partial(_save, journey, watched, tell)
        tell("start")
        journey.start(lowered.zeros)
        pace = _Pace()
        while compiled and more():
            if _epoch_ended(compiled, journey, feed, pace, checkpoints.limit(journey.step), bar, watched):
                write(journey.records[-1])
                tell("epoch")
            save(checkpoints.after_chunk)
        result = journey.train_state, history(journey.records) | {"compile_seconds": np.array(compile_seconds)}
        with _carries(result):
            save(checkpoints.last)
            if folder is not None and compiled and first():
                write_end(folder, lowered, compile_seconds)
            tell("end")
        if number := stopped():
            stop(number, f"fit: stopped, {checkpoints.whereabouts(journey)}; the same call goes on from there")
    return result


@contextlib.contextmanager
def _located(journey: Journey) -> Iterator[None]:
    """In a job of several processes, an error says in which one it was, and when."""
    try:
        yield
    except Exception as error:
        if jax.process_count() > 1:
            error.add_note(f"fit: in process {jax.process_index()} of {jax.process_count()}, after step {journey.step}")
        raise


@contextlib.contextmanager
def _carries(result: tuple[TrainState, History]) -> Iterator[None]:
    """What can't be saved, or told of, is not lost: the error has it."""
    try:
        yield
    except Exception as error:
        vars(error)["result"] = result
        raise


def _opened_folder(
    folder: Path | None, journey: Journey, config: Mapping[str, Any], *, starts: bool
) -> Callable[[Mapping[str, Any]], None]:
    """Writes what a folder holds from the beginning; gives what adds a record. The first process does, if there is a folder."""
    if folder is None or not first():
        return lambda record: None
    write_about(folder, config, journey.step, starts=starts)
    add = _files.grow(folder / "metrics.jsonl", b"".join(map(json_line, journey.records)))
    return lambda record: add(json_line(record))


def _tell(callbacks: Sequence[Callback], checkpoints: Checkpoints, journey: Journey, folder: Path | None, kind: str) -> None:
    """Calls the callbacks, in the first process. If one raises, the run is saved where it is, and the error says which it was."""
    if not callbacks:
        return
    error = _called(callbacks, journey, folder, kind) if first() else None
    if not largest(error is not None):
        return
    error = error or RuntimeError(f"fit: a callback raised in the first process at {kind!r}; it says which")
    try:
        checkpoints.last(journey)
    except SaveError as failure:
        error.add_note(f"also: {failure}")
    raise error


def _called(callbacks: Sequence[Callback], journey: Journey, folder: Path | None, kind: str) -> Exception | None:
    """Calls the callbacks; gives the error of the first that raises, with its name."""
    train_state = journey.train_state

    def copy() -> TrainState:
        if journey.train_state is not train_state:
            raise RuntimeError("fit: this train state is gone; call event.train_state() while the callback runs")
        return jax.tree.map(lambda a: a.copy(), train_state)

    event = Event(kind, len(journey.records), journey.step, tuple(journey.records), folder, copy)
    for callback in callbacks:
        try:
            callback(event)
        except Exception as error:
            name = getattr(callback, "__qualname__", repr(callback))
            error.add_note(f"fit: raised by the callback {name} at {kind!r}, epoch {event.epoch}, step {event.step}")
            return error
    return None


def _save(journey: Journey, watched: Callable, tell: Callable[[str], None], when: Callable[[Journey], bool]) -> None:
    """Saves, if `when` does, and tells the callbacks."""
    with watched(f"saving step {journey.step}"):
        saved = when(journey)
    if saved:
        tell("checkpoint")


@dataclasses.dataclass
class _Pace:
    """How many steps take about a second, learnt from chunk to chunk."""

    limit: int = 1

    def learn(self, steps: int, seconds: float) -> None:
        self.limit = max(1, min(10 * self.limit, int(steps * _CHUNK / seconds)))


def _epoch_ended(
    compiled: Any, journey: Journey, feed: Feed, pace: _Pace, most: int, bar: Progress, watched: Callable[[str], Any]
) -> bool:
    """Advances by some steps; says whether that ended an epoch, whose record is made then."""
    advance, measure = compiled
    with watched(f"a chunk of steps from step {journey.step}"):
        _chunk(advance, journey, feed, pace, most)
    if not journey.epoch_is_over:
        bar.show(len(journey.records) + journey.position / feed.size)
        return False
    with watched(f"evaluation after step {journey.step}"):
        journey.finish_epoch(jax.tree.map(fetched, measure(journey.train_state)))
    bar.show(len(journey.records), journey.records[-1])
    return True


def _chunk(advance: Callable, journey: Journey, feed: Feed, pace: _Pace, most: int) -> None:
    """Advances by some steps, to the end of the epoch at most."""
    begin = time.perf_counter()
    data, left = feed.at(journey)
    limit = np.int32(min(largest(pace.limit), most, left))
    journey.train_state, journey.sums, look = advance(journey.train_state, journey.sums, data, limit)
    over, taken, journey.position, journey.step = np.asarray(look).tolist()
    pace.learn(taken, time.perf_counter() - begin)
    journey.epoch_is_over, journey.steps = bool(over), journey.steps + taken
