"""How every loss and metric turns one number for each sample into its result."""

from typing import Any, Literal

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import divisor

Reduction = Literal["mean", "sum", "none"]


def reduce(name: str, values: jax.Array, where: Any, weights: Any, reduction: Reduction) -> jax.Array:
    """Applies `where` and `weights`, each of the leading shape of `values`, and reduces. A mean over nothing is 0."""
    share = jnp.ones(values.shape, values.dtype)
    for key, given in (("where", where), ("weights", weights)):
        if given is not None:
            given = jnp.asarray(given, values.dtype)
            if given.shape != values.shape[: given.ndim]:
                takes = f"must have the leading shape of {_check.describe(values)}"
                raise ValueError(f"{name}: {key} {takes}, got {_check.describe(given)}")
            share = share * jnp.expand_dims(given, range(given.ndim, values.ndim))
    values = jnp.where(share == 0, 0, values * share)
    if reduction == "none":
        return values
    if reduction == "sum":
        return values.sum()
    if reduction == "mean":
        total = share.sum()
        return values.sum() / divisor(total)
    raise ValueError(f'{name}: reduction must be "mean", "sum" or "none", got {reduction!r}')
