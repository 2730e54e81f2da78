"""Normalising flows: layers that can be inverted, and know how they change volumes.

Each is a Layer from `x`, `(batch, ..., features)`, to `(y, log_det)`: `log_det`, `(batch,)`, is the logarithm of the absolute
determinant of the derivative of a sample's `y` by its `x`. With the input `inverse=True`, it is the inverse, from `y` to `x`.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.layer import Layer, compose, numbered, stateless


def flow(*steps: Layer, **named: Layer) -> Layer:
    """Applies invertible layers one after the other, or, inverted, the last one first, and sums the logarithms of determinants.

    The density of data is that of `y`, times the determinant; samples are the inverse of normal numbers. A compiled `apply` has
    `inverse` among its `static_argnames`.

    Args:
      *steps: such as `actnorm()`, `invertible_linear()`, `affine_coupling(...)` or another flow: Layers from
        `(x, *, inverse=False)` to `(y, log_det)`. They are named by position, "0", "1", ...
      **named: likewise, named by keyword.

    Returns:
      A Layer from `(x, *, inverse=False)`, `x` as `(batch, ..., features)`, to `(y, log_det)`, `log_det` as `(batch,)`, of float32
      at least.

    Raises:
      ValueError: if there is no step, or two have one name.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional, layers as L
      >>> couple = lambda swap: L.affine_coupling(L.mlp([16, 16]), swap=swap)
      >>> model, x = L.flow(L.actnorm(), couple(False), couple(True), L.invertible_linear()), jnp.ones((5, 2))
      >>> params, state = model.init(jax.random.key(0), x)
      >>> (y, log_det), _ = model.apply(params, state, x)
      >>> loss = -(functional.standard_normal_log_prob(y) + log_det).mean()
      >>> (back, _), _ = model.apply(params, state, y, inverse=True)
      >>> log_det.shape, jnp.allclose(back, x, atol=1e-5).item()
      ((5,), True)

    Source: Dinh et al., "Density estimation using Real NVP", https://arxiv.org/abs/1605.08803.
    """
    layers = numbered(steps, dict(named), "flow: two steps")
    if not layers:
        raise ValueError("flow: there must be a step, got none")

    @compose(**layers)
    def forward(net, x, *, inverse=False):
        x = samples("flow", x)
        total = jnp.zeros(x.shape[0], widen(x).dtype)
        for name in reversed(layers) if inverse else layers:
            x, log_det = getattr(net, name)(x, inverse=inverse)
            total = total + log_det
        return x, total

    return forward


def permutation(order: Sequence[int] | None = None) -> Layer:
    """Puts features in another order, so that the next coupling changes others; volumes stay.

    Args:
      order: the places that features come from, each of 0, 1, ..., features - 1 once; reversed if not given.

    Returns:
      A Layer from `(x, *, inverse=False)`, `x` as `(batch, ..., features)`, to `(y, log_det)`, as in `flow`, with zeros for
      `log_det`.

    Raises:
      ValueError: if it is no order, or one of another number of features.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> layer, x = L.permutation([2, 0, 1]), jnp.array([[5.0, 6.0, 7.0]])
      >>> layer.apply({}, {}, x)[0][0].tolist(), layer.apply({}, {}, x, inverse=True)[0][0].tolist()
      ([[7.0, 5.0, 6.0]], [[6.0, 7.0, 5.0]])

    Source: Dinh et al., "Density estimation using Real NVP", https://arxiv.org/abs/1605.08803.
    """
    places = None if order is None else np.asarray(order)
    counted = places is None or (places.ndim == 1 and places.size > 0 and np.issubdtype(places.dtype, np.integer))
    if not counted or (places is not None and sorted(places.tolist()) != list(range(places.size))):
        raise ValueError(f"permutation: order must hold each of 0, 1, ..., features - 1 once, got {order}")

    def check(x: Any) -> Any:
        x = samples("permutation", x)
        if places is not None and places.size != x.shape[-1]:
            raise ValueError(f"permutation: order is of {places.size} features, x is {_check.describe(x)}")
        return x

    def init(key: Any, x: Any, *, inverse: bool = False) -> dict:
        del key, inverse  # there is nothing to initialise
        check(x)
        return {}

    def forward(params: dict, x: Any, *, inverse: bool = False) -> tuple[jax.Array, jax.Array]:
        del params  # it has none
        x = check(x)
        there = np.arange(x.shape[-1])[::-1] if places is None else places
        there = np.argsort(there) if inverse else there
        return x[..., there.astype("int32")], jnp.zeros(x.shape[0], widen(x).dtype)

    return stateless(init, forward)


def samples(name: str, x: Any) -> Any:
    """`x` as JAX's array; raises unless it is `(batch, ..., features)`."""
    x = _check.floating(name, x)
    _check.rank(name, x, range(2, 65), "(batch, ..., features)")
    return x


def of_places(x: jax.Array, log_scale: jax.Array) -> jax.Array:
    """The logarithm of the determinant, `(batch,)`, of a map that is the same at all places of `x`, from those of its factors."""
    return jnp.broadcast_to(math.prod(x.shape[1:-1]) * log_scale.sum(), x.shape[:1])
