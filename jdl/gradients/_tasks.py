"""Gradients of several tasks with shared parameters."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import root, widen
from jdl.gradients._examples import stacked


def pcgrad(key: jax.Array, gradients: Any) -> Any:
    """Adds the gradients of tasks, each after projecting away what conflicts with another: `g_i - g_j (g_i . g_j) / |g_j|^2`.

    Each gradient is compared with those of the other tasks in random order, and projected where the product is negative.

    Args:
      key: a typed key, for the orders.
      gradients: a tree of arrays `(tasks, ...)`, as `jax.jacobian` gives it for a function to a vector of losses.

    Returns:
      A tree without the axis of tasks; computed in float32 at least.

    Raises:
      ValueError: if arrays don't share a leading axis.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import gradients
      >>> gradients.pcgrad(jax.random.key(0), jnp.array([[1.0, 0.0], [-1.0, 1.0]])).tolist()
      [0.5, 1.5]

    Source: Yu et al., "Gradient Surgery for Multi-Task Learning", https://arxiv.org/abs/2001.06782.
    """
    tasks = stacked("pcgrad", gradients)
    flat = [widen(g).reshape(tasks, -1) for g in jax.tree.leaves(gradients)]
    products = jax.tree.reduce(jnp.add, [g @ g.T for g in flat])  # all that is needed to find the sum's coefficients

    def coefficients(key: jax.Array, task: jax.Array) -> jax.Array:
        def project(own: jax.Array, other: jax.Array) -> tuple[jax.Array, None]:
            product, square = own @ products[:, other], products[other, other]
            share = jnp.where((product < 0) & (other != task), product / jnp.where(square > 0, square, 1), 0)
            return own.at[other].add(-share), None

        return jax.lax.scan(project, jax.nn.one_hot(task, tasks, dtype=products.dtype), jax.random.permutation(key, tasks))[0]

    share = jax.vmap(coefficients)(jax.random.split(key, tasks), jnp.arange(tasks)).sum(0)
    return jax.tree.map(lambda g: jnp.tensordot(share.astype(widen(g).dtype), widen(g), 1).astype(g.dtype), gradients)


def gradnorm(
    weights: jax.Array,
    losses: jax.Array,
    first_losses: jax.Array,
    gradients: Any,
    *,
    learning_rate: float | jax.Array = 0.025,
    asymmetry: float | jax.Array = 1.5,
) -> jax.Array:
    """Moves the weights of tasks so that slow tasks get larger gradients: one step on `sum_i |G_i - mean(G) r_i^asymmetry|`.

    `G_i = weights_i |g_i|` is a task's share of the gradient, and `r_i` its loss relative to the first one, divided by the mean of
    that over tasks. The target is a constant. Afterwards, weights are at least 0, and their sum is the number of tasks.

    Args:
      weights: `(tasks,)`, at first ones.
      losses: `(tasks,)`, without weights.
      first_losses: `(tasks,)`, the losses before training, positive.
      gradients: of the losses without weights, a tree of arrays `(tasks, ...)`: those of the last shared layer are enough.
      learning_rate: at least 0; may be traced.
      asymmetry: alpha in the paper, at least 0: how strongly slow tasks are favoured; may be traced.

    Returns:
      New weights, `(tasks,)`, of float32 at least.

    Raises:
      ValueError: if shapes don't fit, an option is a negative number, or a first loss is not positive where the host can see it.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import gradients
      >>> ones = jnp.ones(2)
      >>> weights = gradients.gradnorm(ones, ones, ones, jnp.array([[3.0], [1.0]]), learning_rate=0.2)
      >>> [f"{weight:.2f}" for weight in weights]
      ['0.50', '1.50']

    Source: Chen et al., "GradNorm: Gradient Normalization for Adaptive Loss Balancing", https://arxiv.org/abs/1711.02257.
    """
    _check.within("gradnorm", 0, float("inf"), learning_rate=learning_rate, asymmetry=asymmetry)
    _check.same_shape("gradnorm", weights=weights, losses=losses, first_losses=first_losses)
    _check.report("gradnorm", "first_losses must be positive", first_losses, lambda losses: ~(losses > 0))
    tasks = stacked("gradnorm", gradients)
    if weights.shape != (tasks,):
        raise ValueError(f"gradnorm: weights must be for {tasks} tasks, got {_check.describe(weights)}")
    squares = [jnp.square(widen(g)).reshape(tasks, -1).sum(1) for g in jax.tree.leaves(gradients)]
    norms = root(jax.tree.reduce(jnp.add, squares))
    weights, progress = widen(weights), widen(losses) / widen(first_losses)
    shares = weights * norms
    pace = progress.mean()
    goal = shares.mean() * jnp.where(pace > 0, progress / jnp.where(pace > 0, pace, 1), 1) ** asymmetry
    moved = jnp.maximum(weights - learning_rate * jnp.sign(shares - goal) * norms, 0)
    total = moved.sum()
    return jnp.where(total > 0, tasks * moved / jnp.where(total > 0, total, 1), weights)
