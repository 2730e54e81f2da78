"""What a model is made of, as a table."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jdl.functional._check import describe
from jdl.functional._shapes import Shapes
from jdl.layer import Layer, as_layer, observe
from jdl.report._text import text


class Row(NamedTuple):
    """A layer in a summary; `flops` is None unless asked for."""

    path: str
    output: str
    parameters: int
    bytes: int
    flops: int | None


class Summary(NamedTuple):
    """Rows by path in the order of calls, the whole model last; prints as a table."""

    rows: tuple[Row, ...]

    def __rich__(self) -> Any:
        from rich.table import Table

        flops = self.rows[-1].flops is not None
        table = Table("layer", "output", "parameters", "bytes", *(["FLOPs"] if flops else []))
        for column in table.columns[2:]:
            column.justify = "right"
        for row in self.rows:
            if row is self.rows[-1]:
                table.add_section()
            name = "  " * row.path.count("/") + row.path.rsplit("/", 1)[-1] or "total"
            counts = [f"{count:,}" if count else "" for count in (row.parameters, row.bytes)]
            table.add_row(name, row.output, *counts, *([f"{row.flops:,}"] if flops else []))
        return table

    def __str__(self) -> str:
        return text(self)


def summary(model: Layer | Callable, *inputs: Any, flops: bool = False, **named: Any) -> Summary:
    """Says for every layer its path, output, parameters and bytes, by abstract evaluation: nothing is computed or compiled.

    Args:
      model: a Layer.
      *inputs: arrays or `jax.ShapeDtypeStruct`s.
      flops: whether to count the floating-point operations of a forward pass, by XLA's analysis of the program before compilation.
        What `repeat` scans counts each time; its sublayers' rows are of one repetition.
      **named: inputs passed by keyword.

    Returns:
      A Summary; `print` or `rich.print` it. A layer called twice has a row for each call; its parameters count once in the total.

    Example:
      >>> import jax, jdl
      >>> from jdl import layers as L
      >>> model = L.chain(L.dense(64), jax.nn.relu, L.dense(10))
      >>> jdl.summary(model, jax.ShapeDtypeStruct((32, 784), "float32")).rows[-1].parameters
      50890
    """
    model = as_layer(model)
    shapes = Shapes.of((jax.eval_shape(lambda: jax.random.key(0)), inputs, named))
    weights = _weights(model, shapes)
    seen: list[tuple[str, Layer, Shapes, str]] = []

    def see(path, layer, given, output):
        at = len(seen)
        while at and seen[at - 1][0].startswith(f"{path}/"):  # a layer is seen after its sublayers, and shown before them
            at -= 1
        seen.insert(at, (path, layer, Shapes.of((shapes.tree[0], *given)), describe(output)))

    with observe(see):
        output = describe(Shapes.of((weights, shapes.tree)).evaluate(_forward(model)))
    rows = [
        Row(path, output, *_size(weights[0], path), _flops(layer, given) if flops else None) for path, layer, given, output in seen
    ]
    return Summary((*rows, Row("", output, *_size(weights[0], ""), _flops(model, shapes) if flops else None)))


def _weights(layer: Layer, shapes: Shapes) -> tuple[Any, Any]:
    return shapes.evaluate(lambda key, inputs, named: layer.init(key, *inputs, **named))


def _forward(layer: Layer) -> Any:
    def forward(weights, given):
        key, inputs, named = given
        return layer.apply(*weights, *inputs, key=key, **named)[0]

    return forward


def _flops(layer: Layer, shapes: Shapes) -> int:
    lowered = Shapes.of((_weights(layer, shapes), shapes.tree)).lower(_forward(layer))
    return int((lowered.cost_analysis() or {}).get("flops", 0))


def _size(params: dict, path: str) -> tuple[int, int]:
    for name in path.split("/") if path else ():
        params = params.get(name, {})
    leaves = jax.tree.leaves(params)
    return sum(math.prod(a.shape) for a in leaves), sum(math.prod(a.shape) * a.dtype.itemsize for a in leaves)
