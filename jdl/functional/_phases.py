"""The transpose of a strided convolution without multiplying by zeros: one stride-1 convolution for each phase of its output.

A convolution reads `x[q * stride + k * dilation - low]` for `y[q]`, so its transpose sends `y[q]` to these places. Places that are
equal modulo the stride form a phase, and see every (stride / gcd(stride, dilation))-th tap alone.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jdl.functional._window import Pads, Sizes, pad


class Phase(NamedTuple):
    """Along one axis: which taps of the turned kernel a phase sees, and the padding of `y` that aligns them."""

    taps: slice
    pads: tuple[int, int]


def by_phases(
    correlate: Callable[[jax.Array, jax.Array, Sizes], jax.Array],
    turned: jax.Array,
    y: jax.Array,
    size: Sizes,
    stride: Sizes,
    pads: Pads,
    dilation: Sizes,
) -> jax.Array:
    """The transpose of a convolution of this geometry, to an input of `size`.

    `correlate` goes from `y`, a kernel and a dilation to their convolution of stride 1 without padding; `turned` is the kernel,
    flipped along its window.
    """
    geometry = zip(y.shape[1:-1], size, turned.shape, stride, pads, dilation)
    axes = [list(_phases(n, m, w, s, low, d)) for n, m, w, s, (low, _), d in geometry]
    thinner = tuple(d // math.gcd(s, d) for s, d in zip(stride, dilation))
    places = tuple(-(-m // s) for m, s in zip(size, stride))

    def one(phases: Sequence[Phase | None]) -> jax.Array | None:
        seen = [phase for phase in phases if phase]
        if len(seen) < len(phases):
            return None
        return correlate(pad(y, [phase.pads for phase in seen]), turned[tuple(phase.taps for phase in seen)], thinner)

    parts = [one(phases) for phases in itertools.product(*axes)]
    known = next(part for part in parts if part is not None)
    parts = [jnp.zeros((len(y), *places, known.shape[-1]), y.dtype) if part is None else part for part in parts]
    whole = _interleave(parts, stride)
    return whole[:, *(slice(m) for m in size)]


def _phases(n: int, m: int, w: int, s: int, low: int, d: int) -> Iterator[Phase | None]:
    """The phases of one axis, in the order of the places; None where no tap reaches."""
    common = math.gcd(s, d)
    for place in range(s):
        first = next((k for k in range(min(w, s // common)) if (place + low - k * d) % s == 0), None)
        if first is None:
            yield None
            continue
        last = first + (w - 1 - first) // (s // common) * (s // common)
        start = (place + low - last * d) // s
        stop = (place + low - first * d) // s + -(-m // s)
        yield Phase(slice(w - 1 - last, w - first, s // common), (-start, stop - n))


def _interleave(parts: Sequence[jax.Array], stride: Sizes) -> jax.Array:
    """Merges phases, given in row order."""
    for axis in reversed(range(len(stride))):
        count = stride[axis]
        groups = [parts[i : i + count] for i in range(0, len(parts), count)] if count > 1 else []
        merged = [jnp.stack(group, axis + 2) for group in groups]
        parts = [a.reshape(*a.shape[: axis + 1], -1, *a.shape[axis + 3 :]) for a in merged] or parts
    return parts[0]
