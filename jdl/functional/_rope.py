"""Rotary position embedding."""

import math

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen


def rope(
    x: jax.Array,
    positions: jax.Array,
    *,
    base: float = 10_000.0,
    share: float = 1.0,
    interpolate: float = 1.0,
    original_length: int | None = None,
    interleaved: bool = False,
) -> jax.Array:
    """Rotates pairs of features by angles that grow with position, so that products of queries and keys depend on distances.

    Pair `i` of `n` turns by `position * base**(-i / n)`. For positions beyond those of training, either all angles are divided by
    `interpolate`, or, where `original_length` says how long training was, only those of pairs that turn slowly, by a ramp between 1
    and 32 turns over that length (NTK by parts, as in YaRN, which also scales the logits by `(0.1 log(interpolate) + 1)**2`).

    Args:
      x: queries or keys, `(batch, time, heads, width)`, floating point.
      positions: integers, `(batch or 1, time)`.
      base: of the angles; larger ones turn more slowly.
      share: of the features that are rotated, the first ones, in (0, 1].
      interpolate: by how much longer sequences are than in training, at least 1.
      original_length: positions in training.
      interleaved: whether neighbours are a pair, as in the paper and in GPT-J; else features half the width apart, as in GPT-NeoX
        and Llama.

    Returns:
      An array like `x`.

    Raises:
      ValueError: if ranks don't fit, a number is out of range, or the rotated width is odd.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> x = jnp.ones((1, 2, 1, 2))
      >>> [f"{number:.2f}" for number in functional.rope(x, jnp.arange(2).reshape(1, 2)).ravel()]
      ['1.00', '1.00', '-0.30', '1.38']

    Source: Su et al., "RoFormer", https://arxiv.org/abs/2104.09864; interpolation: Chen et al., "Extending Context Window of Large
    Language Models via Positional Interpolation", https://arxiv.org/abs/2306.15595; by parts: Peng et al., "YaRN",
    https://arxiv.org/abs/2309.00071.
    """
    x = _check.floating("rope", x)
    _check.rank("rope", x, (4,), "(batch, time, heads, width)")
    if positions.ndim != 2 or positions.shape[0] not in (1, x.shape[0]) or positions.shape[1] != x.shape[1]:
        raise ValueError(f"rope: positions must be {list(x.shape[:2])}, got {_check.describe(positions)}")
    _check.above_zero("rope", base=base, share=share)
    _check.within("rope", 1, float("inf"), interpolate=interpolate)
    if original_length is not None:
        _check.positive("rope", original_length=original_length)
    width = round(share * x.shape[-1])
    if width % 2 or not 0 < width <= x.shape[-1]:
        raise ValueError(f"rope: pairs are rotated, share={share} of {x.shape[-1]} features is {width}")
    rates = _rates(width // 2, base, interpolate, original_length)
    angles = jnp.expand_dims(positions.astype(jnp.float32), -1) * rates.reshape(1, 1, -1)
    cos, sin = (jnp.expand_dims(wave, 2) for wave in (jnp.cos(angles), jnp.sin(angles)))
    turned, rest = widen(x[..., :width]), x[..., width:]
    first, second = (turned[..., ::2], turned[..., 1::2]) if interleaved else jnp.split(turned, 2, -1)
    pair = first * cos - second * sin, second * cos + first * sin
    turned = jnp.stack(pair, -1).reshape(turned.shape) if interleaved else jnp.concatenate(pair, -1)
    return jnp.concatenate([turned.astype(x.dtype), rest], -1)


def _rates(pairs: int, base: float, interpolate: float, original_length: int | None) -> jax.Array:
    """How far each pair turns from one position to the next."""
    rates = base ** (-jnp.arange(pairs) / pairs)
    if original_length is None:
        return rates / interpolate
    turns = original_length * rates / (2 * math.pi)
    kept = jnp.clip((turns - 1) / (32 - 1), 0, 1)
    return rates * (kept + (1 - kept) / interpolate)
