"""Spectral normalisation: a kernel divided by its largest singular value, which power iteration estimates."""

import jax
import jax.numpy as jnp

from jdl.functional import _check, _kernel


def power_iteration(kernel: jax.Array, u: jax.Array, *, steps: int = 1, epsilon: float = 1e-12) -> jax.Array:
    """Moves `u` towards the singular vector of the largest singular value: `v = W u / |W u|`, `u = W' v / |W' v|`, `steps` times.

    The kernel is seen as a matrix W, `(everything, out)`. The result is a constant for every derivative. Where the kernel maps `u`
    to zero, `u` stays as it is.

    Args:
      kernel: `(..., out)`, floating point.
      u: `(out,)`.
      steps: how often.
      epsilon: vectors that are no longer than this count as zero.

    Returns:
      `(out,)`, of the dtype of `u`, of norm 1.

    Raises:
      TypeError: if `kernel` is not floating point.
      ValueError: if `u` has another size than the last axis of `kernel`, or `steps` is not positive.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.power_iteration(jnp.diag(jnp.array([3.0, 1.0])), jnp.ones(2), steps=9).round(4).tolist()
      [1.0, 0.0]

    Source: Miyato et al., "Spectral Normalization for Generative Adversarial Networks", https://arxiv.org/abs/1802.05957.
    """
    _check.positive("power_iteration", steps=steps)
    _check.within("power_iteration", 0, float("inf"), epsilon=epsilon)
    w = jax.lax.stop_gradient(_kernel.matrix("power_iteration", kernel))
    row = jax.lax.stop_gradient(_kernel.per_output("power_iteration", "u", u, kernel))
    for _ in range(steps):
        column = row @ w.T
        again = (column / jnp.maximum(jnp.linalg.norm(column), epsilon)) @ w
        length = jnp.linalg.norm(again)
        row = jnp.where(length > epsilon, again / jnp.maximum(length, epsilon), row)
    return row.reshape(u.shape).astype(u.dtype)


def spectral_norm(kernel: jax.Array, u: jax.Array, *, epsilon: float = 1e-12) -> jax.Array:
    """Divides a kernel by its largest singular value, as `u` estimates it: `W / |W u|`.

    The kernel is seen as a matrix W, `(everything, out)`. With `v = W u / |W u|`, `|W u|` is `v' W u`, and its gradient is `v u'`;
    `u` is a constant.

    Args:
      kernel: `(..., out)`, floating point.
      u: `(out,)`, of norm 1, as `power_iteration` returns it.
      epsilon: the least number to divide by.

    Returns:
      An array like `kernel`; computed in float32 at least.

    Raises:
      TypeError: if `kernel` is not floating point.
      ValueError: if `u` has another size than the last axis of `kernel`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.spectral_norm(jnp.diag(jnp.array([4.0, 1.0])), jnp.array([1.0, 0.0])).tolist()
      [[1.0, 0.0], [0.0, 0.25]]

    Source: Miyato et al., "Spectral Normalization for Generative Adversarial Networks", https://arxiv.org/abs/1802.05957.
    """
    _check.within("spectral_norm", 0, float("inf"), epsilon=epsilon)
    w = _kernel.matrix("spectral_norm", kernel)
    row = jax.lax.stop_gradient(_kernel.per_output("spectral_norm", "u", u, kernel))
    square = jnp.square(row @ w.T).sum()
    return _kernel.like(kernel, w / jnp.sqrt(jnp.maximum(square, epsilon**2)))
