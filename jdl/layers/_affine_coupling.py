"""A layer that is inverted as easily as applied: what changes one half of the features is computed from the other."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._dense import dense
from jdl.functional._numbers import widen
from jdl.layer import Layer, compose, stateless
from jdl.layers._flow import samples
from jdl.layers._parameter import parameter


def affine_coupling(conditioner: Layer | Callable, *, swap: bool = False) -> Layer:
    """Scales and shifts one half of the features by functions of the other half, which stays: `y = x exp(s) + t`.

    A dense layer, at first of zeros, makes s and t of what the conditioner returns, so that the layer begins as the identity. The
    scale is bounded, `s = a tanh(...)`, with one learnt number a for each feature, at first 1.

    Args:
      conditioner: any Layer from `(batch, ..., half)` to `(batch, ..., any)`, such as `mlp([64, 64], activate_last=True)`, or
        convolutions for images. It need not be invertible.
      swap: whether the first half changes, instead of the second. The first has a feature less, if their number is odd.

    Returns:
      A Layer from `(x, *, inverse=False)`, `x` as `(batch, ..., features)`, to `(y, log_det)`, as in `flow`, with the params of
      `conditioner`, and `out`: `kernel`, `bias` and `scale`.

    Raises:
      TypeError: if the conditioner is not a Layer or a function.
      ValueError: from `init` and `apply`, if there are less than two features, or the conditioner changes other axes than the last.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> layer, x = L.affine_coupling(L.mlp([8], activate_last=True)), jnp.ones((2, 5))
      >>> params, state = layer.init(jax.random.key(0), x)
      >>> (y, log_det), _ = layer.apply(params, state, x)
      >>> y.tolist() == x.tolist(), log_det.tolist(), params["out"]["kernel"].shape
      (True, [0.0, 0.0], (8, 6))

    Source: Dinh et al., "Density estimation using Real NVP", https://arxiv.org/abs/1605.08803; zeros at first: Kingma and
    Dhariwal, "Glow", https://arxiv.org/abs/1807.03039.
    """

    @compose(conditioner=conditioner, out=stateless(_init, _scale_and_shift))
    def coupling(net, x, *, inverse=False):
        x = samples("affine_coupling", x)
        if x.shape[-1] < 2:
            raise ValueError(f"affine_coupling: x must have two features at least, got {_check.describe(x)}")
        kept, moved = jnp.split(x, [x.shape[-1] // 2], axis=-1)[:: -1 if swap else 1]
        seen = _check.floating("affine_coupling", net.conditioner(kept), "what the conditioner returns")
        if seen.shape[:-1] != moved.shape[:-1]:
            wants = f"({', '.join(map(str, moved.shape[:-1]))}, any)"
            raise ValueError(f"affine_coupling: the conditioner must return {wants}, got {_check.describe(seen)}")
        log_scale, shift = net.out(seen, moved)
        wide = widen(moved)
        new = (wide - shift) * jnp.exp(-log_scale) if inverse else wide * jnp.exp(log_scale) + shift
        y = jnp.concatenate([kept, new.astype(x.dtype)][:: -1 if swap else 1], axis=-1)
        log_det = log_scale.sum(range(1, x.ndim))
        return y, -log_det if inverse else log_det

    return coupling


def _init(key: jax.Array, seen: Any, moved: Any) -> dict:
    features = moved.shape[-1]
    return {
        "kernel": parameter(key, "kernel", jax.nn.initializers.zeros, (seen.shape[-1], 2 * features), moved),
        "bias": parameter(key, "bias", jax.nn.initializers.zeros, (2 * features,), moved),
        "scale": parameter(key, "scale", jax.nn.initializers.ones, (features,), moved),
    }


def _scale_and_shift(params: dict, seen: jax.Array, moved: jax.Array) -> tuple[jax.Array, jax.Array]:
    raw, shift = jnp.split(widen(dense(seen, params["kernel"], params["bias"])), 2, axis=-1)
    scale = params["scale"].astype(raw.dtype)
    return jnp.expand_dims(scale, range(moved.ndim - 1)) * jnp.tanh(raw), shift
