"""The best sequences, by a search that keeps several at a time."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._bilinear import same_axes
from jdl.functional._numbers import widen
from jdl.generation._generate import Decoder, Generated, checked, prefill


class _Beams(NamedTuple):
    """Sequences of each sample, `(batch, beams, ...)`, the best first."""

    tokens: jax.Array
    lengths: jax.Array
    scores: jax.Array
    parents: jax.Array  # which of the beams before each comes from


def beam_search(
    step: Decoder,
    cache: Any,
    prompt: jax.Array,
    *,
    beams: int = 4,
    lengths: jax.Array | None = None,
    steps: int = 64,
    end: int | jax.Array | None = None,
    padding: int | jax.Array = 0,
    length_penalty: float | jax.Array = 0.0,
    cache_axis: Any = 0,
) -> Generated:
    """Finds likely continuations: at every step the best `beams` that go on are kept, beside the best `beams` that have ended.

    A sequence scores `log p / ((5 + length) / 6)**length_penalty`. The search stops at `steps`, where what goes on counts as it is,
    or before, as soon as nothing that goes on can still be among the best that have ended, so that stopping changes no result. With
    one beam and no penalty it is greedy choice.

    Args:
      step: a decoder, as `generate` takes it. It is called with `batch` prompts, then with `batch * beams` tokens, those of a
        sample together: what else differs between samples, such as a memory, belongs in the cache.
      cache: what the decoder keeps, empty, for `batch` samples: any tree of arrays.
      prompt: integers `(batch, time)`.
      beams: how many sequences are kept and returned.
      lengths: as in `generate`.
      steps: the largest number of tokens.
      end: the token that ends a sequence. None ends before `steps` if not given.
      padding: the token after the end.
      length_penalty: the power, 0 for none; larger ones favour longer sequences; may be traced.
      cache_axis: the axis of samples in the cache, a number for all arrays or a tree of numbers for its parts: 1 for a cache of
        `models.decoder_cache`, whose first axis is depth.

    Returns:
      `Generated(tokens, lengths, scores)` with `beams` sequences for each sample, the best first. A score is minus infinity, and
      the length 0, where there are fewer sequences.

    Raises:
      TypeError: if tokens or lengths are not integers.
      ValueError: as `generate`, and if there are not two tokens at least to choose from.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import generation
      >>> moves = jnp.log(jnp.array([[0.0, 0.6, 0.4], [0.5, 0.25, 0.25], [0.9, 0.05, 0.05]]))
      >>> found = generation.beam_search(lambda tokens, cache: (moves[tokens], cache), (), jnp.array([[0]]), beams=2, steps=2)
      >>> found.tokens.tolist(), [f"{p:.2f}" for p in jnp.exp(found.scores[0])]
      ([[[2, 0], [1, 0]]], ['0.36', '0.30'])

    Source: Wu et al., "Google's Neural Machine Translation System", https://arxiv.org/abs/1609.08144 (its penalty of length).
    """
    _check.positive("beam_search", beams=beams)
    prompt = jnp.asarray(_check.array(prompt))
    batch = checked("beam_search", step, cache, prompt, lengths, steps)
    axes = jax.tree.broadcast(cache_axis, cache)

    def penalised(scores: jax.Array, length: Any) -> jax.Array:
        return scores / ((5 + jnp.asarray(length, scores.dtype)) / 6) ** length_penalty

    def advance(i: Any, logits: jax.Array, live: _Beams, ended: _Beams) -> tuple[_Beams, _Beams]:
        """Twice as many are looked at as are kept, so that enough go on when others end."""
        size = logits.shape[-1]
        scores = jnp.expand_dims(live.scores, 2) + jax.nn.log_softmax(widen(logits)).reshape(batch, beams, size)
        scores, at = jax.lax.top_k(scores.reshape(batch, -1), 2 * beams)
        parents, token = at // size, (at % size).astype(prompt.dtype)
        tokens = _pick(live.tokens, parents).at[:, :, i].set(token)
        new = _Beams(tokens, jnp.full_like(parents, i + 1), scores, parents)
        ends = jnp.zeros_like(token, bool) if end is None else token == end
        closed = new._replace(scores=jnp.where(ends, penalised(scores, i + 1), -jnp.inf))
        return _best(beams, new._replace(scores=jnp.where(ends, -jnp.inf, scores))), _best(beams, ended, closed)

    def open_(carry: Any) -> jax.Array:
        """Whether in some sample what goes on may come to be among what has ended; longer is better or worse, by the power."""
        i, live, ended, _ = carry
        hope = jnp.maximum(penalised(live.scores[:, 0], i + 1), penalised(live.scores[:, 0], steps))
        return (i < steps) & (hope > ended.scores[:, -1]).any()

    def body(carry: Any) -> Any:
        i, live, ended, cache = carry
        cache = jax.tree.map(lambda axis, a: _reordered(a, live.parents, axis), axes, cache)
        last = jax.lax.dynamic_index_in_dim(live.tokens, i - 1, 2).reshape(batch * beams, 1)
        logits, cache = step(last, cache)
        return i + 1, *advance(i, logits[:, -1], live, ended), cache

    logits, cache = prefill("beam_search", step, cache, prompt, lengths)
    if logits.shape[-1] < 2:
        raise ValueError(f"beam_search: there must be two tokens to choose from, logits are {_check.describe(logits)}")
    cache = jax.tree.map(lambda axis, a: jnp.repeat(a, beams, axis), axes, cache)
    live, ended, logits = _start(logits, beams, steps, jnp.asarray(padding, prompt.dtype))
    carry = 1, *advance(0, logits, live, ended), cache
    i, live, ended, _ = jax.lax.while_loop(open_, body, carry)
    rest = live._replace(scores=jnp.where(i == steps, penalised(live.scores, steps), -jnp.inf))
    found = _best(beams, ended, rest)
    there = found.scores > -jnp.inf
    tokens = jnp.where(jnp.expand_dims(there, 2), found.tokens, jnp.asarray(padding, prompt.dtype))
    return Generated(tokens, jnp.where(there, found.lengths, 0), found.scores)


def _start(logits: jax.Array, beams: int, steps: int, padding: jax.Array) -> tuple[_Beams, _Beams, jax.Array]:
    """One empty sequence that goes on, none that has ended, and logits for each beam."""
    batch, wide = logits.shape[0], widen(logits).dtype
    empty = jnp.broadcast_to(padding, (batch, beams, steps)), jnp.zeros((batch, beams), jnp.int32)
    none, first = jnp.full((batch, beams), -jnp.inf, wide), jnp.arange(beams).reshape(1, -1) == 0
    tokens, lengths, none, logits = same_axes(*empty, none, jnp.repeat(logits, beams, 0))
    return _Beams(tokens, lengths, jnp.where(first, 0, none), lengths), _Beams(tokens, lengths, none, lengths), logits


def _best(beams: int, *sets: _Beams) -> _Beams:
    """The best of all, in order."""
    joined = jax.tree.map(lambda *arrays: jnp.concatenate(arrays, 1), *sets)
    scores, at = jax.lax.top_k(joined.scores, beams)
    return _Beams(*(_pick(a, at) for a in joined))._replace(scores=scores)


def _pick(x: jax.Array, at: jax.Array) -> jax.Array:
    return jax.vmap(lambda x, at: x[at])(x, at)


def _reordered(x: jax.Array, parents: jax.Array, axis: int) -> jax.Array:
    """Of `batch * beams` entries of an axis, those that the beams come from."""
    split = x.reshape(*x.shape[:axis], *parents.shape, *x.shape[axis + 1 :])
    return jax.vmap(lambda x, at: jnp.take(x, at, axis), (axis, 0), axis)(split, parents).reshape(x.shape)
