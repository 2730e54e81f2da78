"""Low-rank adaptation."""

import math

import jax
import jax.numpy as jnp

from jdl.functional import _check


def lora(kernel: jax.Array, a: jax.Array, b: jax.Array, *, alpha: float | jax.Array | None = None) -> jax.Array:
    """Adds a product of two thin matrices to a kernel: `W + alpha / rank * a b`.

    The kernel is seen as a matrix, `(everything, out)`. Where `a` and `b` are stacked along leading axes, as `repeat` stacks them,
    so is the kernel.

    Args:
      kernel: `(..., out)`, floating point.
      a: `(everything, rank)`.
      b: `(rank, out)`.
      alpha: strength; may be traced. The rank if not given, so that the factor is 1.

    Returns:
      An array of the shape of `kernel`, in float32 at least: half precision would round small changes away.

    Raises:
      TypeError: if `kernel` is not floating point.
      ValueError: if the shapes do not fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.lora(jnp.eye(2), jnp.ones((2, 1)), jnp.ones((1, 2)), alpha=3.0).tolist()
      [[4.0, 3.0], [3.0, 4.0]]

    Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", https://arxiv.org/abs/2106.09685.
    """
    if not jnp.issubdtype(kernel.dtype, jnp.floating):
        raise TypeError(f"lora: kernel must be floating point, got {_check.describe(kernel)}")
    leading = a.shape[:-2]
    thin = a.ndim == b.ndim >= 2 and a.shape[-1] == b.shape[-2] and leading == b.shape[:-2] == kernel.shape[: len(leading)]
    if not thin or kernel.shape[-1] != b.shape[-1] or kernel.size != math.prod(a.shape[:-1]) * b.shape[-1]:
        arrays = ", ".join(f"{name} is {_check.describe(x)}" for name, x in {"a": a, "b": b, "kernel": kernel}.items())
        raise ValueError(f"lora: a must be (everything, rank) and b (rank, out): {arrays}")
    wide = jnp.promote_types(kernel.dtype, jnp.float32)
    rank = a.shape[-1]
    factor = jnp.asarray(rank if alpha is None else alpha, wide) / rank
    added = (factor * a.astype(wide)) @ b.astype(wide)
    return kernel.astype(wide) + added.reshape(kernel.shape)
