"""Constraints to sets of vectors and matrices."""

import jax
import jax.numpy as jnp
import optax

from jdl.constraints._projected import projected
from jdl.functional import _kernel
from jdl.functional._simplex import sparsemax
from jdl.functional._units import units


def non_negative(where: str | None = None) -> optax.GradientTransformation:
    """Keeps parameters at least 0: negative ones become 0.

    Args:
      where: glob over paths, such as `"**/kernel"`; everything if not given.

    Returns:
      An Optax transformation, to be chained after an optimizer. It needs params.

    Raises:
      ValueError: when called, if `where` matches nothing or params are not given.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import constraints
      >>> params = jnp.array([1.0, 2.0])
      >>> constraint = constraints.non_negative()
      >>> updates, _ = constraint.update(jnp.array([-3.0, 1.0]), constraint.init(params), params)
      >>> (params + updates).tolist()
      [0.0, 3.0]
    """
    return projected("non_negative", where, lambda w: jnp.maximum(w, 0))


def simplex(where: str | None = None) -> optax.GradientTransformation:
    """Keeps the weights into each output unit on the simplex, at least 0 with sum 1: the nearest point that is.

    Sums are over all axes but the last; a vector is one unit.

    Args:
      where: glob over paths, such as `"**/mixture"`; everything if not given.

    Returns:
      An Optax transformation, to be chained after an optimizer. It needs params.

    Raises:
      ValueError: when called, if `where` matches nothing or params are not given.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import constraints
      >>> params = jnp.array([0.5, 0.5, 0.0])
      >>> constraint = constraints.simplex()
      >>> updates, _ = constraint.update(jnp.array([0.5, 0.0, -2.0]), constraint.init(params), params)
      >>> (params + updates).tolist()
      [0.75, 0.25, 0.0]

    Source: Duchi et al., "Efficient Projections onto the l1-Ball for Learning in High Dimensions",
    https://doi.org/10.1145/1390156.1390191.
    """
    return projected("simplex", where, lambda w: sparsemax(units("simplex", w), axis=0).reshape(w.shape))


def stiefel(where: str | None = None) -> optax.GradientTransformation:
    """Keeps columns orthonormal (rows, if a kernel is wide): the nearest matrix that has such, `U V'` of `W = U S V'`.

    All axes but the last are one; a vector is one column. It costs a singular value decomposition for each step.

    Args:
      where: glob over paths, such as `"**/kernel"`; everything if not given.

    Returns:
      An Optax transformation, to be chained after an optimizer. It needs params.

    Raises:
      ValueError: when called, if `where` matches nothing or params are not given.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import constraints
      >>> params = jnp.eye(2)
      >>> constraint = constraints.stiefel()
      >>> updates, _ = constraint.update(jnp.array([[1.0, 1.0], [-1.0, 1.0]]), constraint.init(params), params)
      >>> [[round(x, 3) for x in row] for row in (params + updates).tolist()]
      [[0.894, 0.447], [-0.447, 0.894]]

    Source: Absil and Malick, "Projection-like Retractions on Matrix Manifolds", https://doi.org/10.1137/100802529.
    """

    def project(w: jax.Array) -> jax.Array:
        left, _, right = jnp.linalg.svd(units("stiefel", w), full_matrices=False)
        return _kernel.like(w, left @ right)

    return projected("stiefel", where, project)
