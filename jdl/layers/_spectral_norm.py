"""Spectral normalisation of a layer's kernels."""

from collections.abc import Callable

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.layer import Layer
from jdl.layers._parameter import parameter
from jdl.layers._reparametrize import reparametrize


def spectral_norm(layer: Layer | Callable, where: str | None = "**/kernel", *, steps: int = 1, epsilon: float = 1e-12) -> Layer:
    """Divides kernels, seen as matrices `(everything, out)`, by their largest singular values.

    Power iteration estimates them. Its vector u is kept in the state: training moves it `steps` times before it is used, evaluation
    uses it as it is. It starts after 15 steps from a random vector, and is a constant for every derivative.

    Wrap the layer inside `repeat`, `L.repeat(L.spectral_norm(layer), times)`. Outside, kernels are stacked, and are divided by one
    number, the largest singular value of the stack, which is at least the largest of theirs.

    Args:
      layer: any Layer.
      where: glob over the paths of its params, see `jdl.paths`; None selects everything.
      steps: of power iteration at every call in training.
      epsilon: the least number to divide by.

    Returns:
      A Layer like `layer`, with the same params, and the vectors u, `(out,)`, under `spectral_norm` in the state.

    Raises:
      ValueError: if `steps` is not a positive integer, or `epsilon` is below 0; from `init` and `apply` if `where` matches nothing.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> model = L.spectral_norm(L.dense(2, kernel_init=lambda *_: jnp.diag(jnp.array([4.0, 1.0]))))
      >>> params, state = model.init(jax.random.key(0), jnp.ones(2))
      >>> model.apply(params, state, jnp.ones(2))[0].round(3).tolist()
      [1.0, 0.25]

    Source: Miyato et al., "Spectral Normalization for Generative Adversarial Networks", https://arxiv.org/abs/1802.05957.
    """
    _check.positive("spectral_norm", steps=steps)
    _check.within("spectral_norm", 0, float("inf"), epsilon=epsilon)

    def store(key, kernel):
        u = parameter(key, "u", initializers.normal(1), kernel.shape[-1:], kernel)
        return kernel, {}, {"u": functional.power_iteration(kernel, u, steps=15, epsilon=epsilon)}

    def restore(kernel, own, kept, key, train):
        u = functional.power_iteration(kernel, kept["u"], steps=steps, epsilon=epsilon) if train else kept["u"]
        return functional.spectral_norm(kernel, u, epsilon=epsilon), {"u": jax.lax.stop_gradient(u)}

    return reparametrize("spectral_norm", layer, where, restore, store=store)
