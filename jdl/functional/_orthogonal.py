"""Kernels that stay orthogonal."""

import jax
import jax.numpy as jnp

from jdl.functional import _check, _kernel


def orthogonal(kernel: jax.Array, base: jax.Array) -> jax.Array:
    """Turns an orthogonal base by Cayley's transform: `Q = (I - A / 2)^-1 (I + A / 2) B`, where `A = X B' - B X'` is antisymmetric.

    X is `kernel` and B is `base`, both seen as matrices `(everything, out)`, transposed if that is wide. Q has orthonormal columns
    (rows if it is wide) for every X, and is B at X = 0. The derivative there, `X - B X' B`, reaches every direction in which Q
    stays orthonormal. With `N = X - B B' X` and `P = (I + (X' B - B' X) / 2 + N' N / 4)^-1`, `Q = (2 B + N) P - B`: one system is
    solved, no larger than the shorter side. The symmetric part of its matrix is at least I, so it has a solution for every X, and
    the map is smooth everywhere.

    Args:
      kernel: X, `(..., out)`, floating point, of any values.
      base: B, of the same shape, with orthonormal columns (rows if it is wide).

    Returns:
      An array like `kernel`; computed in float32 at least.

    Raises:
      TypeError: if an argument is not floating point.
      ValueError: if their shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> q = functional.orthogonal(jnp.array([[0.0], [1.0]]), jnp.array([[1.0], [0.0]]))
      >>> [round(x, 4) for x in q.ravel().tolist()]
      [0.6, 0.8]

    Source: Wen and Yin, "A feasible method for optimization with orthogonality constraints",
    https://doi.org/10.1007/s10107-012-0584-1.
    """
    x, b = _kernel.matrix("orthogonal", kernel), _kernel.matrix("orthogonal", base, "base")
    _check.same_shape("orthogonal", kernel=kernel, base=base)
    wide = x.shape[0] < x.shape[1]
    x, b = (x.T, b.T) if wide else (x, b)
    along = b.T @ x
    beside = x - b @ along
    system = jnp.eye(x.shape[1], dtype=x.dtype) + (along.T - along) / 2 + beside.T @ beside / 4
    q = jnp.linalg.solve(system.T, (2 * b + beside).T).T - b
    return _kernel.like(kernel, q.T if wide else q)
