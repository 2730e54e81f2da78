"""A run: many steps as one pure function, over data on the device."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.train._order import of_epoch, placed
from jdl.train._state import TrainState
from jdl.train._step import Step
from jdl.train._window import Window

_MEMBERS = "jdl members"  # the axis of a population


class Run(NamedTuple):
    """A pair of pure functions, and a third that says where an epoch ends.

    Attributes:
      init: `(key, data) -> train_state`.
      advance: `(train_state, data, steps) -> (train_state, metrics)`: that many steps in one XLA program; `steps` is static, and
        every metric has a last axis of that length. Steps taken in several calls are the steps of one, to the bit, except that
        XLA compiles a single step without the loop and may round it otherwise.
      left: `(train_state, data) -> steps`, an int32 integer (of each member): how many there are to the end of the epoch, at least
        1. It lets a program count the steps of an epoch before it takes them.
    """

    init: Callable[[jax.Array, Any], TrainState]
    advance: Callable[..., tuple[TrainState, dict[str, jax.Array]]]
    left: Callable[[TrainState, Any], jax.Array]


def run(step: Step, *, batch_size: int) -> Run:
    """Makes a run that goes over data in epochs, each in an order of its own, in batches of one size.

    The order depends on the run's key and the epoch alone. What is left of an epoch after its last full batch is passed over.

    Args:
      step: what is done with every batch; any `Step` whose train state has `key`, `epoch` and `position`.
      batch_size: samples in a batch, at most those in the data.

    Returns:
      A Run over data as a tree of arrays with one first axis, that of samples.

    Raises:
      ValueError: if `batch_size` is not positive; at init and advance, if it is larger than the data, or arrays differ in length.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> data = jnp.linspace(-1, 1, 64).reshape(-1, 1), jnp.linspace(1, 3, 64).reshape(-1, 1)
      >>> def experiment(key, learning_rate):
      ...     step = train.step(train.objective(L.dense(1), losses.mean_squared_error), optax.adam(learning_rate))
      ...     run = train.run(step, batch_size=16)
      ...     return run.advance(run.init(key, data), data, steps=200)[1]["loss"][-1]
      >>> final = jax.jit(jax.vmap(experiment))(jax.random.split(jax.random.key(0), 3), jnp.array([0.2, 0.1, 1e-9]))
      >>> (final < 1e-3).tolist()
      [True, True, False]
    """
    _check.positive("run", batch_size=batch_size)

    def init(key: jax.Array, data: Any) -> TrainState:
        if not _check.is_key(key) or key.shape:
            raise TypeError(
                f"run: key must be one typed key, jax.random.key(0), got {_check.describe(key)}; for several, vmap init"
            )
        data = _in_a_row(data, batch_size) if isinstance(data, Window) else data
        _fitting(batch_size, rows(data))
        return step.init(key, data)

    def advance(train_state: TrainState, data: Any, steps: int) -> tuple[TrainState, dict[str, jax.Array]]:
        _check.positive("run", steps=steps)
        if isinstance(data, Window):
            start, size, data = data.start, data.size, _in_a_row(data, batch_size)
            choose = lambda order, at: at - start
        else:
            size = _fitting(batch_size, rows(data))
            choose = lambda order, at: placed(order, at, size)
        return in_order(step, choose, size, batch_size, train_state, data, steps)

    def left(train_state: TrainState, data: Any) -> jax.Array:
        return steps_left(train_state, data.size if isinstance(data, Window) else rows(data), batch_size)

    return Run(init, advance, left)


def in_order(
    step: Step,
    choose: Callable[[jax.Array, jax.Array], jax.Array],
    size: int | jax.Array,
    batch_size: int,
    train_state: TrainState,
    data: Any,
    steps: int,
) -> tuple[TrainState, dict[str, jax.Array]]:
    """Takes steps through epochs of `size` samples; `choose(order, positions)` says which, from `of_epoch`."""
    epochs = train_state.epoch + jnp.arange(steps // (size // batch_size) + 2 if isinstance(size, int) else steps)
    orders = jax.lax.map(lambda epoch: of_epoch(train_state.key, epoch), epochs)  # here, as every step would draw them again
    data = jax.tree.map(jnp.asarray, data)  # NumPy's, where a program closes over them

    def one(train_state: TrainState, _: None):
        positions = train_state.position + jnp.arange(batch_size)
        indices = choose(orders[train_state.epoch - epochs[0]], positions)
        batch = jax.tree.map(lambda a: a.at[indices].get(mode="promise_in_bounds"), data)
        train_state, metrics = step.update(train_state, batch)
        position = train_state.position + batch_size
        full = position + batch_size > size
        return train_state.replace(epoch=train_state.epoch + full, position=jnp.where(full, 0, position)), metrics

    return jax.lax.scan(one, train_state, length=steps)


def steps_left(train_state: TrainState, size: int | jax.Array, batch_size: int) -> jax.Array:
    """How many full batches there are to the end of an epoch of `size` samples."""
    return (size - train_state.position) // batch_size


def _fitting(batch_size: int, size: int) -> int:
    if batch_size > size:
        raise ValueError(f"run: batch_size {batch_size} is larger than the data, {size} samples")
    return size


def _in_a_row(window: Window, batch_size: int) -> Any:
    """The samples of a window along one axis."""
    if any(a.shape[1] != batch_size for a in jax.tree.leaves(window.batches)):
        raise ValueError(f"run: batch_size is {batch_size}, the data come in batches {_check.describe(window.batches)}")
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), window.batches)


def population(run: Run | Callable[..., Run], hyperparameters: Mapping[str, Any] | None = None, *, exact: bool = False) -> Run:
    """Makes the run of many members at once, by `vmap`: `init` takes an array of keys, all else gains a first axis of members.

    Members may have hyperparameters of their own: they are part of the train state, so that one program serves all values.

    Args:
      run: a Run; or a function from hyperparameters, by keyword, to one.
      hyperparameters: arrays by name, with a first axis of members. They are traced, so they can't decide shapes.
      exact: whether to compute members one after the other (`jax.lax.map`), each to the bit as if it were alone. `vmap` is faster,
        but adds in another order.

    Returns:
      A Run of all members in one program; they share the data.

    Raises:
      ValueError: if hyperparameters differ in length; at init, if there are not as many keys.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> data = jnp.ones((8, 2)), jnp.ones((8, 1))
      >>> objective = train.objective(L.dense(1), losses.mean_squared_error)
      >>> def make(learning_rate):
      ...     return train.run(train.step(objective, optax.adam(learning_rate)), batch_size=4)
      >>> members = train.population(make, {"learning_rate": [0.1, 0.01, 0.001]})
      >>> train_state = members.init(jax.random.split(jax.random.key(0), 3), data)
      >>> members.advance(train_state, data, 5)[1]["loss"].shape
      (3, 5)
    """
    make = (lambda: run) if isinstance(run, Run) else run
    each = {name: jnp.asarray(values) for name, values in (hyperparameters or {}).items()}
    if len({values.shape[:1] for values in each.values()}) > 1 or any(not values.ndim for values in each.values()):
        raise ValueError(f"population: hyperparameters must have one length, that of members, got {_check.describe(each)}")

    def own_run(train_state: TrainState) -> Run:
        return _made(make, train_state.hyperparameters if each else {})

    def over_members(function: Callable, *trees: Any) -> Any:
        return jax.lax.map(lambda own: function(*own), trees) if exact else jax.vmap(function, axis_name=_MEMBERS)(*trees)

    def init(keys: jax.Array, data: Any) -> TrainState:
        def one(key: jax.Array, own: dict[str, jax.Array]) -> TrainState:
            train_state = _made(make, own).init(key, data)
            return train_state.replace(hyperparameters=own) if own else train_state

        if any(values.shape[0] != keys.shape[0] for values in each.values()):
            raise ValueError(f"population: there are {keys.shape[0]} keys, hyperparameters are {_check.describe(each)}")
        return over_members(one, keys, each)

    def advance(train_state: TrainState, data: Any, steps: int) -> tuple[TrainState, dict[str, jax.Array]]:
        return over_members(lambda train_state: own_run(train_state).advance(train_state, data, steps), train_state)

    def left(train_state: TrainState, data: Any) -> jax.Array:
        return over_members(lambda train_state: own_run(train_state).left(train_state, data), train_state)

    return Run(init, advance, left)


def any_member(flag: jax.Array) -> jax.Array:
    """Whether a flag is set for any member of the population: one for all, so that `lax.cond` stays a branch under `vmap`.

    Where there is no population, the flag itself.
    """
    try:
        return jax.lax.pmax(flag.astype(jnp.int32), _MEMBERS) > 0
    except NameError:
        return flag


def branch(flag: jax.Array, first: Callable, second: Callable, train_state: TrainState) -> TrainState:
    """`lax.cond` between two functions of a train state, whose key never changes.

    It goes in as plain data and doesn't come out, since `vmap` makes selections of a branch, which would use keys twice.
    """
    key, rest = train_state.key, train_state.replace(key=None)
    wrap = lambda data: jax.random.wrap_key_data(data, impl=jax.random.key_impl(key))
    plain = lambda function: lambda data, rest: function(rest.replace(key=wrap(data))).replace(key=None)
    data = jax.random.key_data(jax.random.clone(key))
    return jax.lax.cond(flag, plain(first), plain(second), data, rest).replace(key=key)


def _made(make: Callable[..., Run], own: dict[str, jax.Array]) -> Run:
    try:
        return make(**own)
    except Exception as error:
        if own:
            error.add_note(f"population: {', '.join(own)} are traced; what decides shapes must be the same for all members")
        raise


def rows(data: Any) -> int:
    """How many samples there are in a tree of arrays; raises ValueError where arrays differ or there are none."""
    lengths = {jnp.shape(a)[0] if jnp.ndim(a) else None for a in jax.tree.leaves(data)}
    if len(lengths) != 1 or None in lengths:
        raise ValueError(f"data must be arrays with one first axis, that of samples, got {_check.describe(data)}")
    if not (size := lengths.pop()):
        raise ValueError(f"data holds no samples: {_check.describe(data)}")
    return size
