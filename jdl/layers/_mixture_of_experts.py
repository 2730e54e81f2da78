"""A mixture of experts, of which each token has a few."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl import functional, losses
from jdl.functional import _check
from jdl.functional._dropout import sequences
from jdl.functional._experts import block_sizes
from jdl.functional._numbers import divisor, widen
from jdl.functional._router import few_enough, tokens_per_expert
from jdl.functional._slide import masked
from jdl.layer import Layer, as_layer, compose, derive
from jdl.layers._dense import dense
from jdl.layers._drawing import drawing, draws


def mixture_of_experts(
    expert: Layer | Callable,
    experts: int,
    *,
    k: int = 2,
    capacity_factor: float | None = None,
    shared: Layer | Callable | None = None,
    normalize: bool | None = None,
    jitter: float | jax.Array = 0.0,
    noise: bool = False,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
) -> Layer:
    """Sends each token to the `k` of many experts that a router chooses: `y = sum_i gates_i expert_i(x)`.

    Without a capacity no token is dropped. With one, an expert takes at most `capacity_factor * k * time / experts` tokens of a
    sample, rounded up, in the order of `functional.expert_slots`; what it drops adds nothing, and goes on in the residual alone.
    Params are the same, so a model may be trained with a capacity and used without. The router computes in float32 at least.

    Inputs are `(x, *, mask=None)`; tokens where `mask`, bools `(batch, time)`, is False are sent nowhere, take no capacity, count
    in no statistics, and give zeros.

    Args:
      expert: a layer from `(tokens, in)` to `(tokens, out)` without state, such as `swiglu(hidden)`.
      experts: how many there are.
      k: how many a token has.
      capacity_factor: above 0; 1.25 or 2 are usual.
      shared: a layer for all tokens whose output is added, such as an `expert` a few times as wide.
      normalize: whether a token's gates sum to 1; if not given, with `k` above 1.
      jitter: in training the router's input is multiplied by numbers from `[1 - jitter, 1 + jitter]`; in [0, 1], may be traced. The
        number 0 needs no key.
      noise: whether in training logits have noise, with a learnt deviation, `softplus(x W_noise)`; W_noise starts at zero.
      kernel_init: makes the router's kernel, `(in, experts)`.

    Returns:
      A Layer from `(batch, time, in)` to `(y, info)`, `y` of `(batch, time, out)`, with sublayers `router`, `experts`, whose
      parameters have a first axis of experts, `shared` and `noise`. `info` has scalars `load_balance` (1 where experts are used
      alike) and `z` (the mean of `losses.z_loss`), to be added to the loss times 0.01 and 0.001 or so, `dropped`, the share of
      choices that found no place, and `tokens_per_expert`, integers `(experts,)`, before any is dropped.

    Raises:
      ValueError: if a size is not positive, `k` larger than `experts`, a number is out of range, or the expert has state.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> layer, x = L.mixture_of_experts(L.swiglu(16), 8, k=2), jnp.ones((2, 5, 6))
      >>> params, state = jax.eval_shape(layer.init, jax.random.key(0), x)
      >>> params["router"]["kernel"].shape, params["experts"]["up"]["kernel"].shape
      ((6, 8), (8, 6, 16))
      >>> (y, info), _ = jax.eval_shape(layer.apply, params, state, x)
      >>> y.shape, sorted(info)
      ((2, 5, 6), ['dropped', 'load_balance', 'tokens_per_expert', 'z'])

    Source: Shazeer et al., "Outrageously Large Neural Networks", https://arxiv.org/abs/1701.06538; capacity and jitter: Fedus, Zoph
    and Shazeer, "Switch Transformers", https://arxiv.org/abs/2101.03961; z: Zoph et al., "ST-MoE", https://arxiv.org/abs/2202.08906;
    shared: Dai et al., "DeepSeekMoE", https://arxiv.org/abs/2401.06066.
    """
    _check.positive("mixture_of_experts", experts=experts)
    few_enough("mixture_of_experts", k, experts)
    _check.within("mixture_of_experts", 0, 1, jitter=jitter)
    if capacity_factor is not None:
        _check.above_zero("mixture_of_experts", capacity_factor=capacity_factor)
    jitters = draws(jitter)
    parts: dict[str, Layer | Callable] = {"router": dense(experts, bias=False, kernel_init=kernel_init)}
    parts |= {"experts": _stacked(expert, experts)} | ({} if shared is None else {"shared": shared})
    parts |= {"jitter": _drawn(lambda key, x: functional.router_jitter(key, x, jitter))} if jitters else {}
    if noise:
        add = lambda key, pair: functional.gaussian_noise(key, pair[0], jax.nn.softplus(pair[1]))
        parts |= {"noise": dense(experts, bias=False, kernel_init=initializers.zeros), "add": _drawn(add, lambda pair: pair[0])}

    @compose(**parts)
    def forward(net, x, *, mask=None):
        x = sequences("mixture_of_experts", x)
        if mask is not None:
            counts = masked("mixture_of_experts", x, mask)
            x = jnp.where(counts, x, jnp.zeros((), x.dtype))
        wide = widen(x)
        wide = net.jitter(wide) if jitters else wide
        logits = net.add((net.router(wide), net.noise(wide))) if noise else net.router(wide)
        gates, chosen = functional.top_k_router(logits, k, normalize=normalize, mask=mask)
        if capacity_factor is None:
            y, dropped = _without_capacity(net.experts, experts, x, gates, chosen)
        else:
            share = capacity_factor * k * x.shape[1] / experts
            capacity = max(1, min(x.shape[1], math.ceil(share * (1 - 1e-7))))  # 1.1 * 2 * 50 is 110.00000000000001
            y, dropped = _with_capacity(net.experts, experts, capacity, x, gates, chosen)
        y = y if shared is None else y + net.shared(x)
        used = tokens_per_expert(chosen, experts)
        info = {
            "load_balance": functional.load_balance(logits, chosen),
            "z": losses.z_loss(logits, where=mask),
            "dropped": dropped / divisor(used.sum()).astype(gates.dtype),
            "tokens_per_expert": used,
        }
        return y if mask is None else jnp.where(counts, y, jnp.zeros((), y.dtype)), info

    return forward


def _without_capacity(run: Callable, experts: int, x: jax.Array, gates: jax.Array, chosen: jax.Array) -> tuple[jax.Array, Any]:
    """The outputs of experts for all tokens, and how many choices are dropped, which is none."""
    batch, time, features = x.shape
    gates, chosen = (a.reshape(batch * time, a.shape[-1]) for a in (gates, chosen))
    slots, of = functional.expert_blocks(chosen, experts)
    blocks, size = block_sizes(chosen.size, experts)
    held = functional.dispatch(x.reshape(batch * time, features), slots, blocks * size).reshape(blocks, size, features)
    y = run(held, of)
    y = functional.combine(y.reshape(blocks * size, y.shape[-1]), slots, gates)
    return y.reshape(batch, time, y.shape[-1]), jnp.zeros((), gates.dtype)


def _with_capacity(
    run: Callable, experts: int, capacity: int, x: jax.Array, gates: jax.Array, chosen: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The outputs of experts for the tokens of each sample that find a slot, and how many choices find none."""
    batch, features, size = len(x), x.shape[-1], experts * capacity
    slots = jax.vmap(lambda chosen: functional.expert_slots(chosen, experts, capacity))(chosen)
    held = jax.vmap(lambda x, slots: functional.dispatch(x, slots, size))(x, slots)
    held = jnp.moveaxis(held.reshape(batch, experts, capacity, features), 0, 1).reshape(experts, batch * capacity, features)
    y = run(held)
    y = jnp.moveaxis(y.reshape(experts, batch, capacity, y.shape[-1]), 1, 0).reshape(batch, size, y.shape[-1])
    y = jax.vmap(functional.combine)(y, slots, gates)
    return y, ((chosen < experts) & (slots == size)).sum().astype(gates.dtype)


def _stacked(expert: Layer | Callable, experts: int) -> Layer:
    """Experts with parameters on a first axis, mapped over blocks of tokens: one for each, or those of which `of` says whose."""
    expert = as_layer(expert, "expert")
    each = lambda key, number: jax.vmap(lambda i: derive(key, "experts", i))(jnp.arange(number))

    def init(key: Any, held: Any, of: Any = None) -> tuple[dict, dict]:
        tokens = jax.ShapeDtypeStruct(held.shape[1:], held.dtype)
        params, state = jax.vmap(lambda key: expert.init(key, tokens))(each(key, experts))
        if state:
            raise ValueError(f"mixture_of_experts: experts can't have state, this one keeps {_check.describe(state)}")
        return params, {}

    def apply(params: dict, state: dict, held: Any, of: Any = None, *, key: Any = None, train: bool = False) -> tuple[Any, dict]:
        params = params if of is None else jax.tree.map(lambda a: a[of], params)
        run = lambda params, held, key: expert.apply(params, {}, held, key=key, train=train)[0]
        return jax.vmap(run)(params, held, None if key is None else each(key, len(held))), state

    return Layer(init, apply)


def _drawn(draw: Callable[..., Any], evaluate: Callable[[Any], Any] = lambda x: x) -> Layer:
    return drawing("mixture_of_experts", draw, lambda x: x, evaluate=evaluate)
