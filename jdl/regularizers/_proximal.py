"""Proximal operators: what takes a step on a penalty exactly, so that weights become zero and not just small.

The operator of a penalty P is `prox(params, step_size) = argmin_w |w - params|^2 / 2 + step_size P(w)`. To apply it after an
optimizer's step is what `gradients.proximal` does.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl import paths
from jdl.functional import _check, _kernel
from jdl.functional._numbers import widen
from jdl.functional._shrink import soft_shrink
from jdl.functional._units import units
from jdl.regularizers._groups import Groups, group_norms

Proximal = Callable[[Any, float | jax.Array], Any]


def proximal_l1(strength: float | jax.Array, where: str | None = None) -> Proximal:
    """The proximal operator of `l1`, soft thresholding: `sign(w) max(|w| - step_size * strength, 0)`.

    Args:
      strength: at least 0; may be traced.
      where: glob over paths, such as `"**/kernel"`; everything if not given.

    Returns:
      A function `(params, step_size) -> params`; the step size may be traced.

    Raises:
      ValueError: if `strength` is a negative number; when called, if `where` matches nothing.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> regularizers.proximal_l1(1.0)({"kernel": jnp.array([0.25, -3.0])}, 0.5)["kernel"].tolist()
      [0.0, -2.5]

    Source: Parikh and Boyd, "Proximal Algorithms", https://doi.org/10.1561/2400000003.
    """
    return proximal_elastic_net(strength, 0.0, where)


def proximal_elastic_net(l1_strength: float | jax.Array, l2_strength: float | jax.Array, where: str | None = None) -> Proximal:
    """The proximal operator of `elastic_net`: `sign(w) max(|w| - step_size * l1_strength, 0) / (1 + 2 step_size * l2_strength)`.

    Args:
      l1_strength: at least 0; may be traced.
      l2_strength: at least 0; may be traced.
      where: glob over paths, such as `"**/kernel"`; everything if not given.

    Returns:
      A function `(params, step_size) -> params`; the step size may be traced.

    Raises:
      ValueError: if a strength is a negative number; when called, if `where` matches nothing.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> regularizers.proximal_elastic_net(1.0, 1.0)({"kernel": jnp.array([0.25, -3.0])}, 0.5)["kernel"].tolist()
      [0.0, -1.25]

    Source: Parikh and Boyd, "Proximal Algorithms", https://doi.org/10.1561/2400000003.
    """
    _check.within("proximal_elastic_net", 0, float("inf"), l1_strength=l1_strength, l2_strength=l2_strength)

    def each(w: jax.Array, step_size: float | jax.Array) -> jax.Array:
        return soft_shrink(w, step_size * l1_strength) / (1 + 2 * step_size * l2_strength)

    return _operator("proximal_elastic_net", where, each)


def proximal_group_lasso(strength: float | jax.Array, where: str | None = None, *, groups: Groups = "output") -> Proximal:
    """The proximal operator of `group_lasso`: `w_g max(1 - step_size * strength * sqrt(entries_g) / |w_g|, 0)`.

    Args:
      strength: at least 0; may be traced.
      where: glob over paths, such as `"**/kernel"`; everything if not given.
      groups: `"output"` or `"input"`, as in `group_lasso`.

    Returns:
      A function `(params, step_size) -> params`; the step size may be traced.

    Raises:
      ValueError: if `strength` is a negative number or `groups` is unknown; when called, if `where` matches nothing.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> prox = regularizers.proximal_group_lasso(1.0)
      >>> prox({"kernel": jnp.array([[3.0, 0.1], [4.0, 0.1], [0.0, 0.1], [0.0, 0.1]])}, 1.25)["kernel"].tolist()
      [[1.5, 0.0], [2.0, 0.0], [0.0, 0.0], [0.0, 0.0]]

    Source: Yuan and Lin, "Model selection and estimation in regression with grouped variables",
    https://doi.org/10.1111/j.1467-9868.2005.00532.x.
    """
    return proximal_sparse_group_lasso(0.0, strength, where, groups=groups)


def proximal_sparse_group_lasso(
    l1_strength: float | jax.Array, group_strength: float | jax.Array, where: str | None = None, *, groups: Groups = "output"
) -> Proximal:
    """The proximal operator of `sparse_group_lasso`: that of `l1`, and then that of `group_lasso`.

    Args:
      l1_strength: at least 0; may be traced.
      group_strength: at least 0; may be traced.
      where: glob over paths, such as `"**/kernel"`; everything if not given.
      groups: `"output"` or `"input"`, as in `group_lasso`.

    Returns:
      A function `(params, step_size) -> params`; the step size may be traced.

    Raises:
      ValueError: if a strength is a negative number or `groups` is unknown; when called, if `where` matches nothing.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> prox = regularizers.proximal_sparse_group_lasso(1.0, 1.25)
      >>> prox({"kernel": jnp.array([[4.0], [5.0], [1.0], [-0.5]])}, 1.0)["kernel"].ravel().tolist()
      [1.5, 2.0, 0.0, 0.0]

    Source: Simon et al., "A Sparse-Group Lasso", https://doi.org/10.1080/10618600.2012.681250.
    """
    _check.within("proximal_sparse_group_lasso", 0, float("inf"), l1_strength=l1_strength, group_strength=group_strength)
    _check.choice("proximal_sparse_group_lasso", "groups", groups, ("output", "input"))

    def each(w: jax.Array, step_size: float | jax.Array) -> jax.Array:
        w = soft_shrink(w, step_size * l1_strength)
        norms, entries = group_norms(w, groups)
        limit = step_size * group_strength * entries**0.5
        return jnp.where(norms > limit, w * (1 - limit / jnp.where(norms > 0, norms, 1)), 0)

    return _operator("proximal_sparse_group_lasso", where, each)


def proximal_nuclear(strength: float | jax.Array, where: str | None = None) -> Proximal:
    """The proximal operator of `nuclear`, soft thresholding of singular values: `U max(S - step_size * strength, 0) V'`.

    Args:
      strength: at least 0; may be traced.
      where: glob over paths, such as `"**/kernel"`; everything if not given. All axes but the last are one; a vector is one column.

    Returns:
      A function `(params, step_size) -> params`; the step size may be traced.

    Raises:
      ValueError: if `strength` is a negative number; when called, if `where` matches nothing.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> kernel = regularizers.proximal_nuclear(1.0)({"kernel": jnp.diag(jnp.array([3.0, 0.5]))}, 1.0)["kernel"]
      >>> abs(kernel).round(4).tolist()
      [[2.0, 0.0], [0.0, 0.0]]

    Source: Cai, Candes and Shen, "A Singular Value Thresholding Algorithm for Matrix Completion", https://arxiv.org/abs/0810.3286.
    """
    _check.within("proximal_nuclear", 0, float("inf"), strength=strength)

    def each(w: jax.Array, step_size: float | jax.Array) -> jax.Array:
        left, sigma, right = jnp.linalg.svd(units("proximal_nuclear", w), full_matrices=False)
        kept = jnp.maximum(sigma - step_size * strength, 0)
        return _kernel.like(w, (left * jnp.expand_dims(kept, 0)) @ right)

    return _operator("proximal_nuclear", where, each)


def _operator(name: str, where: str | None, each: Callable[[jax.Array, Any], jax.Array]) -> Proximal:
    def prox(params: Any, step_size: float | jax.Array) -> Any:
        _check.within(name, 0, float("inf"), step_size=step_size)

        def one(w: jax.Array, chosen: bool) -> jax.Array:
            return each(widen(_check.floating(name, w, "each parameter")), step_size).astype(w.dtype) if chosen else w

        return jax.tree.map(one, params, paths.matches(params, where))

    return prox
