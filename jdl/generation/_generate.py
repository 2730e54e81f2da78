"""Generation of sequences, a token at a time, in one compiled loop."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jdl.functional import _check, _lengths
from jdl.functional._bilinear import same_axes
from jdl.functional._numbers import widen
from jdl.generation._filters import sample

Decoder = Callable[..., tuple[jax.Array, Any]]


class Generated(NamedTuple):
    """What was generated.

    Attributes:
      tokens: without the prompt, `(batch, steps)`, or `(batch, beams, steps)`, padded after the end token.
      lengths: how many of them count, the end token included, `(batch,)` or `(batch, beams)`.
      scores: of `generate` the logarithm of each token's probability, `(batch, steps)`, 0 in the padding; of `beam_search` the
        score of each sequence, `(batch, beams)`.
    """

    tokens: jax.Array
    lengths: jax.Array
    scores: jax.Array


def generate(
    step: Decoder,
    cache: Any,
    prompt: jax.Array,
    *,
    lengths: jax.Array | None = None,
    steps: int = 64,
    end: int | jax.Array | None = None,
    padding: int | jax.Array = 0,
    key: jax.Array | None = None,
    transform: Callable[[jax.Array], jax.Array] | None = None,
) -> Generated:
    """Continues prompts: with a key every token is drawn by its probability, without one it is the likeliest (greedy).

    Compile it with what calls it: the loop is one program, which stops as soon as all samples have ended. For prompts of many
    lengths make arrays of few by `pad_prompts`: one program serves all prompts in arrays of one shape.

    Args:
      step: a decoder, `(tokens, cache) -> (logits, cache)`, of tokens `(batch, time)` to logits `(batch, time, vocabulary)`, or
        `(batch, 1, vocabulary)` of the last position alone. With `lengths` it is called as `step(prompt, cache, lengths=lengths)`
        for the prompt, and must then keep the padding out of its cache. Any time: one for a token, the prompt's, and, without
        computing anything, that of all together, by which a cache that is too small is found.
      cache: what the decoder keeps, empty: any tree of arrays.
      prompt: integers `(batch, time)`.
      lengths: integers `(batch,)`, how long each prompt is, in 1..time; what follows is padding. All of it if not given.
      steps: the largest number of tokens to generate.
      end: the token that ends a sample. None ends before `steps` if not given.
      padding: the token after the end.
      key: a typed key, or one for each sample. A sample's tokens depend on its key, or else on its place in the batch and not on
        the other samples.
      transform: of logits `(batch, vocabulary)`, before a token is chosen, such as
        `lambda logits: generation.top_p(generation.temperature(logits, 0.7), 0.9)`.

    Returns:
      `Generated(tokens, lengths, scores)`. Scores are of the probabilities before the transform.

    Raises:
      TypeError: if tokens or lengths are not integers, or the key is not typed.
      ValueError: if shapes don't fit, lengths are out of range, or the cache is too small for the prompt and all tokens but the
        last.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import generation
      >>> def count(tokens, cache):
      ...     return jax.nn.one_hot(tokens + 1, 10), cache
      >>> generation.generate(count, (), jnp.array([[2], [6]]), steps=4, end=8).tokens.tolist()
      [[3, 4, 5, 6], [7, 8, 0, 0]]
    """
    prompt = jnp.asarray(_check.array(prompt))
    batch = checked("generate", step, cache, prompt, lengths, steps)
    keys = _keys(key, batch)

    def choose(i: Any, logits: jax.Array) -> tuple[jax.Array, jax.Array]:
        changed = logits if transform is None else transform(logits)
        token = changed.argmax(-1) if keys is None else sample(jax.vmap(jax.random.fold_in, (0, None))(keys, i), changed)
        score = jnp.take_along_axis(jax.nn.log_softmax(widen(logits)), jnp.expand_dims(token, 1), 1)[:, 0]
        return token.astype(prompt.dtype), score

    def append(i: Any, logits: jax.Array, found: Generated, ended: jax.Array) -> tuple[jax.Array, Generated, jax.Array]:
        token, score = choose(i, logits)
        token, score = jnp.where(ended, padding, token).astype(token.dtype), jnp.where(ended, 0, score)
        tokens, scores = found.tokens.at[:, i].set(token), found.scores.at[:, i].set(score)
        found = Generated(tokens, found.lengths + ~ended, scores)
        return token, found, ended if end is None else ended | (token == end)

    def advance(carry: Any) -> Any:
        i, token, found, ended, cache = carry
        logits, cache = step(jnp.expand_dims(token, 1), cache)
        return i + 1, *append(i, logits[:, -1], found, ended), cache

    logits, cache = prefill("generate", step, cache, prompt, lengths)
    scores = jnp.zeros((batch, steps), widen(logits).dtype)
    start = jnp.full((batch, steps), padding, prompt.dtype), jnp.zeros(batch, jnp.int32), scores, jnp.zeros(batch, bool)
    *empty, ended, logits = same_axes(*start, logits)
    carry = 1, *append(0, logits, Generated(*empty), ended), cache
    return jax.lax.while_loop(lambda carry: (carry[0] < steps) & ~carry[3].all(), advance, carry)[2]


def checked(name: str, step: Decoder, cache: Any, prompt: Any, lengths: Any, steps: int) -> int:
    """The size of the batch; raises unless everything fits, which an abstract step over all tokens shows."""
    _check.positive(name, steps=steps)
    if jnp.ndim(prompt) != 2 or not prompt.size:
        raise ValueError(f"{name}: prompt must be (batch, time), got {_check.describe(prompt)}")
    if not jnp.issubdtype(prompt.dtype, jnp.integer):
        raise TypeError(f"{name}: prompt must be integers, got {_check.describe(prompt)}")
    batch, time = prompt.shape
    if lengths is not None:
        _check.report(name, "lengths must be at least 1", _lengths.given(name, "lengths", lengths, prompt), lambda n: n < 1)
    try:
        jax.eval_shape(step, jax.ShapeDtypeStruct((batch, time + steps - 1), prompt.dtype), cache)
    except Exception as error:
        error.add_note(f"{name}: a prompt of {time} and {steps} steps take {time + steps - 1} positions")
        raise
    return batch


def prefill(name: str, step: Decoder, cache: Any, prompt: jax.Array, lengths: Any) -> tuple[jax.Array, Any]:
    """The logits after the prompt, `(batch, vocabulary)`, and the cache that has seen it."""
    batch, time = prompt.shape
    logits, cache = step(prompt, cache) if lengths is None else step(prompt, cache, lengths=_check.array(lengths))
    if logits.ndim != 3 or logits.shape[:2] not in ((batch, time), (batch, 1)):
        raise ValueError(f"{name}: step must give logits [{batch}, {time}, vocabulary], got {_check.describe(logits)}")
    return (logits if lengths is None or logits.shape[1] == 1 else _lengths.last(logits, lengths))[:, -1], cache


def _keys(key: jax.Array | None, batch: int) -> jax.Array | None:
    """One for each sample."""
    if key is None:
        return None
    _check.typed_key("generate", key)
    if key.shape not in ((), (batch,)):
        raise ValueError(f"generate: key must be one, or one for each of {batch} samples, got {_check.describe(key)}")
    return key if key.shape else jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(batch))
