"""Attention with one head, as recurrent decoders have it."""

import functools
from typing import Any, Literal

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.functional._dropout import sequences
from jdl.layer import Layer, compose, stateless
from jdl.layers._dense import dense
from jdl.layers._fitted import fitted
from jdl.layers._parameter import parameter

Score = Literal["dot", "general", "concat"]


def additive_attention(
    features: int,
    *,
    return_weights: bool = False,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
) -> Layer:
    """Attention whose scores a network computes: `softmax_s(tanh(x W + memory_s U) v) memory_s`.

    Inputs are `(x, memory, *, mask=None)`: the query of one step of a decoder, `(batch, in)`, or of all, `(batch, time, in)`; what
    it attends to, `(batch, memory, memory_features)`; and bools `(batch, memory)`, False for what doesn't count.

    Args:
      features: width of the hidden layer.
      return_weights: whether to return `(y, weights)`, with weights `(batch, memory)`, or `(batch, time, memory)`.
      kernel_init: makes the kernels of `query` (W), `(in, features)`, `key` (U), `(memory_features, features)`, and `score` (v),
        `(features, 1)`.

    Returns:
      A Layer to `(batch, memory_features)`, or `(batch, time, memory_features)`.

    Raises:
      ValueError: if `features` is not a positive integer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> layer, x, memory = L.additive_attention(16), jnp.ones((2, 6)), jnp.ones((2, 5, 8))
      >>> params, state = jax.jit(layer.init)(jax.random.key(0), x, memory)
      >>> jax.jit(layer.apply)(params, state, x, memory)[0].shape
      (2, 8)

    Source: Bahdanau, Cho and Bengio, "Neural Machine Translation by Jointly Learning to Align and Translate",
    https://arxiv.org/abs/1409.0473.
    """
    _check.positive("additive_attention", features=features)
    projection = functools.partial(dense, features, bias=False, kernel_init=kernel_init)

    def init(key: Any, query: Any, keys: Any, values: Any, mask: Any) -> dict:
        return {"kernel": parameter(key, "kernel", kernel_init, (features, 1), query)}

    def score(params: dict, query: jax.Array, keys: jax.Array, values: jax.Array, mask: Any) -> Any:
        return functional.additive_attention(query, keys, values, params["kernel"], mask=mask, return_weights=return_weights)

    @compose(query=projection(), key=projection(), score=stateless(init, score))
    def forward(net, x, memory, *, mask=None):
        _check_inputs("additive_attention", x, memory)
        return net.score(net.query(x), net.key(memory), memory, mask)

    return forward


def luong_attention(
    score: Score = "general",
    *,
    return_weights: bool = False,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
) -> Layer:
    """Attention by Luong's scores: `softmax_s(score(x, memory_s)) memory_s`.

    Scores are `x memory_s` (`"dot"`), `x W memory_s` (`"general"`), or `tanh([x; memory_s] W) v` (`"concat"`), which is
    `additive_attention` with a hidden layer as wide as `x`. Inputs are those of `additive_attention`.

    Args:
      score: which.
      return_weights: whether to return `(y, weights)`, with weights `(batch, memory)`, or `(batch, time, memory)`.
      kernel_init: makes the kernel of `query` (W), `(in, memory_features)`; for `"concat"`, those of `additive_attention`.

    Returns:
      A Layer to `(batch, memory_features)`, or `(batch, time, memory_features)`.

    Raises:
      ValueError: if there is no such score.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> layer, x, memory = L.luong_attention(), jnp.ones((2, 3, 6)), jnp.ones((2, 5, 8))
      >>> params, state = jax.jit(layer.init)(jax.random.key(0), x, memory)
      >>> params["query"]["kernel"].shape, jax.jit(layer.apply)(params, state, x, memory)[0].shape
      ((6, 8), (2, 3, 8))

    Source: Luong, Pham and Manning, "Effective Approaches to Attention-based Neural Machine Translation",
    https://arxiv.org/abs/1508.04025.
    """
    _check.choice("luong_attention", "score", score, ("dot", "general", "concat"))

    @functools.cache
    def sized(width: int, memory_features: int) -> Layer:
        if score == "concat":
            return additive_attention(width, return_weights=return_weights, kernel_init=kernel_init)
        query = dense(memory_features, bias=False, kernel_init=kernel_init) if score == "general" else lambda x: x

        @compose(query=query)
        def forward(net, x, memory, *, mask=None):
            return functional.dot_attention(net.query(x), memory, memory, mask=mask, return_weights=return_weights)

        return forward

    def choose(x: Any, memory: Any, *, mask: Any = None) -> Layer:
        _check_inputs("luong_attention", x, memory)
        return sized(x.shape[-1], memory.shape[-1])

    return fitted(choose)


def _check_inputs(name: str, x: Any, memory: Any) -> None:
    """Raises TypeError or ValueError unless both are what the docstrings say; which features fit is for the kernels to say."""
    x, memory = _check.floating(name, x), sequences(name, memory, "memory")
    _check.rank(name, x, (2, 3), "(batch, features) or (batch, time, features)")
    if len(x) != len(memory):
        raise ValueError(f"{name}: batches differ: x is {_check.describe(x)}, memory is {_check.describe(memory)}")
