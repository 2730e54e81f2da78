"""Deep sets."""

from collections.abc import Callable
from typing import Literal

from jdl import functional
from jdl.functional import _check
from jdl.functional._dropout import sequences
from jdl.layer import Layer, compose

_POOLS = {"sum": functional.global_sum_pool, "mean": functional.global_avg_pool, "max": functional.global_max_pool}


def deep_sets(inner: Layer | Callable, outer: Layer | Callable, *, reduction: Literal["sum", "mean", "max"] = "sum") -> Layer:
    """A function of sets, whatever their order: `y = outer(sum_n inner(x[n]))`.

    Args:
      inner: on every element, from `(batch, n, in)` to `(batch, n, hidden)`, such as `mlp([64, 64])`.
      outer: from `(batch, hidden)`.
      reduction: `"sum"`, `"mean"` or `"max"` over the elements; of none it is 0.

    Returns:
      A Layer on `(batch, n, in)`, with an input `mask=`, `(batch, n)` bool, False for what is no element, if you like.

    Raises:
      ValueError: if there is no such reduction.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.deep_sets(L.mlp([8, 8]), L.dense(2)).init(jax.random.key(0), jnp.ones((4, 5, 3)))
      >>> params["outer"]["kernel"].shape
      (8, 2)

    Source: Zaheer et al., "Deep Sets", https://arxiv.org/abs/1703.06114.
    """
    _check.choice("deep_sets", "reduction", reduction, tuple(_POOLS))

    @compose(inner=inner, outer=outer)
    def forward(net, x, mask=None):
        return net.outer(_POOLS[reduction](net.inner(sequences("deep_sets", x)), mask))

    return forward
