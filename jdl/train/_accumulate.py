"""The gradient of a large batch in the memory of a small one."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.layer import derive
from jdl.train._run import rows
from jdl.train._step import Gradient


def accumulate(times: int) -> Gradient:
    """Makes what `train.step(..., gradient=accumulate(4))` takes: the gradient as the mean over parts of the batch, one by one.

    For a loss that is a mean over samples it is the gradient of the whole batch, in the memory of a part. A mean that counts some
    samples less (`where`, `weights`, an ignored label) is then a mean over each part: take `reduction="sum"`, and divide by what a
    batch counts. Layers that look at the batch see a part: batch norm normalises by its statistics, and its running ones are
    updated by every part in turn; what is drawn at random differs from part to part.

    Args:
      times: in how many parts a batch is cut, each of neighbouring samples; divides the batch's size.

    Returns:
      A function to take the place of `jax.value_and_grad(..., has_aux=True)`: loss and metrics are means over the parts.

    Raises:
      ValueError: if `times` is not positive, or does not divide the batch.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> objective = train.objective(L.dense(1), losses.mean_squared_error)
      >>> step = train.step(objective, optax.adam(1e-3), gradient=train.accumulate(4))
      >>> batch = jnp.ones((32, 3)), jnp.zeros((32, 1))
      >>> train_state, metrics = step.update(step.init(jax.random.key(0), batch), batch)
    """
    _check.positive("accumulate", times=times)

    def of(apply: Callable) -> Callable:
        value_and_gradient = jax.value_and_grad(apply, has_aux=True)

        def gradient(params: Any, state: Any, batch: Any, key: jax.Array) -> tuple[Any, Any]:
            if (size := rows(batch)) % times:
                raise ValueError(f"accumulate: {times} parts don't divide a batch of {size} samples")
            parts = jax.tree.map(lambda a: a.reshape(times, size // times, *a.shape[1:]), batch)

            def one(carry: Any, own: Any) -> tuple[Any, None]:
                state, sums = carry
                part, index = own
                (value, (state, metrics)), gradient = value_and_gradient(params, state, part, derive(key, "part", index))
                return (state, jax.tree.map(lambda total, a: total + a, sums, (value, metrics, gradient))), None

            first = jax.tree.map(lambda a: a[0], parts)
            (value, (_, metrics)), slope = jax.eval_shape(value_and_gradient, params, state, first, key)
            shapes = value, metrics, slope
            zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, jnp.promote_types(a.dtype, jnp.float32)), shapes)
            (state, sums), _ = jax.lax.scan(one, (state, zeros), (parts, jnp.arange(times)))
            means = jax.tree.map(lambda total: total / times, sums)
            like = lambda mean, a: mean.astype(a.dtype) if jnp.issubdtype(a.dtype, jnp.inexact) else mean
            value, metrics, slope = jax.tree.map(like, means, shapes)
            return (value, (state, metrics)), slope

        return gradient

    return of
