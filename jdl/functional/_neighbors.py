"""What the nodes of a graph get from their neighbours."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl.functional import _check
from jdl.functional._embedding import embedding
from jdl.functional._graphs import ends
from jdl.functional._numbers import widen
from jdl.functional._segment import Reduction, check_reduction, segment_reductions, segment_sum


def aggregate_neighbors(
    x: jax.Array,
    senders: jax.Array,
    receivers: jax.Array,
    weights: jax.Array | None = None,
    *,
    reduction: Reduction = "sum",
) -> jax.Array:
    """Reduces what each node gets along its edges: `y[i] = sum_{edges e to i} weights[e] x[senders[e]]`. Without edges it is 0.

    Args:
      x: features, `(nodes, ...)`, floating point.
      senders: the node each edge comes from, integers `(edges,)` in 0..nodes-1. Out of range, they are an error where the host sees
        them, and give NaN under jit.
      receivers: the node each edge goes to, likewise.
      weights: what is multiplied with, `(edges,)`, or with further axes of `x`, such as `(edges, heads)`.
      reduction: `"sum"`, `"mean"`, `"max"` or `"min"`.

    Returns:
      An array like `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point, or senders or receivers are not integers.
      ValueError: if shapes don't fit, an index is out of range, or there is no such reduction.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.aggregate_neighbors(jnp.array([1.0, 2.0, 4.0]), jnp.array([0, 1]), jnp.array([2, 2])).tolist()
      [0.0, 0.0, 3.0]

    Source: Gilmer et al., "Neural Message Passing for Quantum Chemistry", https://arxiv.org/abs/1704.01212.
    """
    check_reduction("aggregate_neighbors", reduction)
    x, senders, receivers = connected("aggregate_neighbors", x, senders, receivers)
    messages = embedding(senders, x)
    if weights is not None:
        shares = widen(_check.floating("aggregate_neighbors", weights, "weights"))
        if shares.ndim == 0 or shares.shape != messages.shape[: shares.ndim]:
            wants = f"of the leading shape of {list(messages.shape)}"
            raise ValueError(f"aggregate_neighbors: weights must be {wants}, got {_check.describe(weights)}")
        messages = widen(messages) * jnp.expand_dims(shares, range(shares.ndim, messages.ndim))
    return segment_reductions[reduction](messages, receivers, x.shape[0]).astype(x.dtype)


def gcn(
    x: jax.Array, senders: jax.Array, receivers: jax.Array, weights: jax.Array | None = None, *, self_loops: bool = True
) -> jax.Array:
    """Propagates features along edges with symmetric normalisation: `y = D^-1/2 (A + I) D^-1/2 x`.

    `A[i, j]` is the sum of the weights of edges from `j` to `i`, and `D` the diagonal of the row sums of `A + I`. Loops that there
    are count besides `I`. A node whose sum is not above 0 gets 0 and gives 0.

    Args:
      x: features, `(nodes, features)`, floating point.
      senders: the node each edge comes from, integers `(edges,)` in 0..nodes-1. Out of range, they are an error where the host sees
        them, and give NaN under jit.
      receivers: the node each edge goes to, likewise.
      weights: of edges, `(edges,)`; 1 if not given.
      self_loops: whether to add `I`.

    Returns:
      An array like `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point, or senders or receivers are not integers.
      ValueError: if shapes don't fit, or an index is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.gcn(jnp.array([[1.0], [3.0]]), jnp.array([0, 1]), jnp.array([1, 0])).round(3).tolist()
      [[2.0], [2.0]]

    Source: Kipf and Welling, "Semi-Supervised Classification with Graph Convolutional Networks", https://arxiv.org/abs/1609.02907.
    """
    x, senders, receivers = connected("gcn", x, senders, receivers)
    _check.rank("gcn", x, (2,), "(nodes, features)")
    wide = widen(x)
    weights = jnp.ones(senders.shape, wide.dtype) if weights is None else widen(_check.floating("gcn", weights, "weights"))
    if weights.shape != senders.shape:
        raise ValueError(f"gcn: weights must be one for each of {list(senders.shape)} edges, got {_check.describe(weights)}")
    degrees = segment_sum(weights, receivers, x.shape[0]) + int(self_loops)
    connects = ~(degrees <= 0)  # NaN stays NaN
    roots = jnp.expand_dims(jnp.where(connects, jax.lax.rsqrt(jnp.where(connects, degrees, 1)), 0), 1)
    scaled = wide * roots
    y = aggregate_neighbors(scaled, senders, receivers, weights)
    return (roots * (y + scaled if self_loops else y)).astype(x.dtype)


def connected(name: str, x: Any, senders: Any, receivers: Any) -> tuple[jax.Array, Any, Any]:
    """`x` as JAX's array, and the ends of edges; raises unless they are edges between its rows."""
    x, senders, receivers = _check.floating(name, x), _check.array(senders), _check.array(receivers)
    _check.rank(name, x, range(1, 65), "(nodes, ...)")
    ends(name, x.shape[0], senders, receivers)
    return x, senders, receivers


def with_loops(senders: Any, receivers: Any, nodes: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The ends of edges, and after them an edge from every node to itself; and bools, False for loops that were there before."""
    loops = np.arange(nodes, dtype=np.int32)
    join = lambda x: jnp.concatenate([jnp.asarray(x, np.int32), loops])
    return join(senders), join(receivers), jnp.concatenate([senders != receivers, np.ones(nodes, bool)])
