"""What tells a network where things are: waves to add to inputs, and biases of attention that depend on distances."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from jdl.functional import _check


def sinusoidal(positions: jax.Array, features: int, *, base: float = 10_000.0) -> jax.Array:
    """Waves of many lengths for each position: sines of `position * base**(-i / n)` for `i` in 0..n-1, then the cosines.

    For positions in a plane, give half the features to each coordinate and concatenate; `sinusoidal_grid` does.

    Args:
      positions: numbers of any shape.
      features: how many, even; `n` is half of it.
      base: the ratio of the longest wave to the shortest.

    Returns:
      `(*positions.shape, features)`, float32.

    Raises:
      ValueError: if `features` is not a positive even number.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.sinusoidal(jnp.arange(2), 4)[0].tolist()
      [0.0, 0.0, 1.0, 1.0]

    Source: Vaswani et al., "Attention Is All You Need", https://arxiv.org/abs/1706.03762 (there sines and cosines alternate).
    """
    _check.positive("sinusoidal", features=features)
    _check.above_zero("sinusoidal", base=base)
    if features % 2:
        raise ValueError(f"sinusoidal: features must be even, got {features}")
    rates = base ** (-jnp.arange(features // 2) / (features // 2))
    positions = jnp.expand_dims(jnp.asarray(positions, jnp.float32), -1)
    angles = positions * jnp.expand_dims(rates, range(positions.ndim - 1))
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1)


def sinusoidal_grid(shape: Sequence[int], features: int, *, base: float = 10_000.0) -> jax.Array:
    """Waves for each place of a grid: those of its coordinates, with the features in equal parts, one after the other.

    Args:
      shape: of the grid, such as `(height, width)`.
      features: how many, a multiple of twice the number of axes.
      base: as in `sinusoidal`.

    Returns:
      `(*shape, features)`, float32.

    Raises:
      ValueError: if sizes are not positive or don't divide.

    Example:
      >>> from jdl import functional
      >>> functional.sinusoidal_grid((4, 5), 8).shape
      (4, 5, 8)

    Source: Dosovitskiy et al., "An Image is Worth 16x16 Words", https://arxiv.org/abs/2010.11929 (appendix D.4 compares).
    """
    _check.all_positive("sinusoidal_grid", shape=tuple(shape), features=features)
    if features % (2 * len(shape)):
        raise ValueError(f"sinusoidal_grid: features must be a multiple of {2 * len(shape)} for {len(shape)} axes, got {features}")
    axes = jnp.meshgrid(*map(jnp.arange, shape), indexing="ij")
    return jnp.concatenate([sinusoidal(axis, features // len(shape), base=base) for axis in axes], -1)


def alibi(query_positions: jax.Array, key_positions: jax.Array, heads: int) -> jax.Array:
    """A bias of attention that falls with distance, at a slope of its own in each head: `-slope * |query - key|`.

    Slopes are a geometric series from `2**(-8 / heads)` to `2**-8`; for heads that are no power of two, that of the power below,
    and every other one of the power above.

    Args:
      query_positions: integers `(batch or 1, time)`.
      key_positions: integers `(batch or 1, memory)`.
      heads: how many.

    Returns:
      `(batch or 1, heads, time, memory)`, float32.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> places = jnp.arange(3).reshape(1, 3)
      >>> functional.alibi(places, places, 1)[0, 0, 2].tolist()
      [-0.0078125, -0.00390625, -0.0]

    Source: Press et al., "Train Short, Test Long", https://arxiv.org/abs/2108.12409.
    """
    _check.positive("alibi", heads=heads)
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * (i + 1) / power) for i in range(power)]
    slopes += [2 ** (-8 * (i + 0.5) / power) for i in range(heads - power)]
    distance = jnp.abs(_distances(query_positions, key_positions)).astype(jnp.float32)
    return -jnp.array(slopes).reshape(1, -1, 1, 1) * jnp.expand_dims(distance, 1)


def relative_buckets(
    query_positions: jax.Array, key_positions: jax.Array, *, buckets: int = 32, longest: int = 128, causal: bool = False
) -> jax.Array:
    """Sorts distances from query to key into buckets: half of them for a distance each, half in logarithmic steps.

    Args:
      query_positions: integers `(batch or 1, time)`.
      key_positions: integers `(batch or 1, memory)`.
      buckets: how many; without `causal`, half of them are for keys after the query.
      longest: distance from which on all are in one bucket.
      causal: whether keys after the query share bucket 0.

    Returns:
      Integers in 0..buckets-1, `(batch or 1, time, memory)`.

    Raises:
      ValueError: if `buckets` is too small, or `longest` not larger than the distances with a bucket each.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.relative_buckets(jnp.array([[9]]), jnp.arange(10).reshape(1, 10), buckets=8, longest=16, causal=True).tolist()
      [[[6, 6, 5, 5, 4, 4, 3, 2, 1, 0]]]

    Source: Raffel et al., "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer",
    https://arxiv.org/abs/1910.10683.
    """
    _check.positive("relative_buckets", buckets=buckets, longest=longest)
    sides = 1 if causal else 2
    each = buckets // sides
    exact = each // 2
    if exact < 1 or longest <= exact:
        raise ValueError(f"relative_buckets: buckets={buckets} and longest={longest} leave no bucket for each of two kinds")
    back = _distances(query_positions, key_positions)
    ahead = jnp.zeros_like(back) if causal else jnp.where(back < 0, each, 0)
    back = jnp.maximum(back, 0) if causal else jnp.abs(back)
    steps = jnp.log(jnp.maximum(back, exact) / exact) / math.log(longest / exact) * (each - exact)
    return ahead + jnp.where(back < exact, back, jnp.minimum(exact + steps.astype(jnp.int32), each - 1))


def _distances(query_positions: jax.Array, key_positions: jax.Array) -> jax.Array:
    """From key to query, `(batch or 1, time, memory)`."""
    return jnp.expand_dims(query_positions, 2) - jnp.expand_dims(key_positions, 1)
