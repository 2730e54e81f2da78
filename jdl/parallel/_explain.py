"""What lies where on a mesh, and what a compiled program sends between devices."""

import math
import re
from collections import Counter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.sharding import NamedSharding

from jdl.functional._check import describe
from jdl.parallel._turns import parts
from jdl.report._text import text

_BITS = {"pred": 8, "token": 0}
_NAMES = "all-gather|all-reduce|all-to-all|collective-broadcast|collective-permute|ragged-all-to-all|reduce-scatter"
_CALL = re.compile(rf"^\s*(?:ROOT )?%?\S+ = (?P<result>.*?) (?P<kind>{_NAMES})(?P<start>-start)?\(", re.MULTILINE)
_ARRAY = re.compile(r"(pred|token|[a-z]+(\d+)\w*)\[([\d,]*)\]")


class Placed(NamedTuple):
    """An array in an explanation: its path, type, how it is split, and the bytes of it on each device."""

    path: str
    array: str
    sharding: str
    bytes: int


class Explanation(NamedTuple):
    """Arrays by path; prints as a table. `bytes` are those of all arrays on one device, `whole` those of all arrays."""

    rows: tuple[Placed, ...]
    bytes: int
    whole: int

    def __rich__(self) -> Any:
        from rich.table import Table

        table = Table("path", "array", "sharding", "bytes per device")
        table.columns[-1].justify = "right"
        for row in self.rows:
            table.add_row(row.path, row.array, row.sharding, f"{row.bytes:,}")
        table.add_section()
        table.add_row("total", f"{self.whole:,} bytes", "", f"{self.bytes:,}")
        return table

    def __str__(self) -> str:
        return text(self)


def explain(tree: Any) -> Explanation:
    """Says for every array where it lies: path, shape, what splits it, and the bytes of it on each device.

    Args:
      tree: a train state, or any tree of arrays, or of `jax.ShapeDtypeStruct`s with shardings.

    Returns:
      An Explanation; `print` or `rich.print` it. `jax.debug.visualize_array_sharding` draws a single array.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import parallel
      >>> placed = parallel.place({"kernel": jnp.ones((4, 8))}, parallel.mesh("data=-1"), jax.P(None, "data"))
      >>> found = parallel.explain(placed)
      >>> found.rows[0].path, found.rows[0].array, found.whole, found.bytes == 128 // jax.device_count()
      ('kernel', 'float32[4, 8]', 128, True)
    """
    rows, whole = [], 0
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        leaf = leaf if hasattr(leaf, "dtype") else jnp.asarray(leaf)
        sharding, size = getattr(leaf, "sharding", None), leaf.dtype.itemsize
        shape = leaf.shape if sharding is None else sharding.shard_shape(leaf.shape)
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        rows.append(Placed(name, describe(leaf), _described(sharding), math.prod(shape) * size))
        whole += math.prod(leaf.shape) * size
    return Explanation(tuple(rows), sum(row.bytes for row in rows), whole)


class Collective(NamedTuple):
    """Collectives of one kind over as many devices: how many one run of the program has, and bytes of their results on a device."""

    kind: str
    devices: int
    count: int
    bytes: int


class Collectives(NamedTuple):
    """The collectives of one run of a program, those of most bytes first; prints as a table.

    `unknown` are those in loops whose length the compiler doesn't know, which count for one turn.
    """

    rows: tuple[Collective, ...]
    unknown: int

    def __rich__(self) -> Any:
        from rich.table import Table

        note = f"{self.unknown} in loops of a length that the compiler doesn't know count for one turn" if self.unknown else None
        table = Table("collective", "devices", "count", "bytes", caption=note)
        for column in table.columns[1:]:
            column.justify = "right"
        for row in self.rows:
            table.add_row(row.kind, str(row.devices), f"{row.count:,}", f"{row.bytes:,}")
        return table

    def __str__(self) -> str:
        return text(self)


def collectives(compiled: jax.stages.Compiled) -> Collectives:
    """Says what one run of a compiled program sends between devices, from its HLO.

    What is in the body of a loop counts as often as the loop turns, where the compiler knows it (`lax.scan`, `fori_loop`); of a
    branch, all sides count.

    Args:
      compiled: such as `jax.jit(step.update).lower(train_state, batch).compile()`.

    Returns:
      Collectives; `print` or `rich.print` them.

    Raises:
      TypeError: if this is no compiled program.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import parallel
      >>> x = parallel.place(jnp.ones((64, 8)), parallel.mesh("data=-1"), jax.P("data"))
      >>> sent = parallel.collectives(jax.jit(lambda x: x.sum(0)).lower(x).compile())
      >>> {row.kind for row in sent.rows} == ({"all-reduce"} if jax.device_count() > 1 else set())
      True
    """
    if not isinstance(compiled, jax.stages.Compiled):
        mend = "; call its .compile()" if isinstance(compiled, jax.stages.Lowered) else ", such as jax.jit(f).lower(x).compile()"
        raise TypeError(f"collectives: compiled must be a jax.stages.Compiled, got {type(compiled).__name__}{mend}")
    return _collectives(compiled.as_text() or "")


def _collectives(program: str) -> Collectives:
    counts, sizes, unknown = Counter(), Counter(), 0
    everywhere = math.prod(int(size) for size in re.findall(r"(?:replica_count|num_partitions)=(\d+)", program.partition("\n")[0]))
    for part in parts(program):
        for call in _CALL.finditer(part.text):
            line = part.text[call.end() : part.text.find("\n", call.end())]
            result = _received(call["result"]) if call["start"] and call["kind"] != "all-reduce" else call["result"]
            kind = call["kind"], _devices(line, everywhere)
            counts[kind] += part.turns
            sizes[kind] += part.turns * sum(_bytes(*array.groups()) for array in _ARRAY.finditer(result))
            unknown += not part.known
    rows = [Collective(kind, devices, counts[kind, devices], size) for (kind, devices), size in sizes.items()]
    return Collectives(tuple(sorted(rows, key=lambda row: (-row.bytes, row))), unknown)


def _described(sharding: Any) -> str:
    if sharding is None or len(sharding.device_set) == 1:
        return "one device"
    if sharding.is_fully_replicated:
        return "replicated"
    return ", ".join(map(repr, sharding.spec)) if isinstance(sharding, NamedSharding) else str(sharding)


def _bytes(name: str, bits: str | None, sizes: str) -> int:
    return math.prod(int(size) for size in sizes.split(",") if size) * (_BITS[name] if bits is None else int(bits)) // 8


def _received(result: str) -> str:
    """Of what starts an asynchronous collective, `(operands, results, ...)`, the results: its second entry."""
    depth, entries = 0, [""]
    for letter in result.strip().removeprefix("(").removesuffix(")"):
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and not depth:
            entries.append("")
        else:
            entries[-1] += letter
    return entries[min(1, len(entries) - 1)]


def _devices(line: str, everywhere: int) -> int:
    """How many devices take part in one collective, of those of the program."""
    if named := re.search(r"replica_groups=mesh\[(.*?)\] \{(.*?)\}", line):
        sizes = dict(re.findall(r"('\w+')=(\d+)", named[1]))
        axes = re.findall(r"('\w+')(?::\(\d+\)(\d+))?", named[2])  # a part of an axis has a size of its own
        return math.prod(int(part or sizes[axis]) for axis, part in axes)
    if iota := re.search(r"replica_groups=\[(\d+),(\d+)\]", line):
        return int(iota[2])
    if listed := re.search(r"replica_groups=\{\{([\d,]*)\}", line):
        return len(listed[1].split(","))
    if pairs := re.search(r"source_target_pairs=\{(.*?)\}\}", line):
        return len(set(re.findall(r"\d+", pairs[1])))
    return everywhere
