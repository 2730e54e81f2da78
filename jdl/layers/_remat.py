"""Less memory for more arithmetic."""

from collections.abc import Callable
from typing import Any, Literal

import jax

from jdl._net import observed
from jdl.functional import _check
from jdl.layer import Layer, as_layer

Policy = Literal["nothing", "dots", "dots_without_batch"]
_POLICIES: dict[str, Any] = {
    "nothing": None,
    "dots": jax.checkpoint_policies.dots_saveable,
    "dots_without_batch": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}


def remat(layer: Layer | Callable, *, policy: Policy = "nothing") -> Layer:
    """Computes a layer again in the backward pass instead of keeping what is inside.

    Around the block of a `repeat`, memory grows with depth by one `x` a block.

    Args:
      layer: any layer.
      policy: what is kept all the same: `"nothing"`; `"dots"`, the results of matrix products; `"dots_without_batch"`, of those
        with weights, but not of attention.

    Returns:
      A Layer with the same params, state and output.

    Raises:
      ValueError: if `policy` is none of these.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> deep = L.repeat(L.remat(L.chain(L.dense(8), jnp.tanh)), 100)
      >>> params, state = deep.init(jax.random.key(0), jnp.ones((2, 8)))
      >>> jax.grad(lambda params: deep.apply(params, state, jnp.ones((2, 8)))[0].sum())(params)["0"]["kernel"].shape
      (100, 8, 8)

    Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", https://arxiv.org/abs/1604.06174.
    """
    _check.choice("remat", "policy", policy, tuple(_POLICIES))
    layer = as_layer(layer)

    def apply(params: dict, state: dict, *inputs: Any, key: Any = None, train: bool = False, **named: Any) -> tuple[Any, dict]:
        def run(params, state, inputs, key):
            return layer.apply(params, state, *inputs, key=key, train=train, **named)  # some of `named` may be no arrays

        if observed():
            return run(params, state, inputs, key)  # what is seen inside would be of a trace of its own
        return jax.checkpoint(run, policy=_POLICIES[policy])(params, state, inputs, key)

    return Layer(layer.init, apply)
