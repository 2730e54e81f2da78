"""The order of samples: a shuffle that is computed entry by entry, without sorting or storing it."""

import math

import jax
import jax.numpy as jnp

from jdl.layer import derive

_ROUNDS = 8


def shuffled(key: jax.Array, positions: jax.Array, size: int | jax.Array, *, most: int | None = None) -> jax.Array:
    """Where a random permutation of 0..size-1 sends the given positions.

    A Feistel network permutes the cells of the smallest grid, nearly square, that holds `size`; what falls outside is sent through
    again until it falls inside, which leaves a permutation. Any entry costs the same, so a run resumes at step a million at once.

    Args:
      key: a typed key; it decides the permutation.
      positions: integers in 0..size-1, of any shape.
      size: length of the permutation, at most 2**31; may be traced if `most` is given.
      most: what `size` is at most; permutations of one size, but other bounds, may differ.

    Returns:
      int32 integers in 0..size-1, of the shape of `positions`; distinct for distinct positions.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import train
      >>> sorted(train.shuffled(jax.random.key(0), jnp.arange(5), 5).tolist())
      [0, 1, 2, 3, 4]

    Source: Black and Rogaway, "Ciphers with Arbitrary Finite Domains", https://doi.org/10.1007/3-540-45760-7_9.
    """
    return placed(_rounds(key), positions, size, most=most)


def of_epoch(key: jax.Array, epoch: int | jax.Array) -> jax.Array:
    """The numbers that decide an epoch's order, for the key of a train state."""
    return _rounds(derive(key, "order", epoch))


def placed(rounds: jax.Array, positions: jax.Array, size: int | jax.Array, *, most: int | None = None) -> jax.Array:
    """`shuffled` with numbers for its rounds in place of a key, which can be drawn once for many calls."""
    most = int(size) if most is None else most
    size = size.astype(jnp.uint32) if isinstance(size, jax.Array) else size
    columns = max(2, math.isqrt(most - 1) + 1)
    rows = -(-most // columns)

    def permute(x: jax.Array) -> jax.Array:
        left, right = x // columns, x % columns
        for i in range(_ROUNDS):  # an even number, so that the two end with the ranges they had
            count = rows if i % 2 == 0 else columns
            moved = left + ((_mix(right ^ rounds[i]) >> 16) * count >> 16)  # by less than count, which is below 2**16
            left, right = right, jnp.where(moved >= count, moved - count, moved)
        return left * columns + right

    first = permute(positions.astype(jnp.uint32))
    again = lambda x: jnp.where(x >= size, permute(x), x)
    return jax.lax.while_loop(lambda x: (x >= size).any(), again, first).astype(jnp.int32)


def _rounds(key: jax.Array) -> jax.Array:
    return jax.random.bits(key, (_ROUNDS,), jnp.uint32)


def _mix(x: jax.Array) -> jax.Array:
    """The last steps of MurmurHash3: every bit of the input changes half the bits of the output."""
    x = (x ^ x >> 16) * jnp.uint32(0x85EBCA6B)
    x = (x ^ x >> 13) * jnp.uint32(0xC2B2AE35)
    return x ^ x >> 16
