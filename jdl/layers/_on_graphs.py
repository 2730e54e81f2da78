"""Layers of arrays as layers of graphs."""

from collections.abc import Callable
from typing import Any

from jdl.functional import Graphs, _check
from jdl.functional._graphs import check
from jdl.layer import Layer, as_layer


def on_nodes(layer: Layer | Callable, *, masked: bool = False) -> Layer:
    """Applies a layer to the nodes of graphs.

    Args:
      layer: from `(nodes, in)` to `(nodes, features)`, such as an activation, `dropout(0.5)` or `embedding(100, 16)`.
      masked: whether it is given `mask=`, False for padding, as `batch_norm()` takes it so that padding does not count.

    Returns:
      A Layer from `Graphs` to `Graphs` with new nodes, whose params and state are those of `layer`.

    Raises:
      TypeError: if it is given no `Graphs`.
      ValueError: if there are no nodes, or another number of them comes out.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional, layers as L
      >>> graph = functional.graph(jnp.array([[-1.0], [2.0]]), [0], [1])
      >>> L.on_nodes(jax.nn.relu).apply({}, {}, graph)[0].nodes.tolist()
      [[0.0], [2.0]]
    """
    return _on("nodes", "node_mask", layer, masked)


def on_edges(layer: Layer | Callable, *, masked: bool = False) -> Layer:
    """Applies a layer to the edges of graphs.

    Args:
      layer: from `(edges, in)` to `(edges, features)`, or on weights, `(edges,)`.
      masked: whether it is given `mask=`, False for padding.

    Returns:
      A Layer from `Graphs` to `Graphs` with new edges, whose params and state are those of `layer`.

    Raises:
      TypeError: if it is given no `Graphs`.
      ValueError: if there are no edges, or another number of them comes out.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional, layers as L
      >>> graph = functional.graph(jnp.ones((2, 1)), [0], [1], edges=jnp.array([4.0]))
      >>> L.on_edges(jnp.sqrt).apply({}, {}, graph)[0].edges.tolist()
      [2.0]
    """
    return _on("edges", "edge_mask", layer, masked)


def on_globals(layer: Layer | Callable, *, masked: bool = False) -> Layer:
    """Applies a layer to the global features of graphs.

    Args:
      layer: from `(graphs, in)` to `(graphs, features)`.
      masked: whether it is given `mask=`, False for padding.

    Returns:
      A Layer from `Graphs` to `Graphs` with new globals, whose params and state are those of `layer`.

    Raises:
      TypeError: if it is given no `Graphs`.
      ValueError: if there are no globals, or another number of them comes out.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional, layers as L
      >>> graph = functional.graph(jnp.ones((2, 1)), [0], [1], globals=jnp.array([4.0]))
      >>> L.on_globals(jnp.sqrt).apply({}, {}, graph)[0].globals.tolist()
      [[2.0]]
    """
    return _on("globals", "graph_mask", layer, masked)


def _on(what: str, mask: str, layer: Layer | Callable, masked: bool) -> Layer:
    name = f"on_{what}"
    layer = as_layer(layer, f"layer of {name}")

    def given(graphs: Any) -> tuple[Any, dict[str, Any]]:
        x = getattr(check(name, graphs), what)
        if x is None:
            raise ValueError(f"{name}: the graphs have no {what}")
        return x, {"mask": getattr(graphs, mask)} if masked else {}

    def init(key: Any, graphs: Graphs) -> tuple[dict, dict]:
        x, named = given(graphs)
        return layer.init(key, x, **named)

    def apply(params: dict, state: dict, graphs: Graphs, *, key: Any = None, train: bool = False) -> tuple[Graphs, dict]:
        x, named = given(graphs)
        y, state = layer.apply(params, state, x, key=key, train=train, **named)
        if y.shape[:1] != x.shape[:1]:
            raise ValueError(f"{name}: of {_check.describe(x)} the layer made {_check.describe(y)}, for other {what}")
        return graphs.replace(**{what: y}), state

    return Layer(init, apply)
