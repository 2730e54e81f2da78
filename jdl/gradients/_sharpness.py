"""Gradients that lead to flat minima."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.gradients._leafwise import needed


def sam(rho: float | jax.Array = 0.05) -> optax.GradientTransformationExtraArgs:
    """Sharpness-aware minimisation: takes the gradient where the loss is about the worst nearby, at `w + rho g / |g|`.

    It needs the loss as a function of params, which `train.step` hands to every optimizer: each step computes two gradients, of the
    same batch with the same key.

    Args:
      rho: how far away, at least 0; may be traced. 0 gives the gradient itself.

    Returns:
      An Optax transformation, to be chained before an optimizer: `optax.chain(gradients.sam(0.05), optax.adam(1e-3))`.

    Raises:
      ValueError: if `rho` is a negative number; when called, if params or `value_fn` are not given.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import gradients
      >>> loss = lambda w: w**4 / 4
      >>> params, sam = jnp.array(1.0), gradients.sam(1.0)
      >>> updates, _ = sam.update(jax.grad(loss)(params), sam.init(params), params, value_fn=loss)
      >>> updates.item()  # the gradient at 2
      8.0

    Source: Foret et al., "Sharpness-Aware Minimization for Efficiently Improving Generalization", https://arxiv.org/abs/2010.01412.
    """
    _check.within("sam", 0, float("inf"), rho=rho)
    return _nearby("sam", rho, lambda w: jnp.ones_like(w))


def asam(rho: float | jax.Array = 0.5, *, offset: float | jax.Array = 0.01) -> optax.GradientTransformationExtraArgs:
    """Adaptive `sam`, for which scaling weights changes nothing: the gradient at `w + rho T^2 g / |T g|` with `T = |w| + offset`.

    Args:
      rho: how far away, relative to weights, at least 0; may be traced.
      offset: eta in the paper, at least 0, which lets weights of zero move too; may be traced.

    Returns:
      An Optax transformation, to be chained before an optimizer. It needs what `sam` needs.

    Raises:
      ValueError: if `rho` or `offset` is a negative number; when called, if params or `value_fn` are not given.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import gradients
      >>> loss = lambda w: w**4 / 4
      >>> params, asam = jnp.array(1.0), gradients.asam(0.5, offset=0.0)
      >>> updates, _ = asam.update(jax.grad(loss)(params), asam.init(params), params, value_fn=loss)
      >>> updates.item()  # the gradient at 1.5
      3.375

    Source: Kwon et al., "ASAM: Adaptive Sharpness-Aware Minimization", https://arxiv.org/abs/2102.11600.
    """
    _check.within("asam", 0, float("inf"), rho=rho, offset=offset)
    return _nearby("asam", rho, lambda w: jnp.abs(w) + offset)


def _nearby(name: str, rho: float | jax.Array, scale: Callable[[jax.Array], jax.Array]) -> optax.GradientTransformationExtraArgs:
    def update(
        updates: Any, state: Any, params: Any = None, *, value_fn: Callable[[Any], jax.Array] | None = None, **extra: Any
    ) -> tuple[Any, Any]:
        del extra  # what other optimizers take
        params = needed(name, params)
        if value_fn is None:
            raise ValueError(f"{name}: needs the loss, as in optimizer.update(gradient, state, params, value_fn=loss)")
        scales = jax.tree.map(lambda w: scale(widen(w)), params)
        slope = jax.tree.map(lambda s, g: s * widen(g), scales, updates)
        length = optax.tree.norm(slope)
        factor = rho / jnp.where(length > 0, length, 1)
        move = lambda w, s, g: (widen(w) + factor * s * g).astype(w.dtype)
        return jax.grad(value_fn)(jax.tree.map(move, params, scales, slope)), state

    return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)
