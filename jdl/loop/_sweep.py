"""Many settings and seeds as one population."""

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jdl import parallel, train
from jdl.checkpoint import Every, every
from jdl.checkpoint._together import fetched
from jdl.functional import _check
from jdl.loop._about import block_of, write_sweep
from jdl.loop._blocks import block_size, free_bytes
from jdl.loop._described import described
from jdl.loop._drive import Callback, History, drive
from jdl.loop._feed import HostData
from jdl.loop._members import OWN, by_device, lies_on_several, like_was, put, spread
from jdl.loop._programs import Programs, bytes_planned, of_members, programs
from jdl.metrics import Comparison, interval, paired_t_test
from jdl.train import Run, TrainState
from jdl.train._state import member


class Sweep(NamedTuple):
    """What a sweep found.

    Attributes:
      settings: hyperparameters by name, a list with an entry for each setting.
      history: as that of `fit`, with axes of epochs, settings and seeds.
      groups: settings that were trained in one program, and their train states with axes of settings and seeds.
    """

    settings: dict[str, list[Any]]
    history: History
    groups: list[tuple[list[int], TrainState]]

    def member(self, setting: int, seed: int | slice) -> TrainState:
        """The final train state of one member; with `slice(None)`, of all seeds of a setting, with a first axis of seeds."""
        for indices, train_states in self.groups:
            if setting in indices:
                place = indices.index(setting)
                return member(_one(train_states, place), seed) if isinstance(seed, slice) else _one(train_states, place, seed)
        raise IndexError(f"sweep: there are {sum(len(indices) for indices, _ in self.groups)} settings, got {setting}")

    def table(self, *, confidence: float = 0.95) -> dict[str, Any]:
        """Hyperparameters and, of each metric's last value, mean over seeds, deviation, and the ends of an interval of the mean.

        A dict of columns with a row for each setting, as `pandas.DataFrame` takes it; metrics that are vectors are left out.
        """
        columns: dict[str, Any] = dict(self.settings)
        for name, values in self.history.items():
            if "/" in name and values.ndim == 3:
                found = interval(values[-1], confidence=confidence)
                columns |= {f"{name} {field}": value for field, value in found._asdict().items()}
        return columns

    def compare(
        self, first: int, second: int, metric: str, *, test: Callable[[Any, Any], Comparison] = paired_t_test
    ) -> Comparison:
        """Whether one setting's last value of a metric differs from another's, in pairs: both were trained with the same seeds.

        Args:
          first: a setting, by its place.
          second: another.
          metric: a name in the history.
          test: from the values of the first and of the second over seeds; any of the paired tests of `jdl.metrics`.

        Returns:
          A Comparison: the first less the second, with an interval, and a p-value. With many comparisons, some come out small by
          chance: multiply p-values by how many there are (Bonferroni).

        Raises:
          KeyError: if there is no such metric.
          IndexError: if there is no such setting.
          ValueError: if there is only one seed.
        """
        if metric not in self.history or "/" not in metric:
            raise KeyError(f"sweep: metrics are {sorted(name for name in self.history if '/' in name)}, got {metric!r}")
        last = self.history[metric][-1]
        if wrong := [setting for setting in (first, second) if not 0 <= setting < len(last)]:
            raise IndexError(f"sweep: there are {len(last)} settings, got {wrong[0]}")
        return test(last[first], last[second])


def sweep(
    make_run: Callable[..., Run],
    data: Any,
    *,
    epochs: int,
    seeds: int | jax.Array = 1,
    hyperparameters: Mapping[str, Any] | None = None,
    evaluate: Callable[..., dict[str, jax.Array]] | None = None,
    folder: str | Path | None = None,
    checkpoint: Every | None = every(seconds=300),
    block: int | None = None,
    exact: bool = False,
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
) -> Sweep:
    """Trains every setting with every seed, as many at once as fit in memory, in one program over all devices.

    A member's result depends on its setting and seed alone, not on the others, the blocks, its place among them, or the number of
    devices; one that diverges is NaN by itself. All settings have the same seeds, so that they can be compared in pairs.

    Each member is whole on one device, and nothing is sent between them; where there are few members, on as few devices as have at
    least two each. Members that lie on several devices themselves, as by `parallel.over`, stay there. In a job of several
    processes, after `parallel.start`, all of them make the same call, with all of the data, and get all of the result.

    Numbers are traced: they may be whatever a run computes with, such as learning rates, strengths and rates. What decides shapes
    or the program itself is given as a list of Python integers, strings, or other objects: settings that are alike in these are
    trained together, one group after the other.

    Args:
      make_run: from hyperparameters, by keyword, to a run.
      data: a tree of arrays with one first axis, that of samples.
      epochs: passes over the data.
      seeds: how many, or typed keys `(seeds,)`.
      hyperparameters: by name, an entry for each setting; see `jdl.search`. One setting without any if not given.
      evaluate: from a train state (of one member) to named scalars, after every epoch, as in `fit`; hyperparameters that are not
        traced are given by keyword, the others are in `train_state.hyperparameters`.
      folder: where each block has a folder of its own, as that of `fit`, from which the same call goes on.
      checkpoint: as in `fit`.
      block: how many members to train at once, at least 2, over as many devices as can have equal parts of at least 2; by default
        as many as fit in the memory of all devices, by what XLA plans, or as many as when the sweep in the folder was begun.
      exact: whether members are computed one after the other, each to the bit as alone; see `train.population`.
      callbacks: as in `fit`, told of each block, one after the other.
      progress: whether to show a progress bar for each block.

    Returns:
      A Sweep.

    Raises:
      ValueError: if hyperparameters differ in length, or a size is not positive, or a block begun in a folder can't be split over
        the processes.
      TypeError: if data are `jdl.HostData`, or `seeds` is neither a number nor typed keys, or `evaluate` does not take what it is
        given by keyword.
      MemoryError: if not even two members fit.
      FileExistsError: if the folder holds another sweep: other hyperparameters, seeds or blocks, or what `fit` names; nothing
        is overwritten.

    Example:
      >>> import jax.numpy as jnp, optax, jdl
      >>> from jdl import layers as L, losses, search, train
      >>> data = jnp.linspace(-1, 1, 64).reshape(-1, 1), jnp.linspace(1, 3, 64).reshape(-1, 1)
      >>> def make_run(learning_rate):
      ...     step = train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.adam(learning_rate))
      ...     return train.run(step, batch_size=16)
      >>> found = jdl.sweep(
      ...     make_run, data, epochs=20, seeds=3, hyperparameters=search.grid(learning_rate=[0.1, 1e-4]), progress=False
      ... )
      >>> found.history["train/loss"].shape, bool(found.table()["train/loss mean"].argmin() == 0)
      ((20, 2, 3), True)
    """
    _check.positive("sweep", epochs=epochs, **({} if block is None else {"block": block}))
    if isinstance(data, HostData):
        raise TypeError("sweep: data must be arrays, got HostData, which is read in the order of one key; use fit for each")
    keys = _keys(seeds)
    settings, size = alike_in_length("sweep", hyperparameters or {})
    groups, histories, alike = [], [], _alike(settings, size)
    if folder is not None:
        write_sweep(Path(folder), settings, len(keys), alike)
    told = {"make_run": make_run, "data": data, "hyperparameters": settings, "seeds": seeds, "evaluate": evaluate}
    told |= {"checkpoint": checkpoint}
    config = {name: described(value) for name, value in told.items()} if folder is not None else {}
    for number, indices in enumerate(alike):
        fixed = {name: values[indices[0]] for name, values in settings.items() if not _traced(values)}
        varied = {name: np.asarray([values[i] for i in indices]) for name, values in settings.items() if _traced(values)}
        group = _Group(functools.partial(make_run, **fixed), varied, keys, len(indices), exact)
        measure = None if evaluate is None else of_members(_given(evaluate, fixed), exact=exact)
        place = None if folder is None else Path(folder) / f"group-{number}"
        options = {"epochs": epochs, "checkpoint": checkpoint, "callbacks": callbacks, "progress": progress, "config": config}
        train_states, history = group.trained(data, measure, block, place, **options)
        groups.append((indices, train_states))
        histories.append(history)
    order = np.argsort([i for indices, _ in groups for i in indices])
    return Sweep(settings, _joined(histories, order), groups)


class _Group(NamedTuple):
    """Settings of one program: `varied` hyperparameters differ between them, arrays with an entry for each."""

    make: Callable[..., Run]
    varied: dict[str, np.ndarray]
    keys: jax.Array
    settings: int
    exact: bool

    def trained(
        self, data: Any, evaluate: Any, block: int | None, folder: Path | None, **options: Any
    ) -> tuple[TrainState, History]:
        """Train states `(settings, seeds, ...)`, and the history, `(epochs, settings, seeds)`, of all members, in blocks."""
        members = self.settings * len(self.keys)
        over = spread(members, alone=self.lies_on_several(data))
        init = functools.cache(functools.partial(self.init, data))
        on = functools.cache(lambda mesh: put((data, evaluate), mesh))

        @functools.cache
        def lowered(size: int) -> Programs:
            mesh, own = over.mesh(size), self.own(np.arange(size) % members)
            keys = jax.ShapeDtypeStruct((size,), self.keys.dtype)
            abstract = jax.eval_shape(init(mesh), keys, own)
            abstract = parallel.place(abstract, mesh, OWN) if mesh else abstract
            given, measure = on(mesh)
            return programs(train.population(self.make, own, exact=self.exact), measure, abstract, given, mesh)

        def default() -> int:
            room = free_bytes(on(over.mesh(over.filled(over.share)))[0], over.counts[-1] // over.counts[0])
            return over.filled(block_size(over.share, lambda each: bytes_planned(lowered(over.filled(each))), room))

        size = block_of(folder, over.asked(block) if block else None, default)
        mesh, parts = over.mesh(size), []
        for start in range(0, members, size):
            chosen = np.minimum(np.arange(start, start + size), members - 1)  # the last block is filled up with its last member
            keys, own = put((self.keys[chosen % len(self.keys)], self.own(chosen)), mesh, OWN)
            place = folder and folder / f"members-{start}"
            prepared = lowered(size)._replace(hyperparameters=own)
            make, prepare = lambda keys, _, own=own: init(mesh)(keys, own), lambda *_, prepared=prepared: prepared
            train_state, history = drive(make, prepare, on(mesh)[0], keys, folder=place, **options)
            parts.append((jax.tree.map(fetched, train_state), history, min(size, members - start)))
        shape = self.settings, len(self.keys)
        join = lambda like, *arrays: like_was(like, np.concatenate(arrays)[:members].reshape(*shape, *arrays[0].shape[1:]))
        train_states = jax.tree.map(join, train_state, *(part[0] for part in parts))
        return train_states, _over_blocks([(history, kept) for _, history, kept in parts], shape)

    def lies_on_several(self, data: Any) -> bool:
        """Whether a member lies on several devices as it is made, as by `parallel.over`."""
        if jax.device_count() == 1:
            return False
        make = lambda keys: train.population(self.make, self.own(np.arange(1))).init(keys, data)
        return lies_on_several(jax.make_jaxpr(make)(jax.ShapeDtypeStruct((1,), self.keys.dtype)))

    def init(self, data: Any, mesh: Mesh | None) -> Callable[[jax.Array, dict[str, jax.Array]], TrainState]:
        """What makes members, from keys and hyperparameters, where they will be."""

        def make(keys: jax.Array, own: dict[str, jax.Array]) -> TrainState:
            return train.population(self.make, own, exact=self.exact).init(keys, data)

        return jax.jit(by_device(make, mesh, OWN, OWN))

    def own(self, members: np.ndarray) -> dict[str, Any]:
        """The hyperparameters of some members, as they are computed with."""
        return {name: jax.device_put(values[members // len(self.keys)]) for name, values in self.varied.items()}


@jax.jit
def _one(train_states: TrainState, *place: Any) -> TrainState:
    """One member, or all of a setting: one program for all places, where arrays one by one would each take a program."""
    return member(train_states, place)


def _keys(seeds: Any) -> jax.Array:
    """One key for each seed."""
    if isinstance(seeds, int):
        _check.positive("sweep", seeds=seeds)
        return jax.vmap(jax.random.key)(jnp.arange(seeds))
    if not _check.is_key(seeds) or seeds.ndim != 1 or not seeds.size:
        raise TypeError(f"sweep: seeds must be a number or an array of typed keys, got {_check.describe(seeds)}")
    return seeds


def alike_in_length(name: str, hyperparameters: Mapping[str, Any]) -> tuple[dict[str, list[Any]], int]:
    """Hyperparameters as lists of one length, and that length."""
    settings = {key: list(values) for key, values in hyperparameters.items()}
    lengths = {key: len(values) for key, values in settings.items()} or {"": 1}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        raise ValueError(f"{name}: hyperparameters must have an entry for each setting, these have {lengths}; search.grid combines")
    return settings, next(iter(lengths.values()))


def _given(evaluate: Callable[..., Any], fixed: Mapping[str, Any]) -> Callable[..., Any]:
    """The evaluation of a group, whose settings have these in common."""
    if not fixed:
        return evaluate
    try:
        inspect.signature(evaluate).bind(None, **fixed)
    except TypeError as error:
        names = ", ".join(fixed)
        mend = f"evaluate=lambda train_state, {names}: measure(train_state)"
        raise TypeError(f"sweep: evaluate must take {names} by keyword, since they decide the program, {mend}") from error
    return functools.partial(evaluate, **fixed)


def _traced(values: list[Any]) -> bool:
    """Whether these are numbers to compute with; Python integers alone, which may be sizes, are not."""
    numbers = all(isinstance(value, int | float | np.number | np.ndarray | jax.Array) for value in values)
    return numbers and not all(isinstance(value, int) for value in values)


def _alike(settings: dict[str, list[Any]], size: int) -> list[list[int]]:
    """Settings by what is not traced, in the order in which they come up."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i in range(size):
        groups.setdefault(tuple(values[i] for values in settings.values() if not _traced(values)), []).append(i)
    return list(groups.values())


def _over_blocks(parts: list[tuple[History, int]], shape: tuple[int, int]) -> History:
    """One history of several blocks; epochs and steps are the same in all, and time adds up."""
    first, joined = parts[0][0], {}
    for name, values in first.items():
        if "/" in name:
            members = np.concatenate([history[name][:, :kept] for history, kept in parts], 1)
            joined[name] = members.reshape(len(members), *shape, *members.shape[2:])
        else:
            joined[name] = sum(history[name] for history, _ in parts) if "seconds" in name else values
    return joined


def _joined(histories: list[History], order: np.ndarray) -> History:
    """One history of several groups, with settings in their order."""
    joined = {}
    for name, values in histories[0].items():
        if "/" in name:
            joined[name] = np.concatenate([history[name] for history in histories], 1)[:, order]
        else:
            joined[name] = sum(history[name] for history in histories) if "seconds" in name else values
    return joined
