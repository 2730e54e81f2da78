"""Batch normalisation with running statistics."""

from collections.abc import Hashable
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.layer import Layer
from jdl.layers._parameter import parameter


def batch_norm(
    *,
    momentum: float | jax.Array = 0.9,
    epsilon: float = 1e-5,
    axis_name: Hashable | None = None,
    scale_init: initializers.Initializer = initializers.ones,
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """Normalises every feature, by the batch's statistics in training and by running ones in evaluation.

    In training, `running = momentum * running + (1 - momentum) * batch`, for the mean (which starts at 0) and the biased variance
    (which starts at 1). Statistics are kept in float32 at least.

    Args:
      momentum: weight of the old running statistics, in [0, 1]; may be traced.
      epsilon: what keeps the root away from zero.
      axis_name: name (or names) of mapped axes whose members share statistics, under `vmap`, `shard_map` or `pmap`. Under `jit`,
        statistics of a sharded batch are global by themselves.
      scale_init: makes the scale, `(features,)`.
      bias_init: makes the bias, `(features,)`.

    Returns:
      A Layer on `(..., features)` with params `scale` and `bias` and state `mean` and `variance`.

    Raises:
      ValueError: if `momentum` is a number outside [0, 1].

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> x, norm = jnp.array([[1.0], [3.0]]), L.batch_norm()
      >>> params, state = norm.init(jax.random.key(0), x)
      >>> y, state = norm.apply(params, state, x, train=True)
      >>> y.round(3).ravel().tolist(), state["mean"].round(3).item()
      ([-1.0, 1.0], 0.20000000298023224)

    Source: Ioffe and Szegedy, "Batch Normalization", https://arxiv.org/abs/1502.03167.
    """
    _check.within("batch_norm", 0, 1, momentum=momentum)

    def init(key: jax.Array, x: Any) -> tuple[dict, dict]:
        x = _check.floating("batch_norm", x)
        _check.rank("batch_norm", x, range(2, 65), "(batch, ..., features)")
        shape, wide = x.shape[-1:], jnp.promote_types(x.dtype, jnp.float32)
        params = {"scale": parameter(key, "scale", scale_init, shape, x), "bias": parameter(key, "bias", bias_init, shape, x)}
        return params, {"mean": jnp.zeros(shape, wide), "variance": jnp.ones(shape, wide)}

    def apply(params: dict, state: dict, x: jax.Array, *, key: Any = None, train: bool = False) -> tuple[jax.Array, dict]:
        del key  # nothing is drawn
        x = _check.floating("batch_norm", x)
        _check.rank("batch_norm", x, range(2, 65), "(batch, ..., features)")
        mean, variance = state["mean"], state["variance"]
        if mean.shape != x.shape[-1:]:
            raise ValueError(f"batch_norm: statistics are of {mean.size} features, x is {_check.describe(x)}")
        if train:
            mean, variance = functional.moments(x, axis_name=axis_name)
            mix = lambda old, new: (momentum * old + (1 - momentum) * new).astype(old.dtype)
            state = {"mean": mix(state["mean"], mean), "variance": mix(state["variance"], variance)}
        return functional.batch_norm(x, mean, variance, params["scale"], params["bias"], epsilon=epsilon), state

    return Layer(init, apply)
