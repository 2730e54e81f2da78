"""What losses of embeddings share: distances, directions, and which samples of a batch are there."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import root, widen
from jdl.functional._unit_norm import unit_norm


def distance(x: jax.Array, y: jax.Array) -> jax.Array:
    """The Euclidean distance of vectors along the last axis; where it is 0, so is its gradient."""
    return root(jnp.square(x - y).sum(-1))


def unit(x: jax.Array) -> jax.Array:
    """Vectors along the last axis made as long as 1; those of zeros stay, with a gradient of 0."""
    some = (x != 0).any(-1, keepdims=True)
    return jnp.where(some, unit_norm(jnp.where(some, x, 1)), 0)


def cosines(x: jax.Array, y: jax.Array) -> jax.Array:
    """The cosine of each row of `x` with each row of `y`, exact because a small temperature multiplies its error."""
    return jnp.matmul(unit(x), unit(y).T, precision=jax.lax.Precision.HIGHEST)


def vectors(name: str, **arrays: Any) -> list[jax.Array]:
    """The named arrays in float32 at least; raises unless they are floating point, of one shape, with an axis of features."""
    wide = [widen(_check.floating(name, x, what)) for what, x in arrays.items()]
    _check.same_shape(name, **arrays)
    if wide[0].ndim < 1:
        raise ValueError(f"{name}: {next(iter(arrays))} must be (..., features), got {_check.describe(wide[0])}")
    return wide


def batch(name: str, where: Any, **arrays: Any) -> tuple[jax.Array, list[jax.Array]]:
    """Which samples are there, and the named arrays, (batch, features), in float32 at least, with zeros for those that are not."""
    wide = vectors(name, **arrays)
    if wide[0].ndim != 2:
        raise ValueError(f"{name}: {next(iter(arrays))} must be (batch, features), got {_check.describe(wide[0])}")
    some = jnp.ones(wide[0].shape[:1], bool) if where is None else jnp.asarray(where, bool)
    if some.shape != wide[0].shape[:1]:
        raise ValueError(
            f"{name}: where must have shape {list(wide[0].shape[:1])}, one for each sample, got {_check.describe(some)}"
        )
    return some, [jnp.where(jnp.expand_dims(some, 1), x, 0) for x in wide]


def signs(name: str, predictions: Any, targets: Any) -> jax.Array:
    """Targets of 1 and -1 in the dtype of predictions; raises unless they are that, and of the same shape."""
    targets = _check.array(targets)
    _check.same_shape(name, predictions=predictions, targets=targets)
    _check.report(name, "targets must be 1 or -1", targets, lambda targets: abs(targets) != 1)
    return jnp.asarray(targets, predictions.dtype)
