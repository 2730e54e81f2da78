"""Only the largest stay."""

import jax
import jax.numpy as jnp

from jdl.functional import _check


def k_winners(x: jax.Array, k: int) -> jax.Array:
    """Keeps the `k` largest entries of the last axis and sets the others to 0; of equal ones, the first stay.

    Args:
      x: input, `(..., features)`, floating point.
      k: how many stay.

    Returns:
      An array like `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `k` is not a positive integer, or larger than the last axis of `x`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.k_winners(jnp.array([3.0, -1.0, 2.0, 2.0]), 2).tolist()
      [3.0, 0.0, 2.0, 0.0]

    Source: Xiao, Zhong and Zheng, "Enhancing Adversarial Defense by k-Winners-Take-All", https://arxiv.org/abs/1905.10510.
    """
    x = _check.floating("k_winners", x)
    _check.rank("k_winners", x, range(1, 65), "(..., features)")
    _check.positive("k_winners", k=k)
    if k > x.shape[-1]:
        raise ValueError(f"k_winners: {k} winners among the {x.shape[-1]} features of {_check.describe(x)}")
    last = jax.lax.top_k(jax.lax.stop_gradient(x), k)[0][..., -1:]
    above, level = x > last, x == last
    open_places = k - above.sum(-1, keepdims=True)
    return jnp.where(above | (level & (jnp.cumsum(level, -1) <= open_places)), x, jnp.zeros((), x.dtype))
