"""Classification by angle, with a margin: embeddings and one direction for each class, compared by their cosine."""

import math

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import root, widen
from jdl.functional._reduce import Reduction, reduce


def arc_face(
    cosines: jax.Array,
    labels: jax.Array,
    *,
    margin: float | jax.Array = 0.5,
    scale: float | jax.Array = 64.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Cross-entropy of `scale cos(angle)`, where the angle to the right class is made larger by `margin` radians.

    Beyond `pi - margin`, where a larger angle would have a larger cosine again, the cosine is made smaller by `margin sin(margin)`
    instead. At a cosine of 1 or -1 the angle's own slope is infinite; there only that of the cosine is used.

    Args:
      cosines: of each embedding with each class, such as `functional.unit_norm(x) @ functional.unit_norm(kernel, axis=0)`.
      labels: integers in 0..classes-1, of the shape of `cosines` without `axis`; others are NaN under jit.
      margin: in [0, pi]; may be traced.
      scale: what cosines are multiplied with, above 0; may be traced.
      where, weights, axis, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if cosines are not floating point or labels not integers.
      ValueError: if shapes don't fit, or a value is out of range where the host can see it.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> cosines = jnp.array([[1.0, 0.0]])
      >>> losses.arc_face(cosines, jnp.array([0]), margin=jnp.pi / 2, scale=1.0).round(4).item() == jnp.log(2.0).round(4).item()
      True

    Source: Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", https://arxiv.org/abs/1801.07698.
    """
    _check.within("arc_face", 0, math.pi, margin=margin)
    cosines, right, own = _by_class("arc_face", cosines, labels, axis, scale)
    turned = own * jnp.cos(margin) - root((1 - own) * (1 + own)) * jnp.sin(margin)
    lowered = jnp.where(own > -jnp.cos(margin), turned, own - margin * jnp.sin(margin))
    return reduce("arc_face", _cross_entropy(cosines, right, lowered, scale), where, weights, reduction)


def cos_face(
    cosines: jax.Array,
    labels: jax.Array,
    *,
    margin: float | jax.Array = 0.35,
    scale: float | jax.Array = 64.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Cross-entropy of `scale cos(angle)`, where the cosine with the right class is made smaller by `margin`.

    Args:
      cosines: of each embedding with each class, such as `functional.unit_norm(x) @ functional.unit_norm(kernel, axis=0)`.
      labels: integers in 0..classes-1, of the shape of `cosines` without `axis`; others are NaN under jit.
      margin: at least 0; may be traced.
      scale: what cosines are multiplied with, above 0; may be traced.
      where, weights, axis, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if cosines are not floating point or labels not integers.
      ValueError: if shapes don't fit, or a value is out of range where the host can see it.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> cosines = jnp.array([[0.5, 0.25]])
      >>> losses.cos_face(cosines, jnp.array([0]), margin=0.25).round(4).item() == jnp.log(2.0).round(4).item()
      True

    Source: Wang et al., "CosFace: Large Margin Cosine Loss for Deep Face Recognition", https://arxiv.org/abs/1801.09414.
    """
    _check.within("cos_face", 0, float("inf"), margin=margin)
    cosines, right, own = _by_class("cos_face", cosines, labels, axis, scale)
    return reduce("cos_face", _cross_entropy(cosines, right, own - margin, scale), where, weights, reduction)


def circle(
    cosines: jax.Array,
    labels: jax.Array,
    *,
    margin: float | jax.Array = 0.25,
    scale: float | jax.Array = 256.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Circle loss of classes: `log(1 + sum_n exp(scale a_n (s_n - m)) exp(-scale a_p (s_p - 1 + m)))`, `p` the right class.

    Each cosine `s` is paced by how far it is from where it should be, `a_p = max(0, 1 + m - s_p)` and `a_n = max(0, s_n + m)`.
    Gradients take paces for constants, as in the paper.

    Args:
      cosines: of each embedding with each class, such as `functional.unit_norm(x) @ functional.unit_norm(kernel, axis=0)`.
      labels: integers in 0..classes-1, of the shape of `cosines` without `axis`; others are NaN under jit.
      margin: `m`, in [0, 1]: cosines should be above `1 - m`, or under `m`; may be traced.
      scale: above 0; may be traced.
      where, weights, axis, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if cosines are not floating point or labels not integers.
      ValueError: if shapes don't fit, or a value is out of range where the host can see it.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.circle(jnp.array([[0.75, 0.25]]), jnp.array([0])).round(4).item() == jnp.log(2.0).round(4).item()
      True

    Source: Sun et al., "Circle Loss: A Unified Perspective of Pair Similarity Optimization", https://arxiv.org/abs/2002.10857.
    """
    _check.within("circle", 0, 1, margin=margin)
    cosines, right, own = _by_class("circle", cosines, labels, axis, scale)
    pace = jax.lax.stop_gradient
    negative = scale * pace(jax.nn.relu(cosines + margin)) * (cosines - margin)
    positive = scale * pace(jax.nn.relu(1 + margin - own)) * (own - 1 + margin)
    logits = jnp.where(right, jnp.expand_dims(positive, -1), negative)
    return reduce("circle", jax.nn.logsumexp(logits, -1) - positive, where, weights, reduction)


def _by_class(name: str, cosines: jax.Array, labels: jax.Array, axis: int, scale: float | jax.Array) -> tuple[jax.Array, ...]:
    """Cosines with classes last, in float32 at least; which of them are the label's; and that one, NaN for labels out of range."""
    _check.above_zero(name, scale=scale)
    wide, labels = widen(_check.floating(name, cosines, "cosines")), _check.array(labels)
    _check.report(name, "cosines must lie in [-1, 1]", wide, lambda wide: abs(wide) > 1.01)  # what bfloat16 rounds to still passes
    wide = jnp.moveaxis(wide, axis, -1)
    _check.indices(name, "labels", labels, wide.shape[-1])
    if labels.shape != wide.shape[:-1]:
        raise ValueError(f"{name}: labels must have shape {list(wide.shape[:-1])}, got {_check.describe(labels)}")
    right = jax.nn.one_hot(labels, wide.shape[-1], dtype=bool)
    return wide, right, jnp.where(right.any(-1), jnp.where(right, wide, 0).sum(-1), jnp.nan)


def _cross_entropy(cosines: jax.Array, right: jax.Array, lowered: jax.Array, scale: float | jax.Array) -> jax.Array:
    logits = scale * jnp.where(right, jnp.expand_dims(lowered, -1), cosines)
    return jax.nn.logsumexp(logits, -1) - scale * lowered
