"""Decoders that are fed what they said, or what they should have said."""

from collections.abc import Callable
from typing import Any

import jax
import jax.core
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._bilinear import same_axes


def unroll(
    step: Callable[[jax.Array, Any], tuple[jax.Array, Any]],
    cache: Any,
    x: jax.Array,
    *,
    steps: int | None = None,
    targets: jax.Array | None = None,
    forcing: float | jax.Array = 1.0,
    key: jax.Array | None = None,
    feed: Callable[[jax.Array], jax.Array] = lambda y: y,
) -> tuple[jax.Array, Any]:
    """Runs a decoder freely, with teacher forcing, or with scheduled sampling between the two, in one loop.

    Its input at step `t + 1` is `feed(y[t])`, what it said, or `targets[t]`, what it should have said: for each step and sample the
    latter with probability `forcing`. Gradients go through what it said, as far as `feed` has any.

    Args:
      step: a decoder, `(x, cache) -> (y, cache)`, of one step: `x` and `y` are `(batch, 1, ...)`.
      cache: what the decoder keeps, such as the carry of a recurrent layer: any tree of arrays.
      x: the first input, `(batch, 1, ...)`.
      steps: how many; needed without `targets`, and otherwise theirs.
      targets: `(batch, steps, ...)`, for each step what could be the next input. Without them it runs freely.
      forcing: probability of a target, in [0, 1]; may be traced, such as one that decays in training. 1 is teacher forcing.
      key: a typed key, for draws. The numbers 0 and 1 need none.
      feed: makes an input of an output, such as `lambda y: y.argmax(-1)` where outputs are logits and inputs are tokens.

    Returns:
      `(y, cache)`: outputs `(batch, steps, ...)`, and the cache after the last.

    Raises:
      TypeError: if the key is not typed.
      ValueError: if shapes don't fit, there are neither steps nor targets, or `forcing` is outside [0, 1] or needs a key.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import generation, layers as L
      >>> decoder, x = L.recurrent(L.gru_cell(3)), jnp.ones((2, 1, 3))
      >>> params, state = decoder.init(jax.random.key(0), x)
      >>> def step(x, carry):
      ...     return decoder.apply(params, state, x, carry=carry)[0]
      >>> y, carry = generation.unroll(step, jnp.zeros((2, 3)), x, steps=5)
      >>> y.shape, bool((y[:, 4] == carry).all())
      ((2, 5, 3), True)

    Source: Williams and Zipser, "A Learning Algorithm for Continually Running Fully Recurrent Neural Networks"; Bengio et al.,
    "Scheduled Sampling for Sequence Prediction with Recurrent Neural Networks", https://arxiv.org/abs/1506.03099.
    """
    x = jnp.asarray(x)
    if x.ndim < 2 or x.shape[1] != 1:
        raise ValueError(f"unroll: x must be (batch, 1, ...), got {_check.describe(x)}")
    steps = _steps(x, steps, targets)
    forced = None if targets is None else _forced(key, forcing, (steps, len(x)))
    following = None if targets is None else jnp.expand_dims(jnp.asarray(targets), 2).swapaxes(0, 1)
    leaves, structure = jax.tree.flatten((x, cache, following, forced))
    x, cache, following, forced = structure.unflatten(same_axes(*map(jnp.asarray, leaves)))

    def advance(carry: Any, other: Any) -> Any:
        x, cache = carry
        target, forced = other
        y, cache = step(x, cache)
        said = feed(y)
        if said.shape != x.shape:
            raise ValueError(f"unroll: feed must make {_check.describe(x)} of {_check.describe(y)}, got {_check.describe(said)}")
        own = said if target is None else jnp.where(forced.reshape(-1, *[1] * (x.ndim - 1)), target, said)
        return (own.astype(x.dtype), cache), y[:, 0]

    (_, cache), y = jax.lax.scan(advance, (x, cache), (following, forced), length=steps)
    return y.swapaxes(0, 1), cache


def _steps(x: jax.Array, steps: int | None, targets: Any) -> int:
    """How many there are; raises unless these fit each other."""
    if targets is None:
        if steps is None:
            raise ValueError("unroll: needs steps, or targets")
        _check.positive("unroll", steps=steps)
        return steps
    count = targets.shape[1] if steps is None and targets.ndim > 1 else steps
    if targets.shape != (x.shape[0], count, *x.shape[2:]) or not count:
        wants = f"[{', '.join(map(str, (x.shape[0], 'steps' if steps is None else steps, *x.shape[2:])))}]"
        raise ValueError(f"unroll: targets must be {wants}, got {_check.describe(targets)}")
    return count


def _forced(key: jax.Array | None, forcing: Any, shape: tuple[int, int]) -> jax.Array:
    """Where targets are fed."""
    _check.within("unroll", 0, 1, forcing=forcing)
    if not isinstance(forcing, jax.core.Tracer) and forcing in (0, 1):
        return jnp.full(shape, bool(forcing))
    if key is None:
        raise ValueError("unroll: a forcing between 0 and 1 needs a key")
    _check.typed_key("unroll", key)
    return jax.random.bernoulli(key, forcing, shape)
