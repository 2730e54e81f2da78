"""Penalties on weights."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl import paths
from jdl.functional import _check
from jdl.functional._numbers import widen

Penalty = Callable[[Any], jax.Array]


def l1(strength: float | jax.Array, where: str | None = None) -> Penalty:
    """Penalises absolute values, which drives weights to zero: `strength * sum |w|`.

    Args:
      strength: at least 0; may be traced.
      where: glob over paths, such as `"**/kernel"`; everything if not given.

    Returns:
      A function from params to a scalar.

    Raises:
      ValueError: if `strength` is a negative number; when called, if `where` matches nothing.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> regularizers.l1(0.5)({"kernel": jnp.array([1.0, -3.0])}).item()
      2.0

    Source: Tibshirani, "Regression Shrinkage and Selection via the Lasso", https://doi.org/10.1111/j.2517-6161.1996.tb02080.x.
    """
    return _penalty("l1", strength, where, jnp.abs)


def l2(strength: float | jax.Array, where: str | None = None) -> Penalty:
    """Penalises squares, which keeps weights small: `strength * sum w^2`.

    Args:
      strength: at least 0; may be traced.
      where: glob over paths, such as `"**/kernel"`; everything if not given.

    Returns:
      A function from params to a scalar.

    Raises:
      ValueError: if `strength` is a negative number; when called, if `where` matches nothing.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> regularizers.l2(0.5)({"kernel": jnp.array([1.0, -3.0])}).item()
      5.0

    Source: Hoerl and Kennard, "Ridge Regression", https://doi.org/10.1080/00401706.1970.10488634.
    """
    return _penalty("l2", strength, where, jnp.square)


def elastic_net(l1_strength: float | jax.Array, l2_strength: float | jax.Array, where: str | None = None) -> Penalty:
    """Penalises absolute values and squares: `l1_strength * sum |w| + l2_strength * sum w^2`.

    Args:
      l1_strength: at least 0; may be traced.
      l2_strength: at least 0; may be traced.
      where: glob over paths, such as `"**/kernel"`; everything if not given.

    Returns:
      A function from params to a scalar.

    Raises:
      ValueError: if a strength is a negative number; when called, if `where` matches nothing.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> regularizers.elastic_net(0.5, 0.5)({"kernel": jnp.array([1.0, -3.0])}).item()
      7.0

    Source: Zou and Hastie, "Regularization and variable selection via the elastic net",
    https://doi.org/10.1111/j.1467-9868.2005.00503.x.
    """
    parts = l1(l1_strength, where), l2(l2_strength, where)
    return lambda params: parts[0](params) + parts[1](params)


def _penalty(name: str, strength: float | jax.Array, where: str | None, each: Callable[[jax.Array], jax.Array]) -> Penalty:
    _check.within(name, 0, float("inf"), strength=strength)

    def penalty(params: Any) -> jax.Array:
        wide = [widen(w) for w in paths.select(params, where)]
        return strength * jax.tree.reduce(jnp.add, [each(w).sum() for w in wide], jnp.zeros(()))

    return penalty
