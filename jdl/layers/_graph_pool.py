"""Readouts of graphs."""

import functools

from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.functional._graph_pool import floating_nodes
from jdl.functional._segment import Reduction, check_reduction
from jdl.layer import Layer, compose, function
from jdl.layers._attention_pool import scorer, scores


def graph_pool(*, reduction: Reduction = "sum") -> Layer:
    """Reduces the nodes of each graph to one vector. Graphs of padding give 0.

    Args:
      reduction: `"sum"`, `"mean"`, `"max"` or `"min"`.

    Returns:
      A Layer from `Graphs` to `(graphs, features)`.

    Raises:
      ValueError: if there is no such reduction.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional, layers as L
      >>> graph = functional.graph(jnp.ones((3, 4)), [0, 1], [1, 2])
      >>> model = L.chain(L.gcn(16), L.on_nodes(jax.nn.relu), L.graph_pool(reduction="mean"), L.dense(2))
      >>> params, state = model.init(jax.random.key(0), graph)
      >>> jax.jit(model.apply)(params, state, graph)[0].shape
      (1, 2)
    """
    check_reduction("graph_pool", reduction)
    return function(functools.partial(functional.graph_pool, reduction=reduction))


def graph_attention_pool(
    features: int,
    *,
    heads: int = 1,
    gated: bool = False,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
) -> Layer:
    """Takes a mean over the nodes of each graph, weighted by what they are: `y = sum_i softmax(tanh(x V) w)[i] x[i]`.

    Args:
      features: width of the hidden layer that scores nodes.
      heads: number of scores; each weights its share of the features.
      gated: whether the hidden layer is multiplied by a gate, `tanh(x V) * sigmoid(x U)`.
      kernel_init: makes the kernels of `hidden` (V) and `gate` (U), `(in, features)`, and of `score` (w), `(features, heads)`.

    Returns:
      A Layer from `Graphs` to `(graphs, in)`, with params `hidden`, `score` and, if gated, `gate`. Graphs of padding give 0.

    Raises:
      ValueError: if `features` or `heads` is not a positive integer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional, layers as L
      >>> graph = functional.graph(jnp.ones((3, 6)), [0, 1], [1, 2])
      >>> params, state = L.graph_attention_pool(16, heads=2).init(jax.random.key(0), graph)
      >>> params["hidden"]["kernel"].shape, params["score"]["kernel"].shape
      ((6, 16), (16, 2))

    Source: Ilse et al., "Attention-based Deep Multiple Instance Learning", https://arxiv.org/abs/1802.04712.
    """
    _check.positive("graph_attention_pool", features=features, heads=heads)

    @compose(**scorer(features, heads, gated, kernel_init))
    def forward(net, graphs):
        x = floating_nodes("graph_attention_pool", graphs)
        return functional.graph_attention_pool(graphs, scores(net, x, gated))

    return forward
