"""The largest eigenvalues of a Hessian."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl.curvature._products import hessian_vector_product
from jdl.functional import _check
from jdl.functional._flat import flat


def top_eigenvalues(
    key: jax.Array, function: Callable[[Any], jax.Array], params: Any, k: int, *, steps: int | None = None
) -> jax.Array:
    """The `k` largest eigenvalues of a Hessian, by Lanczos iteration with full reorthogonalisation.

    The values come from below, and the outermost come first; `steps` equal to the number of params gives all of them exactly. The
    lowest are minus the largest of minus the function.

    Args:
      key: a typed key, for the vector to start from.
      function: `params -> scalar`.
      params: a tree of arrays.
      k: how many, at most the number of params.
      steps: products to take, from `k` to the number of params; `4 k + 20`, or all if there are fewer, if not given. So many
        vectors like `params` are held in memory.

    Returns:
      `(k,)` values in descending order, of float32 at least.

    Raises:
      ValueError: if `k` or `steps` doesn't fit the number of params.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import curvature
      >>> square = lambda w: (jnp.arange(1.0, 5.0) * w**2).sum() / 2
      >>> curvature.top_eigenvalues(jax.random.key(0), square, jnp.ones(4), 2).round().tolist()
      [4.0, 3.0]

    Source: Lanczos, "An Iteration Method for the Solution of the Eigenvalue Problem of Linear Differential and Integral Operators",
    https://doi.org/10.6028/jres.045.026.
    """
    vector, back = flat(params)
    size = vector.size
    _check.positive("top_eigenvalues", k=k)
    steps = min(size, 4 * k + 20) if steps is None else steps
    if not k <= steps <= size:
        raise ValueError(f"top_eigenvalues: k <= steps <= number of params is needed, got {k}, {steps} and {size}")
    tiny = size * jnp.finfo(vector.dtype).eps

    def orthogonal(basis: jax.Array, w: jax.Array) -> jax.Array:
        for _ in range(2):  # once leaves rounding errors that grow
            w = w - jnp.matmul(jnp.matmul(basis, w, precision="highest"), basis, precision="highest")
        return w

    def step(carry: tuple[jax.Array, jax.Array, jax.Array], given: tuple[jax.Array, jax.Array]):
        basis, vector, scale = carry
        i, key = given
        basis = basis.at[i].set(vector)
        product = flat(hessian_vector_product(function, params, back(vector)))[0].astype(vector.dtype)
        scale = jnp.maximum(scale, jnp.linalg.norm(product))
        rest = orthogonal(basis, product)
        length = jnp.linalg.norm(rest)
        ended = length <= tiny * scale  # what was reached is a space of its own: go on from a new direction
        fresh = orthogonal(basis, jax.random.normal(key, vector.shape, vector.dtype))
        chosen = jnp.where(ended, fresh, rest)
        chosen = chosen / jnp.maximum(jnp.linalg.norm(chosen), jnp.finfo(vector.dtype).tiny)
        return (basis, chosen, scale), (vector @ product, jnp.where(ended, 0, length))

    keys = jax.random.split(key, steps + 1)
    start = jax.random.normal(keys[0], vector.shape, vector.dtype)
    carry = jnp.zeros((steps, size), vector.dtype), start / jnp.linalg.norm(start), jnp.zeros((), vector.dtype)
    _, (diagonal, beside) = jax.lax.scan(step, carry, (jnp.arange(steps), keys[1:]))
    tridiagonal = jnp.diag(diagonal) + jnp.diag(beside[:-1], 1) + jnp.diag(beside[:-1], -1)
    return jnp.linalg.eigvalsh(tridiagonal)[::-1][:k]
