"""Losses of segmentations that are the Lovász extension of the Jaccard loss, its tightest convex one."""

import jax
import jax.numpy as jnp

from jdl.functional._ratio import ratio
from jdl.functional._reduce import Reduction, reduce
from jdl.losses._parts import blank
from jdl.losses._pixels import each_alone, one_of_many


def lovasz_softmax(
    logits: jax.Array,
    labels: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Lovász extension of one minus the intersection over union, at the errors `|t - softmax(logits)|` of pixels.

    It is that of the classes that an image has, averaged; a class absent from its labels counts only through the others. Use it,
    often after or with `cross_entropy`, where the mean intersection over union is what is measured.

    Args:
      logits: unnormalised scores, `(batch, *spatial, classes)`.
      labels: integers in 0..classes-1, `(batch, *spatial)`.
      where: bools, `(batch, *spatial)` or of a leading part of it, which pixels count. An image in which none does is left out.
      weights, reduction: as in every loss, see `jdl.losses`; weights are for images, `(batch,)`.

    Returns:
      A scalar, or for `"none"` one number for each image, the mean over its classes; of float32 at least.

    Raises:
      TypeError: if labels are not integers of the shape of pixels.
      ValueError: if shapes don't fit or a label is out of range.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import losses
      >>> jax.jit(losses.lovasz_softmax)(jnp.zeros((1, 4, 2)), jnp.array([[0, 1, 1, 0]])).item()
      0.5

    Source: Berman et al., "The Lovász-Softmax loss", https://arxiv.org/abs/1705.08790.
    """
    pixels = one_of_many("lovasz_softmax", logits, labels, where, soft=False)
    errors = jnp.abs(pixels.shares - jax.nn.softmax(pixels.logits))
    values, present = _extension(errors, pixels.shares, pixels.counts)
    values = (values * present).sum(-1) / jnp.maximum(present.sum(-1), 1)
    return reduce("lovasz_softmax", values, pixels.some, weights, reduction)


def lovasz_hinge(
    logits: jax.Array,
    labels: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Lovász extension of one minus the intersection over union, at the hinge errors `max(0, 1 - (2 t - 1) logit)` of pixels.

    It is that of every class by itself, averaged: for one class, or classes that may overlap. Of a class that is absent from the
    labels it is the largest error.

    Args:
      logits: unnormalised scores, `(batch, *spatial, classes)`; a pixel is taken to be in a class where its logit is positive.
      labels: bools, or 0 and 1, of the same shape; nothing is broadcast.
      where: bools, `(batch, *spatial)` or of a leading part of it, which pixels count. An image in which none does is left out.
      weights, reduction: as in every loss, see `jdl.losses`; weights are for images, `(batch,)`.

    Returns:
      A scalar, or for `"none"` one number for each image, the mean over classes; of float32 at least.

    Raises:
      ValueError: if shapes differ, or labels are neither 0 nor 1 where the host can see them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.lovasz_hinge(jnp.array([2.0, -2.0, 0.5]).reshape(1, 3, 1), jnp.array([1, 0, 1]).reshape(1, 3, 1)).item()
      0.25

    Source: Berman et al., "The Lovász-Softmax loss", https://arxiv.org/abs/1705.08790.
    """
    pixels = each_alone("lovasz_hinge", logits, labels, where, soft=False)
    errors = jnp.maximum(1 - (2 * pixels.shares - 1) * pixels.logits, 0)
    values, _ = _extension(errors, pixels.shares, pixels.counts)
    return reduce("lovasz_hinge", values.mean(-1), pixels.some, weights, reduction)


def _extension(errors: jax.Array, shares: jax.Array, counts: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The extension of the Jaccard loss for each image and class, and whether the image has the class: both `(batch, classes)`.

    Pixels are added to the set of mistakes by decreasing error, and each error is weighted with what the Jaccard loss grows by.
    One in the class takes `1 / union` away from the index; one outside makes the union one larger, which takes
    `intersection / (union before * union after)`. (A difference of two indices would lose its digits in a large image.)
    """
    flat = lambda x: jnp.swapaxes(x.reshape(x.shape[0], -1, x.shape[-1]), 1, 2)
    errors, inside = flat(blank(errors, counts)), flat(shares)
    order = jnp.argsort(errors, axis=-1, descending=True)
    sort = lambda x: jnp.take_along_axis(x, order, -1)
    outside = sort(flat(jnp.expand_dims(counts, -1)) - inside)
    errors, inside = sort(errors), sort(inside)
    size = inside.sum(-1, keepdims=True)
    intersection, union = size - jnp.cumsum(inside, -1), size + jnp.cumsum(outside, -1)
    growth = (inside + outside * ratio(intersection, union - 1, 1.0)) / jnp.maximum(union, 1)
    return (errors * growth).sum(-1), (size != 0).squeeze(-1)  # of an unknown label, NaN, all classes are
