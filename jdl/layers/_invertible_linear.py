"""An invertible matrix, as a step of a flow."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.layer import Layer
from jdl.layers._flow import of_places, samples
from jdl.layers._parameter import parameter


def invertible_linear() -> Layer:
    """Multiplies features by an invertible matrix, the same at all places: for images, a convolution with a window of 1.

    The matrix is kept as `P L U`: a permutation that stays, a lower triangle with ones on its diagonal, and an upper one, whose
    diagonal is `sign exp(s)` with signs that stay. So its determinant is the sum of s, and its inverse two triangular systems. At
    first it is orthogonal, drawn uniformly.

    Returns:
      A Layer from `(x, *, inverse=False)`, `x` as `(batch, ..., features)`, to `(y, log_det)`, as in `flow`, with params `lower`
      and `upper`, `(features, features)`, of which all but the triangles is left alone, and `log_scale`, `(features,)`. State has
      `permutation`, `(features, features)`, and `sign`, `(features,)`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> layer, x = L.invertible_linear(), jnp.array([[3.0, 4.0]])
      >>> params, state = layer.init(jax.random.key(0), x)
      >>> (y, log_det), _ = layer.apply(params, state, x)
      >>> jnp.linalg.norm(y).round(3).item(), (jnp.abs(log_det) < 1e-5).tolist()
      (5.0, [True])

    Source: Kingma and Dhariwal, "Glow: Generative Flow with Invertible 1x1 Convolutions", https://arxiv.org/abs/1807.03039,
    section 3.2.
    """
    return Layer(_init, _apply)


def _init(key: jax.Array, x: Any, *, inverse: bool = False) -> tuple[dict, dict]:
    del inverse  # the params are the same for both
    x = samples("invertible_linear", x)
    kernel = parameter(key, "kernel", initializers.orthogonal(), (x.shape[-1], x.shape[-1]), x)
    both, _, order = jax.lax.linalg.lu(kernel)  # the rows of the kernel in this order are L U
    diagonal = jnp.diagonal(both)
    params = {"lower": jnp.tril(both, -1), "upper": jnp.triu(both, 1), "log_scale": jnp.log(jnp.abs(diagonal))}
    permutation = jax.nn.one_hot(order, len(order), axis=0, dtype=kernel.dtype)
    return params, {"permutation": permutation, "sign": jnp.sign(diagonal)}


def _apply(
    params: dict, state: dict, x: Any, *, inverse: bool = False, key: Any = None, train: bool = False
) -> tuple[tuple[jax.Array, jax.Array], dict]:
    del key, train  # nothing is drawn, and training is as evaluation
    x = samples("invertible_linear", x)
    if params["log_scale"].shape != x.shape[-1:]:
        raise ValueError(f"invertible_linear: the matrix takes {params['log_scale'].size} features, x is {_check.describe(x)}")
    wide = widen(x)
    permutation, lower, upper = (a.astype(wide.dtype) for a in _factors(params, state))
    log_det = of_places(x, params["log_scale"].astype(wide.dtype))
    if not inverse:
        kernel = jnp.linalg.multi_dot([permutation, lower, upper], precision="highest")
        return (functional.dense(x, kernel), log_det), state
    rows = jax.lax.linalg.triangular_solve(upper, wide.reshape(-1, x.shape[-1]))
    rows = jax.lax.linalg.triangular_solve(lower, rows, lower=True, unit_diagonal=True)
    y = jnp.matmul(rows, permutation.T, precision="highest")
    return (y.reshape(x.shape).astype(x.dtype), -log_det), state


def _factors(params: dict, state: dict) -> tuple[jax.Array, ...]:
    """P, L and U."""
    lower, upper, log_scale = (widen(params[name]) for name in ("lower", "upper", "log_scale"))
    diagonal = jax.lax.stop_gradient(state["sign"]) * jnp.exp(log_scale)
    unit = jnp.eye(len(lower), dtype=lower.dtype)
    return jax.lax.stop_gradient(state["permutation"]), jnp.tril(lower, -1) + unit, jnp.triu(upper, 1) + jnp.diag(diagonal)
