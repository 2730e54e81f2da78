"""Tokens sorted by the experts that they go to, and back.

Tokens that go to one expert must lie together for its products to be large ones. They are put into slots: with a capacity, as many
for each expert, and what finds none is dropped; or, with nothing dropped, in blocks, of which an expert has as many as it fills.
Either way the experts are one function mapped over stacked parameters. `jax.lax.ragged_dot`, which has neither slots nor blocks,
is no alternative: it has no gradient of its gradient and no `vmap` over some of its operands, takes products with matrices alone,
and on CPUs computes every expert for every token.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._router import tokens_per_expert

_BLOCKS = 2  # to an expert, if all have as many tokens: with more, less is computed for nothing, and more parameters are copied


def expert_slots(chosen: jax.Array, experts: int, capacity: int) -> jax.Array:
    """Gives each expert `capacity` slots: those of expert `e` are `e * capacity` and the following.

    They are given to the first choices of all tokens, then to the second ones, and so on, each time from the first token to the
    last, while there are any. Who comes too late is dropped.

    Args:
      chosen: of `top_k_router`, integers `(tokens, k)`; `experts` for none.
      experts: how many.
      capacity: slots of an expert.

    Returns:
      Slots, integers `(tokens, k)`; `experts * capacity`, where there is none, for what is dropped or goes nowhere.

    Raises:
      ValueError: if `chosen` is not `(tokens, k)` integers, or a size not a positive integer.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.expert_slots(jnp.array([[0], [1], [0], [0]]), 2, 2).ravel().tolist()
      [0, 2, 1, 4]

    Source: Lepikhin et al., "GShard", https://arxiv.org/abs/2006.16668.
    """
    _checked("expert_slots", chosen, experts=experts, capacity=capacity)
    ranks, _ = _ranks(chosen, experts)
    placed = (ranks < capacity) & (chosen < experts)
    return jnp.where(placed, chosen * capacity + ranks, experts * capacity)


def expert_blocks(chosen: jax.Array, experts: int) -> tuple[jax.Array, jax.Array]:
    """Gives each expert as many blocks of slots as its tokens fill, so that none is dropped.

    For `n` tokens with `k` choices each, blocks have `n * k / (2 * experts)` slots, rounded up, and there are fewer than three to
    an expert: at most half as much again is computed as tokens need.

    Args:
      chosen: of `top_k_router`, integers `(tokens, k)`; `experts` for none. No token chooses an expert twice.
      experts: how many.

    Returns:
      `(slots, of)`: slots, integers `(tokens, k)`, and the expert of each block, integers `(blocks,)`. Block `b` has the slots from
      `b * size` on, of `size = slots / blocks`, and `blocks * size` is the slot of what goes nowhere.

    Raises:
      ValueError: if `chosen` is not `(tokens, k)` integers, or `experts` not a positive integer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> chosen = jnp.array([[0], [1], [0], [0], [0], [0], [0], [0]])
      >>> slots, of = jax.jit(functional.expert_blocks, static_argnums=1)(chosen, 2)
      >>> slots.ravel().tolist(), of.tolist()
      ([0, 8, 1, 2, 3, 4, 5, 6], [0, 0, 0, 0, 1])

    Source: Gale et al., "MegaBlocks: Efficient Sparse Training with Mixture-of-Experts", https://arxiv.org/abs/2211.15841.
    """
    _checked("expert_blocks", chosen, experts=experts)
    blocks, size = block_sizes(chosen.size, experts)
    ranks, counts = _ranks(chosen, experts)
    ends = jnp.cumsum((counts + size - 1) // size, dtype=jnp.int32)  # of each expert's blocks
    starts = jnp.concatenate([jnp.zeros_like(ends[:1]), ends[:-1]])
    slots = jnp.where(chosen < experts, starts[chosen] * size + ranks, blocks * size)
    earlier = jnp.arange(blocks, dtype=jnp.int32).reshape(-1, 1) >= ends.reshape(1, -1)
    return slots, jnp.minimum(earlier.sum(1, dtype=jnp.int32), experts - 1)


def block_sizes(choices: int, experts: int) -> tuple[int, int]:
    """How many blocks there are for so many choices, at the worst, and how many slots each has."""
    size = max(1, -(-choices // (_BLOCKS * experts)))
    return max(1, min(choices, experts + max(choices - experts, 0) // size)), size


def dispatch(x: jax.Array, slots: jax.Array, size: int) -> jax.Array:
    """Copies tokens to their slots: row `slots[t, i]` of the output is row `t` of `x`; empty slots are zeros.

    Args:
      x: tokens, `(tokens, features)`.
      slots: integers `(tokens, k)`, no slot twice; `size` for none.
      size: how many slots there are.

    Returns:
      `(size, features)`, of the dtype of `x`.

    Raises:
      ValueError: if shapes don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.dispatch(jnp.array([[1.0], [2.0]]), jnp.array([[2, 0], [1, 4]]), 4).ravel().tolist()
      [1.0, 2.0, 1.0, 0.0]
    """
    if x.ndim != 2 or slots.ndim != 2 or len(x) != len(slots):
        given = f"{_check.describe(x)} and {_check.describe(slots)}"
        raise ValueError(f"dispatch: x must be (tokens, features) and slots (tokens, k), got {given}")
    tokens, k = slots.shape
    if tokens == 0:
        return jnp.zeros((size, x.shape[1]), x.dtype)  # nothing can be gathered from nothing
    sender = jnp.broadcast_to(jnp.arange(tokens).reshape(-1, 1), (tokens, k))
    sender = (
        jnp.full(size, tokens).at[slots].set(sender, mode="drop")
    )  # what is gathered has a fast gradient, and is padded by zeros
    return x.at[sender].get(mode="fill", fill_value=0)


def combine(y: jax.Array, slots: jax.Array, gates: jax.Array) -> jax.Array:
    """Adds up what experts made of each token: `sum_i gates[t, i] y[slots[t, i]]`; what has no slot adds nothing.

    Args:
      y: outputs of experts, `(size, features)`.
      slots: integers `(tokens, k)`, as in `dispatch`.
      gates: `(tokens, k)`.

    Returns:
      `(tokens, features)`, of the dtype of `y`; added in float32 at least.

    Raises:
      ValueError: if shapes don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> y, gates = jnp.array([[1.0], [2.0], [4.0]]), jnp.full((2, 2), 0.5)
      >>> functional.combine(y, jnp.array([[2, 0], [1, 3]]), gates).ravel().tolist()
      [2.5, 1.0]
    """
    if y.ndim != 2 or slots.ndim != 2 or slots.shape != gates.shape:
        given = f"{_check.describe(y)}, {_check.describe(slots)} and {_check.describe(gates)}"
        raise ValueError(f"combine: y must be (size, features), slots and gates (tokens, k), got {given}")
    each = widen(y.at[slots].get(mode="fill", fill_value=0))
    return (jnp.expand_dims(gates.astype(each.dtype), -1) * each).sum(1).astype(y.dtype)


def _ranks(chosen: jax.Array, experts: int) -> tuple[jax.Array, jax.Array]:
    """How many come before each choice of the same expert, integers `(tokens, k)`, and how many choices each expert has."""
    flat = chosen.T.reshape(-1)  # all first choices, then all second ones
    places = jnp.argsort(jnp.argsort(flat, stable=True))  # in the order of experts
    counts = tokens_per_expert(chosen, experts)
    starts = jnp.cumsum(counts, dtype=jnp.int32) - counts
    return (places.astype(jnp.int32) - starts[flat]).reshape(chosen.T.shape).T, counts


def _checked(name: str, chosen: Any, **sizes: int) -> None:
    _check.positive(name, **sizes)
    if chosen.ndim != 2 or not jnp.issubdtype(chosen.dtype, jnp.integer):
        raise ValueError(f"{name}: chosen must be (tokens, k) integers, got {_check.describe(chosen)}")
