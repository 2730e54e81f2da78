"""The last layer of a model of many classes, of which rare ones have narrow weights."""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.layer import Layer, derive, stateless
from jdl.layers._dense import dense
from jdl.layers._parameter import parameter

_NAME = "adaptive_log_softmax"


def adaptive_log_softmax(
    classes: int,
    cutoffs: Sequence[int],
    *,
    div_value: float = 4.0,
    bias: bool = False,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """Log-probabilities of many classes sorted by frequency; the weights of cluster i see `in / div_value^i` features.

    Train it with `losses.negative_log_likelihood`. It has fewer weights and products than a dense layer; a compiled program has
    static shapes, so that no sample skips a cluster: see `functional.adaptive_log_softmax`.

    Args:
      classes: how many there are, the most frequent first.
      cutoffs: the first class of each cluster of rarer ones, rising, within 1..classes-1: with 10 classes, `[2, 5]` are the
        frequent classes 0 and 1, and clusters of classes 2 to 4 and 5 to 9.
      div_value: how much narrower each cluster is than the one before, at least 1; widths are rounded down.
      bias: whether to add one to the logits of frequent classes and clusters.
      kernel_init: makes the kernels, `(in, frequent + clusters)`, and of each cluster `(in, narrow)` and `(narrow, classes)`.
      bias_init: makes the bias, `(frequent + clusters,)`.

    Returns:
      A Layer from `(..., in)` to `(..., classes)` with params `head`, of `kernel` and `bias`, and for each cluster `tail0`,
      `tail1`, ..., of `down` and `up`, each with a `kernel`.

    Raises:
      ValueError: if `classes` is not a positive integer, cutoffs don't rise or lie outside 1..classes-1, or `div_value` is less
        than 1; when called, if no features are left for a cluster.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L, losses
      >>> layer, x = L.adaptive_log_softmax(1000, [100, 400]), jnp.ones((2, 64))
      >>> params, state = layer.init(jax.random.key(0), x)
      >>> params["head"]["kernel"].shape, params["tail1"]["down"]["kernel"].shape, params["tail1"]["up"]["kernel"].shape
      ((64, 102), (64, 4), (4, 600))
      >>> log_probabilities, state = layer.apply(params, state, x)
      >>> losses.negative_log_likelihood(log_probabilities, jnp.array([7, 512])).shape
      ()

    Source: Grave et al., "Efficient softmax approximation for GPUs", https://arxiv.org/abs/1609.04309.
    """
    _check.positive(_NAME, classes=classes)
    _check.all_positive(_NAME, cutoffs=tuple(cutoffs))
    bounds = (*cutoffs, classes)
    if len(bounds) < 2 or any(low >= high for low, high in itertools.pairwise(bounds)):
        raise ValueError(f"{_NAME}: cutoffs must rise, one or more, and be less than {classes} classes, got {list(cutoffs)}")
    _check.within(_NAME, 1, float("inf"), div_value=div_value)
    head = dense(bounds[0] + len(cutoffs), bias=bias, kernel_init=kernel_init, bias_init=bias_init)

    def tail(key: jax.Array, number: int, x: Any) -> dict:
        features, size = x.shape[-1], bounds[number + 1] - bounds[number]
        narrow = int(features // div_value ** (number + 1))
        if narrow < 1:
            mend = "lower div_value, or take fewer cutoffs"
            raise ValueError(f"{_NAME}: no features are left for cluster {number}, x is {_check.describe(x)}; {mend}")
        kernel = lambda name, *shape: {"kernel": parameter(derive(key, name), "kernel", kernel_init, shape, x)}
        return {"down": kernel("down", features, narrow), "up": kernel("up", narrow, size)}

    def init(key: jax.Array, x: Any) -> dict:
        x = _check.floating(_NAME, x)
        _check.rank(_NAME, x, range(1, 65), "(..., features)")
        tails = {f"tail{i}": tail(derive(key, f"tail{i}"), i, x) for i in range(len(cutoffs))}
        return {"head": head.init(derive(key, "head"), x)[0]} | tails

    def forward(params: dict, x: jax.Array) -> jax.Array:
        tails = [tuple(params[f"tail{i}"][name]["kernel"] for name in ("down", "up")) for i in range(len(cutoffs))]
        return functional.adaptive_log_softmax(x, params["head"]["kernel"], tails, params["head"].get("bias"))

    return stateless(init, forward)
