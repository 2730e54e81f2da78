"""Where the first NaN comes from."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jdl.debug._operations import Origin, Value, compute, found, inputs_of
from jdl.functional import _check
from jdl.layer import derive
from jdl.report._text import text
from jdl.train import Objective, Step, TrainState
from jdl.train._skip import stays_finite

_SHOWN = 30  # rows of a printed table


class NotFinite(NamedTuple):
    """Numbers that are not finite.

    Attributes:
      place: path of an input or a result; or the pass, and the path of the layer.
      operation: the first one there that gave such, and what it was given; empty for inputs and results.
      found: how many of them are NaN or infinite.
      line: of the source.
    """

    place: str
    operation: str
    found: str
    line: str


class NanReport(NamedTuple):
    """What is not finite in a step: prints as a sentence and a table.

    Attributes:
      cause: where it begins, in words; empty if all results are finite.
      rows: in the order of the computation: inputs, layers forward and backward, results.
    """

    cause: str
    rows: tuple[NotFinite, ...]

    def __rich__(self) -> Any:
        from rich.console import Group
        from rich.table import Table

        more = len(self.rows) - _SHOWN
        table = Table("place", "operation", "not finite", caption=f"and {more} more in rows" if more > 0 else None)
        for row in self.rows[:_SHOWN]:
            table.add_row(row.place, row.operation, row.found)
        return Group(self.cause or "all results are finite", *([table] if self.rows else []))

    def __str__(self) -> str:
        return text(self)


def nan_report(function: Objective | Step, train_state: TrainState, batch: Any) -> NanReport:
    """Says where numbers stop being finite in a step: the layer, forward or backward, the operation and what it was given.

    The step is computed once more, operation by operation, loops unrolled, with every result looked at: slow, and in the memory of
    all results at once. NaN that reaches a result is followed back to the operation, or the input, that it began with. Infinite
    numbers that reach none, such as those that mask scores before a softmax, are in the table and not in the sentence; so are those
    that the step only hands on, such as a best value of infinity before there is any.

    Args:
      function: an Objective, whose loss and gradient are looked at; or a Step, and also its optimizer is.
      train_state: what the step began with; of one member of a population. `train.skip_nonfinite` keeps it.
      batch: what it was given.

    Returns:
      A NanReport.

    Raises:
      TypeError: if `function` is neither.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import debug, layers as L, losses, train
      >>> model = L.chain(L.dense(4), head=L.chain(jax.nn.relu, jnp.log, L.dense(1)))
      >>> objective, batch = train.objective(model, losses.mean_squared_error), (jnp.zeros((2, 3)), jnp.ones((2, 1)))
      >>> train_state = train.step(objective, optax.sgd(0.1)).init(jax.random.key(0), batch)
      >>> print(debug.nan_report(objective, train_state, batch).cause.split(", /")[0])
      not finite: gradient/head/2/bias, gradient/head/2/kernel, metrics/loss and 1 more
      begins in forward head/1: log of float32[2, 4] (of 0) gave 8 infinite of 8
    """
    if isinstance(function, Objective):
        run, given = _gradient(function), _given(train_state, batch)
    elif isinstance(function, Step):
        run, given = _update(function), {"train_state": train_state, "batch": batch}
    else:
        raise TypeError(f"nan_report: function must be an Objective or a Step, got {_check.describe(function)}")
    with jax.disable_jit():  # which unrolls loops
        program, shapes = jax.make_jaxpr(run, return_shape=True)(given)
    inputs = inputs_of(given)
    values, operations = compute(program, inputs)
    before = {f"new {name}": value.array for name, value in zip(_names(given), inputs)}
    results = [(name, value) for name, value in zip(_names(shapes), values) if not stays_finite(value.array, before.get(name))]
    places = {operation.place: operation for operation in reversed(operations)}
    firsts = [value.origin for value in inputs if value.origin] + [one for one in operations if places[one.place] is one]
    rows = [NotFinite(*one[:4]) for one in firsts] + [NotFinite(name, "", found(value.array), "") for name, value in results]
    return NanReport(_cause(results, operations), tuple(rows))


def _names(tree: Any) -> list[str]:
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in jax.tree_util.tree_leaves_with_path(tree)]


def _given(train_state: TrainState, batch: Any) -> dict[str, Any]:
    key = derive(train_state.key, "step", train_state.step)  # as in `train.step`
    return {"params": train_state.params, "state": train_state.state, "batch": batch, "key": key}


def _gradient(objective: Objective) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def run(given: dict[str, Any]) -> dict[str, Any]:
        inputs = (given[name] for name in ("params", "state", "batch", "key"))
        (loss, (state, metrics)), gradient = jax.value_and_grad(objective.apply, has_aux=True)(*inputs)
        return {"total loss": loss, "metrics": metrics, "new state": state, "gradient": gradient}

    return run


def _update(step: Step) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def run(given: dict[str, Any]) -> dict[str, Any]:
        train_state, metrics = step.update(given["train_state"], given["batch"])
        return {"metrics": metrics, "new train_state": train_state}

    return run


def _cause(results: list[tuple[str, Value]], operations: list[Origin]) -> str:
    """In words: what is not finite, and the earliest of where it comes from, from its beginning on."""
    if not results:
        return ""
    names = [name for name, _ in results]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    order = {id(operation): place for place, operation in enumerate(operations)}
    last = min((value.origin for _, value in results if value.origin), key=lambda origin: order.get(id(origin), -1))
    chain = [last]
    while chain[0].before:
        chain.insert(0, chain[0].before)
    lines = [f"not finite: {', '.join(names[:3])}{more}"]
    for origin, verb in zip(chain, ("begins in", *["goes on in"] * len(chain))):
        what = f"{origin.operation} gave {origin.found}, {origin.line}" if origin.operation else f"{origin.found}"
        lines.append(f"{verb} {origin.place}: {what}")
    return "\n".join(lines)
