"""What losses of segmentations share: which class every pixel has, and which pixels count."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.losses._labels import binary_labels, class_labels, integer_labels
from jdl.losses._parts import blank, counted


class Pixels(NamedTuple):
    """A batch of images.

    Attributes:
      logits: `(batch, *spatial, classes)`, in float32 at least; 0 where a pixel does not count.
      shares: how much every pixel belongs to every class, likewise.
      counts: `(batch, *spatial)`, which pixels count.
      some: `(batch,)`, which images have a pixel that counts.
    """

    logits: jax.Array
    shares: jax.Array
    counts: jax.Array
    some: jax.Array


def one_of_many(name: str, logits: jax.Array, labels: Any, where: Any, soft: bool = True) -> Pixels:
    """Of classes that exclude each other: labels are integers or, if `soft`, probabilities of the shape of logits."""
    logits, labels, counts, some = _prepare(name, logits, labels, where)
    labels = class_labels(name, labels, logits, -1) if soft else integer_labels(name, labels, logits)
    if jnp.issubdtype(labels.dtype, jnp.integer):
        known = jnp.expand_dims((labels >= 0) & (labels < logits.shape[-1]), -1)
        labels = jnp.where(known, jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype), jnp.nan)
    return Pixels(logits, blank(labels, counts), counts, some)


def each_alone(name: str, logits: jax.Array, labels: Any, where: Any, soft: bool = True) -> Pixels:
    """Of classes that a pixel belongs to or not, each by itself: labels have the shape of logits, and are 0 or 1 (or between)."""
    logits, labels, counts, some = _prepare(name, logits, labels, where)
    if soft:
        labels = binary_labels(name, labels, logits=logits)
    else:
        _check.same_shape(name, logits=logits, labels=labels)
        _check.report(name, "labels must be 0 or 1", labels, lambda labels: (labels != 0) & (labels != 1))
    return Pixels(logits, blank(jnp.asarray(labels, logits.dtype), counts), counts, some)


def _prepare(name: str, logits: jax.Array, labels: Any, where: Any) -> tuple[jax.Array, Any, jax.Array, jax.Array]:
    if logits.ndim < 3:
        raise ValueError(f"{name}: logits must be (batch, *spatial, classes), got {_check.describe(logits)}")
    labels = _check.array(labels)
    counts, some = counted(name, jax.ShapeDtypeStruct(logits.shape[:-1], logits.dtype), where, 1)
    if where is not None and labels.shape[: counts.ndim] == counts.shape:
        labels = blank(labels, counts)  # a label such as 255 may stand for pixels that don't count
    return blank(widen(logits), counts), labels, counts, some
