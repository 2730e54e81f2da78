"""Where the time of a step goes."""

import re
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import jax

from jdl.debug._operations import place_of
from jdl.functional import _check
from jdl.report._text import text
from jdl.train import Run, TrainState

_SHOWN = 30  # rows of a printed table
_INSTRUCTION = re.compile(r'%?([\w.-]+) = .*? ([\w-]+)\(.*?op_name="([^"]*)"')
_HOLDS_OTHERS = {"while", "call", "conditional"}  # their time is that of what they hold
_NOT_SCOPES = re.compile(r"while|body|cond|closed_call|eval_jaxpr|checkpoint|branch_\d+_fun|jit\(.*\)")


class Cost(NamedTuple):
    """What an operation of a layer takes.

    Attributes:
      place: the pass and the path of the layer; "" for what is outside: the optimizer, the order of samples, copies.
      operation: that JAX was asked for; XLA may have put others into one with it.
      calls: in a step.
      seconds: in a step, summed over threads and devices.
    """

    place: str
    operation: str
    calls: float
    seconds: float


class Profile(NamedTuple):
    """Where the time of a step goes: prints as a table.

    Attributes:
      seconds: that a step takes by the clock.
      rows: the costliest first.
      folder: with the trace, for TensorBoard, XProf or Perfetto.
    """

    seconds: float
    rows: tuple[Cost, ...]
    folder: Path

    def __rich__(self) -> Any:
        from rich.table import Table

        whole = sum(row.seconds for row in self.rows) or 1.0
        table = Table("place", "operation", "calls", "ms", "share", title=f"a step takes {1e3 * self.seconds:.4g} ms")
        for row in self.rows[:_SHOWN]:
            share = f"{row.seconds / whole:.1%}"
            table.add_row(row.place, row.operation, f"{row.calls:.4g}", f"{1e3 * row.seconds:.4g}", share)
        if len(self.rows) > _SHOWN:
            table.caption = f"and {len(self.rows) - _SHOWN} more in rows; the whole trace is in {self.folder}"
        return table

    def __str__(self) -> str:
        return text(self)


def profile(run: Run, train_state: TrainState, data: Any, folder: str | Path, *, steps: int = 10) -> Profile:
    """Traces some steps of a run, and sums up what each layer takes, forward and backward.

    The steps are compiled and taken once before, so that neither compilation nor a first call is in the trace. The train state
    stays as it is.

    Args:
      run: a Run, of one member or a population.
      train_state: what the steps begin with.
      data: as for the run.
      folder: for the trace, as `jax.profiler` writes it; made if need be.
      steps: how many are traced, in one program.

    Returns:
      A Profile.

    Raises:
      ValueError: if `steps` is not positive.

    Example:
      >>> import jax, jax.numpy as jnp, optax, tempfile
      >>> from jdl import debug, layers as L, losses, train
      >>> data = jnp.ones((8, 16)), jnp.ones((8, 4))
      >>> model = L.chain(body=L.dense(64), head=L.dense(4))
      >>> run = train.run(train.step(train.objective(model, losses.mean_squared_error), optax.sgd(0.1)), batch_size=4)
      >>> found = debug.profile(run, run.init(jax.random.key(0), data), data, tempfile.mkdtemp(), steps=3)
      >>> {"forward body", "backward body", "forward head", "backward head"} <= {row.place for row in found.rows}
      True
    """
    _check.positive("profile", steps=steps)
    compiled = jax.jit(run.advance, static_argnums=2).lower(train_state, data, steps).compile()
    jax.block_until_ready(compiled(train_state, data))
    with jax.profiler.trace(str(folder)):
        start = time.perf_counter()
        jax.block_until_ready(compiled(train_state, data))
        seconds = time.perf_counter() - start
    places = _places(compiled.as_text() or "")
    spent: dict[tuple[str, str], list[float]] = {}
    for name, duration in _operations(Path(folder)):
        if place := places.get(name):
            spent.setdefault(place, []).append(1e-9 * duration)
    rows = [Cost(place, operation, len(each) / steps, sum(each) / steps) for (place, operation), each in spent.items()]
    return Profile(seconds / steps, tuple(sorted(rows, key=lambda row: -row.seconds)), Path(folder))


def _places(program: str) -> dict[str, tuple[str, str] | None]:
    """From the name of an instruction of XLA: the layer that it is of, and what JAX calls it; None if it holds others."""
    found = {}
    for name, kind, path in _INSTRUCTION.findall(program):
        *scopes, operation = path.split("/")
        scope = "/".join(scope for scope in scopes if not _NOT_SCOPES.fullmatch(scope))
        found[name] = None if kind in _HOLDS_OTHERS else (place_of(scope) if "jvp(" in scope else "", operation)
    return found


def _operations(folder: Path) -> list[tuple[str, float]]:
    """Names and nanoseconds of all instructions in the newest trace."""
    trace = max(folder.glob("**/*.xplane.pb"), key=lambda path: path.stat().st_mtime)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # jaxlib warns as it makes types, and aborts where that is an error
        lines = [line for plane in jax.profiler.ProfileData.from_file(str(trace)).planes for line in plane.lines]
        events = [(dict(event.stats).get("hlo_op"), event.duration_ns) for line in lines for event in line.events]
    return [(str(name), duration) for name, duration in events if name]
