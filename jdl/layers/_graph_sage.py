"""GraphSAGE."""

import functools
from typing import Any, Literal

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import Graphs, _check
from jdl.functional._graph_pool import floating_nodes
from jdl.layer import Layer, compose
from jdl.layers._dense import dense
from jdl.layers._fitted import fitted


def graph_sage(
    features: int,
    *,
    reduction: Literal["mean", "max"] = "mean",
    bias: bool = True,
    kernel_init: initializers.Initializer = initializers.glorot_uniform(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """A layer of GraphSAGE: `y[i] = W x[i] + V reduce_{edges j to i} x[j] + b`.

    The mean is of neighbours as they are, the maximum of `relu(P x[j] + c)`, as wide as `x`; of no neighbours both are 0. As in the
    paper, an activation and division by the length may follow: `on_nodes(chain(jax.nn.relu, unit_norm()))`.

    Edges only say who the neighbours are: their weights or features have no influence. For them there is `message_passing`.

    Args:
      features: size of the output.
      reduction: `"mean"` or `"max"`.
      bias: whether to add biases.
      kernel_init: makes the kernels of `own` (W) and `neighbors` (V), `(in, features)`, and of `pool` (P), `(in, in)`.
      bias_init: makes the biases of `own`, `(features,)`, and of `pool`, `(in,)`.

    Returns:
      A Layer from `Graphs` to `Graphs` with new nodes. Indices out of range are an error where the host sees them, and give NaN
      under jit.

    Raises:
      ValueError: if `features` is not a positive integer, or there is no such reduction.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional, layers as L
      >>> graph = functional.graph(jnp.ones((3, 4)), [0, 1, 1, 2], [1, 0, 2, 1])
      >>> params, state = L.graph_sage(8).init(jax.random.key(0), graph)
      >>> params["neighbors"]["kernel"].shape
      (4, 8)

    Source: Hamilton, Ying and Leskovec, "Inductive Representation Learning on Large Graphs", https://arxiv.org/abs/1706.02216.
    """
    _check.positive("graph_sage", features=features)
    _check.choice("graph_sage", "reduction", reduction, ("mean", "max"))
    projection = functools.partial(dense, bias=bias, kernel_init=kernel_init, bias_init=bias_init)

    def choose(graphs: Graphs) -> Layer:
        width = floating_nodes("graph_sage", graphs).shape[-1]
        parts = {"own": projection(features), "neighbors": dense(features, bias=False, kernel_init=kernel_init)}
        parts |= {"pool": projection(width)} if reduction == "max" else {}

        @compose(**parts)
        def forward(net: Any, graphs: Graphs) -> Graphs:
            x = floating_nodes("graph_sage", graphs)
            sent = jax.nn.relu(net.pool(x)) if reduction == "max" else x
            around = functional.aggregate_neighbors(sent, graphs.senders, graphs.receivers, reduction=reduction)
            return graphs.replace(nodes=net.own(x) + net.neighbors(around))

        return forward

    return fitted(choose)
