"""Which experts a token goes to, with what weights, and how evenly."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._dropout import real
from jdl.functional._numbers import divisor, widen


def top_k_router(
    logits: jax.Array, k: int, *, normalize: bool | None = None, mask: jax.Array | None = None
) -> tuple[jax.Array, jax.Array]:
    """Chooses the `k` experts with the largest logits for every token; their gates are `softmax(logits)` over all experts.

    Gates that are normalised sum to 1, as in GShard and Mixtral, where it is a softmax over the chosen logits. With one expert they
    would then be 1, and the router learn nothing: in Switch the gate is the probability.

    Args:
      logits: `(..., experts)`, floating point.
      k: how many experts a token has.
      normalize: whether a token's gates sum to 1; if not given, with `k` above 1.
      mask: bools `(...)`, False for tokens that are routed nowhere, such as padding.

    Returns:
      `(gates, chosen)`, both `(..., k)`, the first choice first, of equal ones the first. Gates are of float32 at least; tokens
      that don't count have gates 0 and choose expert `experts`, which isn't there.

    Raises:
      TypeError: if `logits` are not floating point, or `mask` not bool.
      ValueError: if `k` is not in 1..experts, or the shape of `mask` doesn't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> gates, chosen = functional.top_k_router(jnp.array([[1.0, 0.0, 1.0]]), 2)
      >>> gates.tolist(), chosen.tolist()
      ([[0.5, 0.5]], [[0, 2]])

    Source: Lepikhin et al., "GShard", https://arxiv.org/abs/2006.16668; Fedus, Zoph and Shazeer, "Switch Transformers",
    https://arxiv.org/abs/2101.03961; Jiang et al., "Mixtral of Experts", https://arxiv.org/abs/2401.04088.
    """
    logits = _check.floating("top_k_router", logits, "logits")
    _check.rank("top_k_router", logits, range(1, 65), "(..., experts)")
    experts = logits.shape[-1]
    few_enough("top_k_router", k, experts)
    if mask is not None:
        counts = _counted(logits, mask)
        logits = jnp.where(counts, logits, 0)  # before the softmax, so that even NaN has no gradient
    probabilities = jax.nn.softmax(widen(logits))
    chosen = jax.lax.top_k(jax.lax.stop_gradient(logits), k)[1]
    gates = jnp.take_along_axis(probabilities, chosen, -1)
    if k > 1 if normalize is None else normalize:
        gates = gates / gates.sum(-1, keepdims=True)
    if mask is None:
        return gates, chosen
    return jnp.where(counts, gates, 0), jnp.where(counts, chosen, experts)


def router_jitter(key: jax.Array, x: jax.Array, jitter: float | jax.Array) -> jax.Array:
    """Multiplies every entry by a number drawn evenly from `[1 - jitter, 1 + jitter]`: exploration, for a router's input.

    Args:
      key: a typed key.
      x: input of any shape, floating point.
      jitter: in [0, 1]; may be traced. 0 returns `x` exactly.

    Returns:
      An array like `x`; computed in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if `jitter` is a number outside [0, 1].

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> y = functional.router_jitter(jax.random.key(0), jnp.ones(1000), 0.25)
      >>> bool((y >= 0.75).all() and (y <= 1.25).all())
      True

    Source: Fedus, Zoph and Shazeer, "Switch Transformers", https://arxiv.org/abs/2101.03961.
    """
    x = _check.floating("router_jitter", x)
    _check.within("router_jitter", 0, 1, jitter=jitter)
    draws = jax.random.uniform(key, x.shape, real(x), -1, 1)
    return (widen(x) * (1 + jnp.asarray(jitter, draws.dtype) * draws)).astype(x.dtype)


def load_balance(logits: jax.Array, chosen: jax.Array) -> jax.Array:
    """Says how evenly experts are used: `experts * sum_e f_e P_e`, of the share `f_e` of choices and the mean probability `P_e`.

    It is 1 where all experts are used alike and grows to `experts / k`; added to a loss, times 0.01 or so, it spreads tokens over
    the experts. The gradient is that of the probabilities.

    Args:
      logits: `(..., experts)`, floating point.
      chosen: of `top_k_router`, `(..., k)`. Tokens whose first expert isn't there don't count.

    Returns:
      A scalar, of float32 at least; 0 where no token counts.

    Raises:
      TypeError: if `logits` are not floating point.
      ValueError: if shapes don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.load_balance(jnp.zeros((4, 2)), jnp.array([[0], [1], [0], [1]])).item()
      1.0

    Source: Fedus, Zoph and Shazeer, "Switch Transformers", https://arxiv.org/abs/2101.03961; Lepikhin et al., "GShard",
    https://arxiv.org/abs/2006.16668.
    """
    logits = _check.floating("load_balance", logits, "logits")
    if chosen.ndim != logits.ndim or chosen.shape[:-1] != logits.shape[:-1]:
        given = f"{_check.describe(logits)} and {_check.describe(chosen)}"
        raise ValueError(f"load_balance: logits must be (..., experts) and chosen (..., k), got {given}")
    experts, k = logits.shape[-1], chosen.shape[-1]
    counts = chosen[..., :1] < experts
    probabilities = jnp.where(counts, jax.nn.softmax(widen(jnp.where(counts, logits, 0))), 0)
    tokens = divisor(counts.sum().astype(probabilities.dtype))
    share = tokens_per_expert(chosen, experts) / (k * tokens)
    return experts * jnp.vdot(share, probabilities.reshape(-1, experts).sum(0) / tokens)


def tokens_per_expert(chosen: jax.Array, experts: int) -> jax.Array:
    """How many tokens chose each expert, integers `(experts,)`."""
    return (chosen.reshape(-1, 1) == jnp.arange(experts).reshape(1, -1)).sum(0, dtype=jnp.int32)


def few_enough(name: str, k: int, experts: int) -> None:
    """Raises ValueError unless `k` is in 1..experts."""
    _check.positive(name, k=k)
    if k > experts:
        raise ValueError(f"{name}: k must be at most the number of experts, got {k} of {experts}")


def _counted(logits: jax.Array, mask: Any) -> jax.Array:
    """The mask with an axis for the experts; raises unless it fits."""
    mask = _check.array(mask)
    if mask.dtype != bool:
        raise TypeError(f"top_k_router: mask must be bools, True for tokens that count, got {_check.describe(mask)}")
    if mask.shape != logits.shape[:-1]:
        raise ValueError(f"top_k_router: mask must be {list(logits.shape[:-1])}, got {_check.describe(mask)}")
    return jnp.expand_dims(mask, -1)
