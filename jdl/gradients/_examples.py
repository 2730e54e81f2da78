"""Gradients of single samples, and what they tell."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen


def per_example(loss: Callable[[Any, Any], jax.Array]) -> Callable[[Any, Any], tuple[jax.Array, Any]]:
    """Turns a loss of a batch into a function to the loss and gradient of each sample, `(params, batch) -> (losses, gradients)`.

    The loss sees batches of one sample, so that it may be a mean or a sum, and no sample may depend on another. The mean of
    gradients is that of the mean loss. `differentially_private_aggregate`, handed on from Optax, clips each sample's gradient, adds
    noise, and averages; chain it before an optimizer.

    Args:
      loss: `(params, batch) -> scalar`, where a batch is a tree of arrays `(batch, ...)`. An objective is one with
        `lambda params, batch: objective.apply(params, state, batch, key)[0]`.

    Returns:
      A function to losses, `(batch,)`, and a tree of gradients like params, each with a leading axis of samples.

    Raises:
      ValueError: when called, if the arrays of a batch differ in their leading axis.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import gradients
      >>> loss = lambda w, batch: (w * batch).mean()
      >>> losses, each = gradients.per_example(loss)(jnp.array(2.0), jnp.array([1.0, 5.0]))
      >>> losses.tolist(), each.tolist()
      ([2.0, 10.0], [1.0, 5.0])
      >>> private = gradients.differentially_private_aggregate(3.0, 0.0, jax.random.key(0))  # norm, noise, key
      >>> private.update(each, private.init(jnp.array(2.0)))[0].item()
      2.0

    Source: Abadi et al., "Deep Learning with Differential Privacy", https://arxiv.org/abs/1607.00133.
    """

    def each(params: Any, batch: Any) -> tuple[jax.Array, Any]:
        stacked("per_example", batch)
        alone = jax.tree.map(lambda x: jnp.expand_dims(x, 1), batch)
        return jax.vmap(jax.value_and_grad(loss), (None, 0))(params, alone)

    return each


class NoiseScale(NamedTuple):
    """What `gradient_noise_scale` estimates, both without bias: average each over steps before dividing.

    Attributes:
      noise: the trace of the covariance of single samples' gradients.
      signal: the squared norm of the true gradient; an estimate may be negative.
    """

    noise: jax.Array
    signal: jax.Array


def gradient_noise_scale(gradients: Any, size: int = 1) -> NoiseScale:
    """Estimates noise and signal of gradients, whose ratio says up to which batch size larger batches pay: `tr(S) / |G|^2`.

    With n gradients `g_i`, each of `size` samples, `noise = size / (n - 1) sum_i |g_i - mean|^2` and
    `signal = |mean|^2 - noise / (n size)`.

    Args:
      gradients: a tree of arrays `(n, ...)` with n at least 2: gradients of single samples (see `per_example`), or of parts of a
        batch.
      size: how many samples each gradient is the mean over.

    Returns:
      A NoiseScale of two scalars.

    Raises:
      ValueError: if there are fewer than two gradients, or `size` is not positive.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import gradients
      >>> noise, signal = gradients.gradient_noise_scale({"kernel": jnp.array([[3.0], [5.0]])})
      >>> noise.item(), signal.item()
      (2.0, 15.0)

    Source: McCandlish et al., "An Empirical Model of Large-Batch Training", https://arxiv.org/abs/1812.06162.
    """
    _check.positive("gradient_noise_scale", size=size)
    count = stacked("gradient_noise_scale", gradients)
    if count < 2:
        raise ValueError(f"gradient_noise_scale: takes at least 2 gradients, got {_check.describe(gradients)}")
    wide = jax.tree.map(widen, gradients)
    means = jax.tree.map(lambda g: g.mean(0, keepdims=True), wide)
    squares = lambda tree: jax.tree.reduce(jnp.add, jax.tree.map(lambda x: jnp.square(x).sum(), tree))
    noise = squares(jax.tree.map(jnp.subtract, wide, means)) * size / (count - 1)
    return NoiseScale(noise, squares(means) - noise / (count * size))


def stacked(name: str, gradients: Any) -> int:
    """How long the leading axis of all arrays of a tree is; raises ValueError if there is none, or several."""
    sizes = {jnp.shape(g)[:1] for g in jax.tree.leaves(gradients)}
    if len(sizes) != 1 or sizes == {()}:
        raise ValueError(f"{name}: arrays must share a leading axis, got {_check.describe(gradients)}")
    return sizes.pop()[0]
