"""The block of transformers, from its parts."""

from collections.abc import Callable
from typing import Any, Literal

import jax

from jdl.functional import _check
from jdl.layer import Layer, compose
from jdl.layers._drawing import draws
from jdl.layers._dropout import dropout
from jdl.layers._layer_norm import layer_norm

Order = Literal["pre", "post", "parallel"]


def transformer_block(
    attention: Layer,
    mlp: Layer | Callable,
    *,
    cross: Layer | None = None,
    norm: Layer | Callable | None = None,
    rate: float | jax.Array = 0.0,
    order: Order = "pre",
) -> Layer:
    """Attention and an MLP at each position, both residual and normalised; with attention to a memory between them, a decoder's.

    With `"pre"`, `x + mlp(norm(x))` after `x + attention(norm(x))`; with `"post"`, `norm(x + mlp(x))` after
    `norm(x + attention(x))`; with `"parallel"`, `x + attention(norm(x)) + mlp(norm(x))`, of one norm.

    Inputs are `(x, memory=None, *, mask=None, memory_mask=None, mlp_mask=None, bias=None, positions=None, lengths=None,
    cache=None)`, as `attention` takes them, and `mlp_mask`, if given, as the `mask` of `mlp`; `repeat(block, depth,
    scanned=("cache",))` gives every repetition its own cache.

    Args:
      attention: such as `attention(8)`, or `attention(8, causal=True)` for a decoder.
      mlp: such as `mlp([4 * features, features])` or `swiglu(hidden)`; or a layer that returns `(y, info)`, such as
        `mixture_of_experts(swiglu(hidden), 8)`.
      cross: attends to `memory`; without it there is none.
      norm: a layer like it for every part; `layer_norm()` if not given.
      rate: probability of dropping an entry of what a part adds, in [0, 1]; may be traced. The number 0 needs no key.
      order: where the norms are.

    Returns:
      A Layer from `(batch, time, features)` to `(y, cache)`, or `(y, (cache, info))` if `mlp` returns that, with sublayers
      `attention`, `cross`, `mlp` and a norm of each, `attention_norm`, `cross_norm`, `mlp_norm`.

    Raises:
      ValueError: if `order` is none of these, a parallel block has a memory, or `rate` is a number outside [0, 1].

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> block, x = L.transformer_block(L.attention(4), L.mlp([64, 16])), jnp.ones((2, 5, 16))
      >>> params, state = L.repeat(block, 3, scanned=("cache",)).init(jax.random.key(0), x)
      >>> params["attention"]["query"]["kernel"].shape
      (3, 16, 16)

    Source: Vaswani et al., "Attention Is All You Need", https://arxiv.org/abs/1706.03762; norms before: Xiong et al., "On Layer
    Normalization in the Transformer Architecture", https://arxiv.org/abs/2002.04745; parallel: Wang and Komatsuzaki, "GPT-J-6B".
    """
    _check.choice("transformer_block", "order", order, ("pre", "post", "parallel"))
    _check.within("transformer_block", 0, 1, rate=rate)
    if cross is not None and order == "parallel":
        raise ValueError(
            "transformer_block: a parallel block has no attention to a memory; leave cross out, or choose another order"
        )
    norm = layer_norm() if norm is None else norm
    drops = draws(rate)
    parts: dict[str, Layer | Callable] = {"attention": attention, "attention_norm": norm, "mlp": mlp}
    parts |= {} if order == "parallel" else {"mlp_norm": norm}
    parts |= {} if cross is None else {"cross": cross, "cross_norm": norm}

    @compose(**parts, drop=dropout(rate) if drops else lambda x: x)
    def block(
        net, x, memory=None, *, mask=None, memory_mask=None, mlp_mask=None, bias=None, positions=None, lengths=None, cache=None
    ):
        _check_memory(cross, memory)

        def attend(x):
            nonlocal cache
            y, cache = net.attention(x, mask=mask, bias=bias, positions=positions, lengths=lengths, cache=cache)[:2]
            return y

        def transform(x):
            nonlocal cache
            y = net.mlp(x) if mlp_mask is None else net.mlp(x, mask=mlp_mask)
            if isinstance(y, tuple):
                y, info = y
                cache = cache, info
            if y.shape != x.shape:
                wants = f"as many features as {_check.describe(x)} has"
                raise ValueError(f"transformer_block: mlp must give {wants}, got {_check.describe(y)}")
            return y

        if order == "parallel":
            normed = net.attention_norm(x)
            return x + net.drop(attend(normed)) + net.drop(transform(normed)), cache

        def add(x, part, norm):
            return x + net.drop(part(norm(x))) if order == "pre" else norm(x + net.drop(part(x)))

        x = add(x, attend, net.attention_norm)
        if cross is not None:
            x = add(x, lambda x: net.cross(x, memory, mask=memory_mask)[0], net.cross_norm)
        return add(x, transform, net.mlp_norm), cache

    return block


def _check_memory(cross: Any, memory: Any) -> None:
    """Raises ValueError unless there is a memory for the attention to one, and the other way round."""
    if cross is not None and memory is None:
        mend = "give it one, or leave cross out"
        raise ValueError(f"transformer_block: a block with attention to a memory needs a memory; {mend}")
    if cross is None and memory is not None:
        mend = "build it with cross=attention(heads)"
        raise ValueError(f"transformer_block: a block without attention to a memory takes no memory; {mend}")
