"""Penalties on the way that weights have gone from given ones."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.regularizers._algebra import Penalty, summed


def l2_sp(strength: float | jax.Array, start: Any, where: str | None = None) -> Penalty:
    """Penalises squared distance from starting values, for fine-tuning: `strength * sum (w - w_start)^2`.

    Args:
      strength: at least 0; may be traced.
      start: a tree like params, such as pretrained ones.
      where: glob over paths, such as `"encoder/**"`; everything if not given.

    Returns:
      A function from params to a scalar.

    Raises:
      ValueError: if `strength` is a negative number; when called, if params are not like `start` or `where` matches nothing.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> regularizers.l2_sp(0.5, {"kernel": jnp.ones(2)})({"kernel": jnp.array([1.0, -3.0])}).item()
      8.0

    Source: Li, Grandvalet and Davoine, "Explicit Inductive Bias for Transfer Learning with Convolutional Networks",
    https://arxiv.org/abs/1802.01483.
    """
    return summed("l2_sp", strength, where, lambda w, start: jnp.square(w - start).sum(), start)


def ewc(strength: float | jax.Array, anchor: Any, fisher: Any, where: str | None = None) -> Penalty:
    """Elastic weight consolidation, which holds the weights that an earlier task needs: `strength / 2 * sum F (w - anchor)^2`.

    Args:
      strength: at least 0; may be traced.
      anchor: a tree like params: what was learnt on the earlier task.
      fisher: likewise, at least 0: the diagonal of its Fisher information, which is the mean square of the gradients of single
        samples' log-likelihood, with labels drawn from the model's predictions (see `gradients.per_example`).
      where: glob over paths, such as `"**/kernel"`; everything if not given.

    Returns:
      A function from params to a scalar.

    Raises:
      ValueError: if `strength` or an entry of `fisher` is negative where the host can see it; when called, if params are not like
        `anchor` and `fisher` or `where` matches nothing.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> penalty = regularizers.ewc(1.0, {"kernel": jnp.zeros(2)}, {"kernel": jnp.array([4.0, 0.0])})
      >>> penalty({"kernel": jnp.array([1.0, 9.0])}).item()
      2.0

    Source: Kirkpatrick et al., "Overcoming catastrophic forgetting in neural networks", https://arxiv.org/abs/1612.00796.
    """
    _check.within("ewc", 0, float("inf"), strength=strength)
    for information in jax.tree.leaves(fisher):
        _check.report("ewc", "fisher must be at least 0", information, lambda values: values < 0)
    return summed("ewc", strength, where, lambda w, anchor, f: (f * jnp.square(w - anchor)).sum() / 2, anchor, fisher)
