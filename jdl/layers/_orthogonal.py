"""Orthogonal kernels."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl import functional
from jdl.layer import Layer
from jdl.layers._parameter import parameter
from jdl.layers._reparametrize import reparametrize


def orthogonal(layer: Layer | Callable, where: str | None = "**/kernel") -> Layer:
    """Keeps kernels, seen as matrices `(everything, out)`, orthonormal in their columns, or in their rows if they are wide.

    The params hold a matrix of any values, at first zeros, by which Cayley's transform turns a base, drawn uniformly from all such
    matrices and kept in the state; the layer's own initial kernels are not used. It is chosen because it is smooth at every value
    of the params, in all modes of differentiation, and needs one well-conditioned linear system no larger than the shorter side. QR
    and products of Householder's reflections have no derivative where columns are dependent or zero, and the matrix exponential
    takes many products as large as the longer side. What it can't reach are turns of the base by exactly 180 degrees, and, if the
    kernel is square, determinants of the other sign than the base's. Weight decay pulls the kernel towards the base.

    Wrap the layer inside `repeat`, `L.repeat(L.orthogonal(layer), times)`. Outside, kernels are stacked, and the stack would be
    orthonormal, not they.

    Args:
      layer: any Layer.
      where: glob over the paths of its params, see `jdl.paths`; None selects everything.

    Returns:
      A Layer like `layer`, with params of the same shapes, and the bases under `orthogonal` in the state.

    Raises:
      ValueError: from `init` and `apply` if `where` matches nothing.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> model = L.orthogonal(L.dense(3, bias=False))
      >>> params, state = model.init(jax.random.key(0), jnp.eye(5))
      >>> kernel = model.apply({"kernel": params["kernel"] + 7.0}, state, jnp.eye(5))[0]
      >>> jnp.allclose(kernel.T @ kernel, jnp.eye(3), atol=1e-5).item()
      True

    Source: Helfrich, Willmott and Ye, "Orthogonal Recurrent Neural Networks with Scaled Cayley Transform",
    https://arxiv.org/abs/1707.09520.
    """

    def store(key, kernel):
        base = parameter(key, "base", initializers.orthogonal(), kernel.shape, kernel)
        return jnp.zeros_like(kernel), {}, {"base": base}

    def restore(kernel, own, kept, key, train):
        return functional.orthogonal(kernel, jax.lax.stop_gradient(kept["base"])), kept

    return reparametrize("orthogonal", layer, where, restore, store=store)
