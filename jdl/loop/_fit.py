"""The Python around a run: compiles it, drives it in chunks of about a second, and tells what happens."""

import dataclasses
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl import train
from jdl.functional import _check
from jdl.loop._lines import metric_lines
from jdl.loop._progress import Progress
from jdl.train import Run, TrainState
from jdl.train._run import rows

_CHUNK = 1.0  # seconds between two looks at the device

History = dict[str, np.ndarray]


def fit(
    run: Run,
    data: Any,
    key: jax.Array,
    *,
    epochs: int,
    evaluate: Callable[[TrainState], dict[str, jax.Array]] | None = None,
    folder: str | Path | None = None,
    progress: bool = True,
) -> tuple[TrainState, History]:
    """Trains: one run for one key, a population in one program for an array of keys.

    Everything is compiled once, before the first step. The train state stays on the device and its buffers are reused (donated)
    from chunk to chunk; a chunk ends with the epoch, or after about a second.

    Args:
      run: what to do, from `train.run`.
      data: a tree of arrays with one first axis, that of samples; put on the device once.
      key: a typed key, or an array of them `(members,)`.
      epochs: passes over the data.
      evaluate: from a train state (of one member) to named scalars, after every epoch; see `train.evaluate`.
      folder: where to write `metrics.jsonl`, a line for every epoch; made if it isn't there.
      progress: whether to show a progress bar.

    Returns:
      The final train state, and the history: `epoch`, `step`, `seconds` (since the first step), `train/...` (means over the epoch)
      and `evaluate/...`, each with a first axis of epochs and, for a population, a second of members; and `compile_seconds`.

    Raises:
      TypeError: if `key` is not typed.
      ValueError: if `epochs` is not positive, or the data don't fit the run.
      FileExistsError: if the folder holds metrics already; nothing is overwritten.

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
    size = rows(data)
    data = jax.tree.map(jnp.asarray, data)
    if key.ndim:
        run = train.population(run)
    train_state = _unshared(run.init(key, data))
    with metric_lines(folder) as write, Progress(epochs, shown=progress) as bar:
        start = time.perf_counter()
        advance, measure = _compile(run, evaluate, train_state, data, mapped=bool(key.ndim))
        compile_seconds = time.perf_counter() - start

        records: list[dict[str, Any]] = []
        start, pace = time.perf_counter(), _Pace()
        for epoch in range(epochs):
            show = lambda position, epoch=epoch: bar.show(epoch + position / size)
            train_state, means = _epoch(advance, train_state, data, epoch, pace, show)
            step = np.max(jax.device_get(train_state.step))
            record = {"epoch": epoch + 1, "step": step, "seconds": time.perf_counter() - start} | means
            record |= {f"evaluate/{name}": value for name, value in jax.device_get(measure(train_state)).items()}
            records.append(record)
            bar.show(epoch + 1, record)
            write(record)
    history = {name: np.array([record[name] for record in records]) for name in records[0]}
    return train_state, history | {"compile_seconds": np.array(compile_seconds)}


def _compile(run: Run, evaluate: Any, train_state: TrainState, data: Any, *, mapped: bool) -> tuple[Callable, Callable]:
    """The program that advances and the one that evaluates, before either is needed."""
    advance = jax.jit(_until_epoch_ends(run), donate_argnums=0).lower(train_state, data, 0, 1).compile()
    if evaluate is None:
        return advance, lambda train_state: {}
    evaluate = evaluate if isinstance(evaluate, jax.tree_util.Partial) else jax.tree_util.Partial(evaluate)
    measure = lambda evaluate, train_state: evaluate(train_state)
    measure = jax.jit(jax.vmap(measure, (None, 0)) if mapped else measure).lower(evaluate, train_state).compile()
    return advance, functools.partial(measure, evaluate)


@dataclasses.dataclass
class _Pace:
    """How many steps take about a second, learnt from chunk to chunk."""

    limit: int = 1

    def learn(self, steps: int, seconds: float) -> None:
        self.limit = max(1, min(10 * self.limit, int(steps * _CHUNK / seconds)))


def _epoch(advance: Callable, train_state: TrainState, data: Any, epoch: int, pace: _Pace, show: Callable):
    """Advances to the end of an epoch, in chunks; returns the train state and the means of the epoch's metrics."""
    sums: dict[str, Any] = {}
    steps, done = 0, False
    while not done:
        begin = time.perf_counter()
        train_state, chunk = advance(train_state, data, jnp.int32(epoch), jnp.int32(pace.limit))
        done, taken, position, total = jax.device_get(chunk)
        pace.learn(int(taken), time.perf_counter() - begin)
        sums = jax.tree.map(np.add, sums, total) if sums else total
        steps += int(taken)
        if not done:
            show(position)
    return train_state, {f"train/{name}": value / steps for name, value in sums.items()}


def _until_epoch_ends(run: Run) -> Callable[..., tuple[TrainState, Any]]:
    """A program that takes steps until the epoch is over, at most `limit`: one compilation, whatever the length of a chunk."""

    def advance(train_state: TrainState, data: Any, epoch: Any, limit: Any):
        def one(carry):
            train_state, steps, sums = carry
            train_state, metrics = run.advance(train_state, data, 1)
            return train_state, steps + 1, jax.tree.map(lambda s, m: s + m.sum(-1), sums, metrics)

        def unfinished(carry):
            train_state, steps, _ = carry
            return (train_state.epoch.max() == epoch) & (steps < limit)

        shapes = jax.eval_shape(lambda train_state: run.advance(train_state, data, 1)[1], train_state)
        sums = jax.tree.map(lambda m: jnp.zeros(m.shape[:-1], m.dtype), shapes)
        train_state, steps, sums = jax.lax.while_loop(unfinished, one, (train_state, jnp.int32(0), sums))
        return train_state, (train_state.epoch.max() > epoch, steps, train_state.position.max(), sums)

    return advance


def _unshared(train_state: TrainState) -> TrainState:
    """Copies what appears twice (some optimizers keep the very params), since a buffer can be donated only once."""
    seen: set[int] = set()

    def own(a: jax.Array) -> jax.Array:
        if id(a) in seen:
            return a.copy()
        seen.add(id(a))
        return a

    return jax.tree.map(own, train_state)
