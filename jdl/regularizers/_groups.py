"""Penalties on groups of weights, which become zero together."""

import math
from typing import Literal

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import root
from jdl.functional._units import input_axes
from jdl.regularizers._algebra import Penalty, summed, total
from jdl.regularizers._weights import l1

Groups = Literal["output", "input"]


def group_lasso(strength: float | jax.Array, where: str | None = None, *, groups: Groups = "output") -> Penalty:
    """Penalises the norm of each group, which drives whole units to zero: `strength * sum_g sqrt(entries_g) |w_g|`.

    Where a group is zero the gradient is taken to be zero.

    Args:
      strength: at least 0; may be traced.
      where: glob over paths, such as `"**/kernel"`; everything if not given.
      groups: `"output"`, the weights into one output unit (all axes but the last; a vector is one unit), or `"input"`, those from
        one input (all axes but the last but one).

    Returns:
      A function from params to a scalar.

    Raises:
      ValueError: if `strength` is a negative number or `groups` is unknown; when called, if `where` matches nothing.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> params = {"kernel": jnp.array([[3.0, 0.0], [4.0, 0.0], [0.0, 0.0], [0.0, 0.0]])}
      >>> regularizers.group_lasso(0.5)(params).item()
      5.0

    Source: Yuan and Lin, "Model selection and estimation in regression with grouped variables",
    https://doi.org/10.1111/j.1467-9868.2005.00532.x.
    """
    _check.choice("group_lasso", "groups", groups, ("output", "input"))

    def each(w: jax.Array) -> jax.Array:
        norms, entries = group_norms(w, groups)
        return entries**0.5 * norms.sum()

    return summed("group_lasso", strength, where, each)


def sparse_group_lasso(
    l1_strength: float | jax.Array, group_strength: float | jax.Array, where: str | None = None, *, groups: Groups = "output"
) -> Penalty:
    """Penalises entries and groups: `l1_strength * sum |w| + group_strength * sum_g sqrt(entries_g) |w_g|`.

    Whole units become zero, and entries of those that are left.

    Args:
      l1_strength: at least 0; may be traced.
      group_strength: at least 0; may be traced.
      where: glob over paths, such as `"**/kernel"`; everything if not given.
      groups: `"output"` or `"input"`, as in `group_lasso`.

    Returns:
      A function from params to a scalar.

    Raises:
      ValueError: if a strength is a negative number or `groups` is unknown; when called, if `where` matches nothing.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> params = {"kernel": jnp.array([[3.0], [4.0], [0.0], [0.0]])}
      >>> regularizers.sparse_group_lasso(1.0, 0.5)(params).item()
      12.0

    Source: Simon et al., "A Sparse-Group Lasso", https://doi.org/10.1080/10618600.2012.681250.
    """
    return total(l1(l1_strength, where), group_lasso(group_strength, where, groups=groups))


def group_norms(w: jax.Array, groups: Groups) -> tuple[jax.Array, int]:
    """The norms of the groups of an array, which broadcast to it, and how many entries a group has."""
    if groups == "output":
        axes = input_axes(w)
    else:
        axes = (*range(w.ndim - 2), w.ndim - 1) if w.ndim > 1 else ()
    return root(jnp.square(w).sum(axes, keepdims=True)), math.prod(w.shape[axis] for axis in axes)
