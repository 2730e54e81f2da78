"""Optimal transport between two sets of points, made smooth by entropy."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.losses._two_samples import points, squared_distances


def sinkhorn(
    x: jax.Array,
    y: jax.Array,
    *,
    epsilon: float | jax.Array = 0.1,
    iterations: int = 100,
    x_weights: jax.Array | None = None,
    y_weights: jax.Array | None = None,
) -> jax.Array:
    """Cost of moving one set of points onto another: `min_P sum_ij P_ij |x_i - y_j|^2 + epsilon KL(P || p q^T)`.

    `P` has the marginals `p` and `q`, the weights scaled to sum 1. Computed with logarithms, so any `epsilon` gives finite numbers,
    and differentiated through the iterations. It is not 0 for equal sets; `sinkhorn_divergence` is. One number for two sets, so it
    has no `reduction`.

    Args:
      x: points, of shape `(n, features)`.
      y: others, of shape `(m, features)`.
      epsilon: above 0, in units of squared distance; the smaller, the nearer to optimal transport and the more iterations it takes;
        may be traced.
      iterations: how often both potentials are updated.
      x_weights: of shape `(n,)`, at least 0, shares of the mass to move; equal if not given. A point of weight 0 does not count.
      y_weights: likewise, of shape `(m,)`.

    Returns:
      A scalar of float32 at least: the value of the dual problem after these iterations.

    Raises:
      TypeError: if points are not floating point.
      ValueError: if shapes don't fit, `epsilon` is not positive, or `iterations` is no positive integer.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> x, y = jnp.array([[0.0], [1.0]]), jnp.array([[3.0], [2.0]])
      >>> f"{losses.sinkhorn(x, y, epsilon=0.01):.2f}"  # 4 between neighbours in order, and 0.01 log 2
      '4.01'

    Source: Cuturi, "Sinkhorn Distances: Lightspeed Computation of Optimal Transport", https://arxiv.org/abs/1306.0895.
    """
    _check_options("sinkhorn", epsilon, iterations)
    x, y, p, q = points("sinkhorn", x, y, x_weights, y_weights)
    return _transport(squared_distances(x, y), p, q, jnp.asarray(epsilon, x.dtype), iterations)


def sinkhorn_divergence(
    x: jax.Array,
    y: jax.Array,
    *,
    epsilon: float | jax.Array = 0.1,
    iterations: int = 100,
    x_weights: jax.Array | None = None,
    y_weights: jax.Array | None = None,
) -> jax.Array:
    """Cost of transport less that within each set: `S(x, y) - (S(x, x) + S(y, y)) / 2`, with `S` as in `sinkhorn`.

    0 for equal sets, and above it for others once the iterations have converged. Small `epsilon` is like optimal transport, large
    `epsilon` compares means. One number for two sets, so it has no `reduction`.

    Args:
      x: points, of shape `(n, features)`.
      y: others, of shape `(m, features)`.
      epsilon: above 0, in units of squared distance; the smaller, the nearer to optimal transport and the more iterations it takes;
        may be traced.
      iterations: how often both potentials are updated.
      x_weights: of shape `(n,)`, at least 0, shares of the mass to move; equal if not given. A point of weight 0 does not count.
      y_weights: likewise, of shape `(m,)`.

    Returns:
      A scalar of float32 at least.

    Raises:
      TypeError: if points are not floating point.
      ValueError: if shapes don't fit, `epsilon` is not positive, or `iterations` is no positive integer.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> x = jnp.array([[0.0], [1.0]])
      >>> [f"{losses.sinkhorn_divergence(x, x + shift):.2f}" for shift in (0.0, 2.0)]
      ['0.00', '4.00']

    Source: Feydy et al., "Interpolating between Optimal Transport and MMD using Sinkhorn Divergences",
    https://arxiv.org/abs/1810.08278.
    """
    _check_options("sinkhorn_divergence", epsilon, iterations)
    x, y, p, q = points("sinkhorn_divergence", x, y, x_weights, y_weights)
    cost = lambda x, y, p, q: _transport(squared_distances(x, y), p, q, jnp.asarray(epsilon, x.dtype), iterations)
    return cost(x, y, p, q) - (cost(x, x, p, p) + cost(y, y, q, q)) / 2


def _check_options(name: str, epsilon: float | jax.Array, iterations: int) -> None:
    _check.above_zero(name, epsilon=epsilon)
    _check.positive(name, iterations=iterations)


def _transport(costs: jax.Array, p: jax.Array, q: jax.Array, epsilon: jax.Array, iterations: int) -> jax.Array:
    """The dual value: both potentials are updated in turn, as soft minima of costs less the other one."""
    p, q = p / p.sum(), q / q.sum()
    log_p, log_q = (jnp.where(share > 0, jnp.log(jnp.where(share > 0, share, 1)), -jnp.inf) for share in (p, q))

    def soft_minimum(costs: jax.Array, log_shares: jax.Array) -> jax.Array:
        return -epsilon * jax.nn.logsumexp(jnp.expand_dims(log_shares, 0) - costs / epsilon, 1)

    @jax.checkpoint  # or every iteration would keep a matrix for the backward pass
    def update(potentials: tuple[jax.Array, jax.Array], _: None) -> tuple[tuple[jax.Array, jax.Array], None]:
        f = soft_minimum(costs - jnp.expand_dims(potentials[1], 0), log_q)
        return (f, soft_minimum(costs.T - jnp.expand_dims(f, 0), log_p)), None

    start = jnp.zeros_like(p), jnp.zeros_like(q)
    (f, g), _ = jax.lax.scan(update, start, length=iterations)
    return (p * f).sum() + (q * g).sum()
