"""The recurrent cell of selective state spaces."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl.functional import _check
from jdl.functional._dropout import sequences
from jdl.functional._selective_ssm import SELECTIVE_SSM
from jdl.layers._parameter import parameter
from jdl.layers._recurrent import Cell


def selective_ssm_cell(
    states: int = 16,
    *,
    rank: int | None = None,
    step: tuple[float, float] = (0.001, 0.1),
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
) -> Cell:
    """The cell of a selective state space, which chooses by the input what to keep. It runs in logarithmic depth.

    Decays are 1, 2, ..., `states` at first, and the steps of features are spread evenly over orders of magnitude. In a block of
    Mamba a causal convolution and SiLU come before it, and a gate after.

    Args:
      states: numbers that are kept for each feature.
      rank: of the product that makes steps; a sixteenth of the features, rounded up, if not given.
      step: the smallest and the largest step at first, above 0.
      kernel_init: makes `kernel`, `out_kernel` and `step_kernel`.

    Returns:
      A Cell with params `kernel`, `out_kernel`, `step_kernel`, `step_out_kernel`, `step_bias`, `log_decay` and `skip`, as in
      `functional.selective_ssm`. Outputs have the shape of `x`; the carry is `h`, `(batch, features, states)`.

    Raises:
      ValueError: if a size is not a positive integer, or a step not above 0.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> layer, x = L.recurrent(L.selective_ssm_cell(4)), jnp.ones((2, 5, 32))
      >>> params, state = jax.eval_shape(layer.init, jax.random.key(0), x)
      >>> y, h = jax.eval_shape(layer.apply, params, state, x)[0]
      >>> y.shape, h.shape, params["step_kernel"].shape
      ((2, 5, 32), (2, 32, 4), (32, 2))

    Source: Gu and Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces", https://arxiv.org/abs/2312.00752.
    """
    _check.positive("selective_ssm_cell", states=states, **({} if rank is None else {"rank": rank}))
    low, high = step
    _check.above_zero("selective_ssm_cell", step=low)
    _check.ordered("selective_ssm_cell", **{"the smallest step": low, "the largest": high})

    def decay_init(key: Any, shape: Any, dtype: Any) -> jax.Array:
        del key  # the same for all features
        return jnp.broadcast_to(jnp.log(jnp.arange(1, states + 1, dtype=dtype)), shape)

    def bias_init(key: jax.Array, shape: Any, dtype: Any) -> jax.Array:
        steps = jnp.exp(jax.random.uniform(key, shape, dtype, minval=jnp.log(low), maxval=jnp.log(high)))
        return steps + jnp.log(-jnp.expm1(-steps))  # of which softplus makes the steps

    def init(key: jax.Array, x: Any) -> dict:
        x = sequences("selective_ssm", x)
        features = x.shape[-1]
        width = -(-features // 16) if rank is None else rank
        make = lambda name, initializer, *shape: parameter(key, name, initializer, shape, x)
        return {
            "kernel": make("kernel", kernel_init, features, states),
            "out_kernel": make("out_kernel", kernel_init, features, states),
            "step_kernel": make("step_kernel", kernel_init, features, width),
            "step_out_kernel": make("step_out_kernel", initializers.variance_scaling(1 / 3, "fan_in", "uniform"), width, features),
            "step_bias": make("step_bias", bias_init, features),
            "log_decay": make("log_decay", decay_init, features, states),
            "skip": make("skip", initializers.ones, features),
        }

    return Cell(init, SELECTIVE_SSM)
