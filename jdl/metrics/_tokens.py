"""What metrics of padded token sequences share."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check, _lengths
from jdl.functional._reduce import reduce


def checked(name: str, predictions: Any, targets: Any, lengths: Any, target_lengths: Any) -> tuple[jax.Array, ...]:
    """Both sequences and their lengths, as JAX's arrays."""
    given = {"predictions": _check.array(predictions), "targets": _check.array(targets)}
    for what, tokens in given.items():
        if not jnp.issubdtype(tokens.dtype, jnp.integer):
            raise TypeError(f"{name}: {what} must be integers, got {_check.describe(tokens)}")
        if tokens.ndim != 2:
            raise ValueError(f"{name}: {what} must be (batch, length), got {_check.describe(tokens)}")
    predictions, targets = given.values()
    if len(predictions) != len(targets):
        raise ValueError(f"{name}: predictions and targets must be of one batch, got {_check.describe(list(given.values()))}")
    lengths = _lengths.given(name, "prediction_lengths", lengths, predictions)
    target_lengths = _lengths.given(name, "target_lengths", target_lengths, targets)
    return jnp.asarray(predictions), jnp.asarray(targets), jnp.asarray(lengths, int), jnp.asarray(target_lengths, int)


def by_rows(
    step: Callable[[jax.Array, jax.Array], jax.Array],
    start: jax.Array,
    predictions: jax.Array,
    targets: jax.Array,
    lengths: jax.Array,
    target_lengths: jax.Array,
) -> jax.Array:
    """The last entry of a table with a row for each token of a prediction, which `step` makes of the row before and of matches."""

    def one(row: jax.Array, entry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        token, counts = entry
        return jnp.where(jnp.expand_dims(counts, 1), step(row, jnp.expand_dims(token, 1) == targets), row), None

    row, _ = jax.lax.scan(one, start, (predictions.T, _lengths.inside(lengths, predictions.shape[1]).T))
    return jnp.take_along_axis(row, jnp.expand_dims(target_lengths, 1), 1, mode="clip").squeeze(1)


@functools.partial(jax.jit, static_argnames="name")
def sums(name: str, counts: dict[str, jax.Array], where: Any, weights: Any) -> dict[str, jax.Array]:
    """Over sequences."""
    weighted = {key: reduce(name, a.astype(float), where, weights, "none") for key, a in counts.items()}
    return {key: a.sum(0) for key, a in weighted.items()}


def ratio(a: jax.Array, b: jax.Array) -> jax.Array:
    """As floats; 0 if there is nothing to count."""
    return jnp.where(b > 0, a, 0).astype(float) / jnp.where(b > 0, b, 1)
