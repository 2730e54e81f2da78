"""Penalties on weights."""

import jax
import jax.numpy as jnp

from jdl.regularizers._algebra import Penalty, summed, total


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
    return summed("l1", strength, where, lambda w: jnp.abs(w).sum())


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
    return summed("l2", strength, where, lambda w: jnp.square(w).sum())


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
    return total(l1(l1_strength, where), l2(l2_strength, where))
