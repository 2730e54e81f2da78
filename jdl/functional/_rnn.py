"""The simple recurrent network."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._dense import dense
from jdl.functional._recurrent import Recurrence, check_kernels, recurrent


def rnn(
    x: jax.Array,
    kernel: jax.Array,
    recurrent_kernel: jax.Array,
    bias: jax.Array | None = None,
    *,
    activation: Callable[[jax.Array], jax.Array] = jnp.tanh,
    carry: jax.Array | None = None,
    lengths: jax.Array | None = None,
    mask: jax.Array | None = None,
    reverse: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """Applies a simple recurrent network to a sequence: `h = activation(x W + h U + b)`.

    Args:
      x: input, `(batch, time, in)`, floating point.
      kernel: `(in, features)`.
      recurrent_kernel: `(features, features)`.
      bias: `(features,)`.
      activation: such as `jnp.tanh` or `jax.nn.relu`.
      carry: `h` to begin with, `(batch, features)`; zeros if not given.
      lengths: integers `(batch,)`, how many steps count in each sample; out of 0..time, it is NaN under jit.
      mask: bools `(batch, time)`, which of them count.
      reverse: whether to begin at the last step.

    Returns:
      `(y, h)`: outputs `(batch, time, features)`, and the last of them, in float32 at least.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if shapes don't fit, or lengths lie outside 0..time.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> y, h = functional.rnn(jnp.ones((1, 3, 1)), jnp.ones((1, 1)), jnp.ones((1, 1)), activation=lambda x: x)
      >>> y.ravel().tolist(), h.item()
      ([1.0, 2.0, 3.0], 3.0)

    Source: Elman, "Finding Structure in Time", https://doi.org/10.1207/s15516709cog1402_1.
    """
    params = {"kernel": kernel, "recurrent_kernel": recurrent_kernel} | ({} if bias is None else {"bias": bias})
    return recurrent(simple(activation), params, x, carry=carry, lengths=lengths, mask=mask, reverse=reverse)


def simple(activation: Callable[[jax.Array], jax.Array]) -> Recurrence:
    """The recurrence of a simple network."""

    def step(params: dict, carry: jax.Array, hidden: jax.Array, projected: jax.Array) -> jax.Array:
        return activation(projected + dense(hidden, params["recurrent_kernel"]))

    return Recurrence("rnn", functools.partial(start_square, "rnn", 1), project, step)


def start_square(name: str, gates: int, params: dict, x: Any) -> jax.Array:
    """Zeros `(batch, features)`; raises unless `x` and kernels of so many gates fit."""
    kernel, recurrent_kernel = params["kernel"], params["recurrent_kernel"]
    check_kernels(name, gates, kernel, recurrent_kernel, x)
    features = kernel.shape[-1] // gates
    if recurrent_kernel.shape != (features, gates * features):
        wants = [features, gates * features]
        raise ValueError(f"{name}: recurrent_kernel must be {wants}, got {_check.describe(recurrent_kernel)}")
    return jnp.zeros((x.shape[0], features), jnp.promote_types(x.dtype, jnp.float32))


def project(params: dict, x: jax.Array) -> jax.Array:
    """What the gates get from the input: `x W + b`."""
    return dense(x, params["kernel"], params.get("bias"))
