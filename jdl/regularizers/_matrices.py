"""Penalties on kernels as matrices: all axes but the last are inputs, the last is the output."""

import jax
import jax.numpy as jnp

from jdl.functional._units import units
from jdl.regularizers._algebra import Penalty, summed


def orthogonal(strength: float | jax.Array, where: str | None = None) -> Penalty:
    """Penalises columns that are not orthonormal: `strength * |W'W - I|^2`.

    For a wide kernel, whose columns can't be orthonormal, it is `|WW' - I|^2`, which has the same gradient and is 0 for orthonormal
    rows.

    Args:
      strength: at least 0; may be traced.
      where: glob over paths, such as `"**/kernel"`; everything if not given. All axes but the last are one; a vector is one column.

    Returns:
      A function from params to a scalar.

    Raises:
      ValueError: if `strength` is a negative number; when called, if `where` matches nothing.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> regularizers.orthogonal(0.5)({"kernel": jnp.array([[1.0, 1.0], [0.0, 1.0]])}).item()
      1.5

    Source: Bansal, Chen and Wang, "Can We Gain More from Orthogonality Regularizations in Training Deep CNNs?",
    https://arxiv.org/abs/1810.09102.
    """

    def each(w: jax.Array) -> jax.Array:
        matrix = _tall("orthogonal", w)
        return jnp.square(matrix.T @ matrix - jnp.eye(matrix.shape[1], dtype=matrix.dtype)).sum()

    return summed("orthogonal", strength, where, each)


def nuclear(strength: float | jax.Array, where: str | None = None) -> Penalty:
    """Penalises the sum of singular values, which lowers the rank: `strength * sum_i sigma_i(W)`.

    Singular values that are zero up to rounding have a gradient of zero. The gradient exists for repeated ones too; a second
    derivative only where singular values differ.

    Args:
      strength: at least 0; may be traced.
      where: glob over paths, such as `"**/kernel"`; everything if not given. All axes but the last are one; a vector is one column.

    Returns:
      A function from params to a scalar.

    Raises:
      ValueError: if `strength` is a negative number; when called, if `where` matches nothing.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> round(regularizers.nuclear(0.5)({"kernel": jnp.diag(jnp.array([3.0, -1.0]))}).item(), 4)
      2.0

    Source: Fazel, Hindi and Boyd, "A rank minimization heuristic with application to minimum order system approximation",
    https://doi.org/10.1109/ACC.2001.945730.
    """

    def each(w: jax.Array) -> jax.Array:
        sigma = _singular_values("nuclear", w)
        rounding = jnp.finfo(sigma.dtype).eps * max(w.shape, default=1) * sigma.max(initial=0)
        return jnp.where(sigma > rounding, sigma, 0).sum()

    return summed("nuclear", strength, where, each)


def spectral(strength: float | jax.Array, where: str | None = None) -> Penalty:
    """Penalises the square of the largest singular value, the most that a kernel can stretch: `strength * sigma_max(W)^2`.

    It is computed by a singular value decomposition: a penalty has no state in which a power iteration could go on.

    Args:
      strength: at least 0; may be traced.
      where: glob over paths, such as `"**/kernel"`; everything if not given. All axes but the last are one; a vector is one column.

    Returns:
      A function from params to a scalar.

    Raises:
      ValueError: if `strength` is a negative number; when called, if `where` matches nothing.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> round(regularizers.spectral(0.5)({"kernel": jnp.diag(jnp.array([2.0, -1.0]))}).item(), 4)
      2.0

    Source: Yoshida and Miyato, "Spectral Norm Regularization for Improving the Generalizability of Deep Learning",
    https://arxiv.org/abs/1705.10941.
    """
    return summed("spectral", strength, where, lambda w: jnp.square(_singular_values("spectral", w)[:1]).sum())


def _singular_values(name: str, w: jax.Array) -> jax.Array:
    return jnp.linalg.svd(_tall(name, w), full_matrices=False, compute_uv=False)


def _tall(name: str, w: jax.Array) -> jax.Array:
    matrix = units(name, w)
    return matrix.T if matrix.shape[0] < matrix.shape[1] else matrix
