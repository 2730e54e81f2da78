"""What is done to logits before a token is drawn, and the draw."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen


def temperature(logits: jax.Array, value: float | jax.Array) -> jax.Array:
    """Divides logits by a temperature: below 1 likely tokens become likelier, above 1 all become more alike.

    At 0 it is the limit, all on one token: the largest logit, the first of equal ones, which is what greedy choice takes. The
    largest of the results is 0, which changes no probability.

    Args:
      logits: `(..., vocabulary)`, floating point.
      value: at least 0, a number or one for each row; may be traced.

    Returns:
      An array like `logits`.

    Raises:
      TypeError: if `logits` are not floating point.
      ValueError: if `value` is negative, or of another shape.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import generation
      >>> generation.temperature(jnp.array([0.0, 2.0, 1.0]), 0.5).tolist()
      [-4.0, 0.0, -2.0]

    Source: Ackley, Hinton and Sejnowski, "A Learning Algorithm for Boltzmann Machines", https://doi.org/10.1207/s15516709cog0901_7.
    """
    wide, value = _checked("temperature", logits, float("inf"), value=value)
    cold = value < jnp.finfo(wide.dtype).tiny
    first = jnp.expand_dims(jnp.arange(wide.shape[-1]), range(wide.ndim - 1)) == wide.argmax(-1, keepdims=True)
    warm = (wide - wide.max(-1, keepdims=True)) / jnp.where(cold, 1, value)
    return jnp.where(cold, jnp.where(first, 0, -jnp.inf), warm).astype(logits.dtype)


def top_k(logits: jax.Array, k: int | jax.Array) -> jax.Array:
    """Keeps the `k` largest logits, and those equal to the smallest of them; the others become minus infinity.

    Args:
      logits: `(..., vocabulary)`, floating point.
      k: in 1..vocabulary; may be traced, which sorts all logits, and takes what is out of range for the nearest that isn't.

    Returns:
      An array like `logits`.

    Raises:
      TypeError: if `logits` are not floating point.
      ValueError: if `k` is a number not in 1..vocabulary.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import generation
      >>> generation.top_k(jnp.array([0.0, 2.0, 1.0]), 2).tolist()
      [-inf, 2.0, 1.0]

    Source: Fan et al., "Hierarchical Neural Story Generation", https://arxiv.org/abs/1805.04833.
    """
    _checked("top_k", logits, 1)
    size = logits.shape[-1]
    _check.within("top_k", 1, size, k=k)
    largest = jax.lax.top_k(logits, k if isinstance(k, int) else size)[0]
    return _kept(logits, logits >= jax.lax.dynamic_index_in_dim(largest, jnp.clip(k, 1, size) - 1, -1))


def top_p(logits: jax.Array, p: float | jax.Array) -> jax.Array:
    """Keeps the likeliest tokens whose probabilities add up to `p`, and those as likely as the last of them (nucleus sampling).

    Args:
      logits: `(..., vocabulary)`, floating point.
      p: in [0, 1], a number or one for each row; may be traced. 0 keeps the likeliest, 1 all.

    Returns:
      An array like `logits`, minus infinity for the others.

    Raises:
      TypeError: if `logits` are not floating point.
      ValueError: if `p` is outside [0, 1], or of another shape.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import generation
      >>> generation.top_p(jnp.log(jnp.array([0.125, 0.5, 0.375])), 0.6) > -jnp.inf
      Array([False,  True,  True], dtype=bool)

    Source: Holtzman et al., "The Curious Case of Neural Text Degeneration", https://arxiv.org/abs/1904.09751.
    """
    wide, p = _checked("top_p", logits, 1, p=p)
    falling = jnp.sort(wide, axis=-1, descending=True)
    probabilities = jax.nn.softmax(falling)
    kept = (jnp.cumsum(probabilities, -1) - probabilities < p) | (p >= 1)  # by what comes before, so that the sum reaches p
    least = jnp.where(kept, falling, jnp.inf).min(-1, keepdims=True)
    return _kept(logits, wide >= jnp.minimum(least, falling[..., :1]))


def min_p(logits: jax.Array, p: float | jax.Array) -> jax.Array:
    """Keeps the tokens at least `p` times as likely as the likeliest.

    Args:
      logits: `(..., vocabulary)`, floating point.
      p: in [0, 1], a number or one for each row; may be traced. 0 keeps all, 1 the likeliest.

    Returns:
      An array like `logits`, minus infinity for the others.

    Raises:
      TypeError: if `logits` are not floating point.
      ValueError: if `p` is outside [0, 1], or of another shape.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import generation
      >>> generation.min_p(jnp.log(jnp.array([0.125, 0.5, 0.375])), 0.3) > -jnp.inf
      Array([False,  True,  True], dtype=bool)

    Source: Nguyen et al., "Turning Up the Heat: Min-p Sampling for Creative and Coherent LLM Outputs",
    https://arxiv.org/abs/2407.01082.
    """
    wide, p = _checked("min_p", logits, 1, p=p)
    return _kept(logits, wide >= wide.max(-1, keepdims=True) + jnp.log(p))


def sample(key: jax.Array, logits: jax.Array) -> jax.Array:
    """Draws a token for each row of logits, by their softmax.

    Args:
      key: a typed key for all rows, or one for each, by which a row's token depends on no other row.
      logits: `(..., vocabulary)`, floating point; minus infinity is never drawn.

    Returns:
      Integers `(...)`.

    Raises:
      TypeError: if `logits` are not floating point.
      ValueError: if the keys are neither one nor one for each row.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import generation
      >>> generation.sample(jax.random.key(0), generation.top_k(jnp.array([[0.0, 2.0, 1.0]]), 1)).tolist()
      [1]
    """
    wide, _ = _checked("sample", logits, 1)
    if key.shape not in ((), logits.shape[:-1]):
        raise ValueError(f"sample: key must be one, or one for each row of {_check.describe(logits)}, got {_check.describe(key)}")
    draw = jax.random.categorical
    for _ in key.shape:
        draw = jax.vmap(draw)
    return draw(key, wide)


def _kept(logits: jax.Array, kept: jax.Array) -> jax.Array:
    return jnp.where(kept, logits, jnp.asarray(-jnp.inf, logits.dtype))


def _checked(name: str, logits: Any, high: float, **setting: Any) -> tuple[jax.Array, Any]:
    """Logits in float32 at least, and a setting in [0, high] with an axis for the vocabulary."""
    logits = _check.floating(name, logits, "logits")
    if logits.ndim == 0 or logits.size == 0:
        raise ValueError(f"{name}: logits must be (..., vocabulary), got {_check.describe(logits)}")
    wide = widen(logits)
    for what, value in setting.items():
        _check.within(name, 0, high, **{what: value})
        if jnp.shape(value) not in ((), logits.shape[:-1]):
            raise ValueError(f"{name}: {what} must be one, or one for each row of {_check.describe(logits)}, got {value}")
        value = jnp.broadcast_to(jnp.asarray(value, wide.dtype), logits.shape[:-1])
        return wide, jnp.expand_dims(value, -1)
    return wide, None
