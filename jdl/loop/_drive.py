"""Drives compiled programs to the last epoch: chunks of about a second, evaluation, records, checkpoints, signals."""

import contextlib
import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl.checkpoint import Every, SaveError
from jdl.loop._checkpoints import opened
from jdl.loop._journey import Journey, history
from jdl.loop._lines import metric_lines
from jdl.loop._programs import Programs, abstract, owned
from jdl.loop._progress import Progress
from jdl.loop._signals import caught_signals, stop
from jdl.train import TrainState
from jdl.train._run import rows

_CHUNK = 1.0  # seconds between two looks at the device

History = dict[str, np.ndarray]


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
) -> tuple[TrainState, History]:
    """What `fit` says that it does; `prepare(train_state, data)` lowers its programs."""
    size = rows(data)
    data = jax.tree.map(jnp.asarray, data)
    folder = None if folder is None else Path(folder)
    with contextlib.ExitStack() as stack:
        caught = stack.enter_context(caught_signals(active=folder is not None and checkpoint is not None))
        checkpoints = stack.enter_context(opened(folder, checkpoint))
        bar = stack.enter_context(Progress(epochs, shown=progress))
        journey = checkpoints.restore(lambda: abstract(init, key, data)) or Journey(owned(init(key, data)))

        start = time.perf_counter()
        lowered = prepare(journey.train_state, data)
        checkpoints.identify(key, data, lowered)
        if len(journey.records) > epochs:
            raise ValueError(f"fit: the run in {folder} is {len(journey.records)} epochs long already, got epochs={epochs}")
        write = stack.enter_context(metric_lines(folder and folder / "metrics.jsonl", journey.records))
        more = lambda: len(journey.records) < epochs and caught() is None
        compiled = lowered.compile() if more() else None
        compile_seconds = time.perf_counter() - start

        journey.start(lowered.zeros)
        pace = _Pace()
        while compiled and more():
            advance, measure = compiled
            position = _chunk(advance, journey, data, pace, checkpoints.limit(journey.step))
            bar.show(len(journey.records) + position / size)
            if journey.epoch_is_over:
                journey.finish_epoch(jax.device_get(measure(journey.train_state)))
                bar.show(len(journey.records), journey.records[-1])
                write(journey.records[-1])
            checkpoints.after_chunk(journey)
        result = journey.train_state, history(journey.records) | {"compile_seconds": np.array(compile_seconds)}
        try:
            checkpoints.last(journey)
        except SaveError as error:
            error.result = result
            raise
        if number := caught():
            stop(number, f"fit: stopped, {checkpoints.whereabouts(journey)}; the same call goes on from there")
    return result


@dataclasses.dataclass
class _Pace:
    """How many steps take about a second, learnt from chunk to chunk."""

    limit: int = 1

    def learn(self, steps: int, seconds: float) -> None:
        self.limit = max(1, min(10 * self.limit, int(steps * _CHUNK / seconds)))


def _chunk(advance: Callable, journey: Journey, data: Any, pace: _Pace, most: int) -> int:
    """Advances by some steps, to the end of the epoch at most; returns the position in it."""
    begin = time.perf_counter()
    limit = jnp.int32(min(pace.limit, most))
    journey.train_state, journey.sums, look = advance(
        journey.train_state, journey.sums, data, jnp.int32(len(journey.records)), limit
    )
    journey.epoch_is_over, taken, position, step = jax.device_get(look)
    pace.learn(int(taken), time.perf_counter() - begin)
    journey.steps, journey.step = journey.steps + int(taken), int(step)
    return 0 if journey.epoch_is_over else position
