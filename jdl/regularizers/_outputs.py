"""Penalties on activations, predictions and images."""

import jax
import jax.numpy as jnp
from jax.scipy.special import rel_entr

from jdl.functional import _check
from jdl.functional._numbers import divisor, widen
from jdl.functional._reduce import Reduction, reduce


def activity(
    activations: jax.Array,
    *,
    l1_strength: float | jax.Array = 0.0,
    l2_strength: float | jax.Array = 0.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Penalises large activations: `l1_strength * sum_i |h_i| + l2_strength * sum_i h_i^2` over the features of each position.

    Args:
      activations: `(..., features)`, floating point.
      l1_strength: at least 0; may be traced.
      l2_strength: at least 0; may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` one number for each position; of float32 at least.

    Raises:
      TypeError: if `activations` is not floating point.
      ValueError: if a strength is a negative number or `activations` is a scalar.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> regularizers.activity(jnp.array([[1.0, -3.0], [0.0, 0.0]]), l1_strength=1.0, l2_strength=0.5).item()
      4.5
    """
    _check.within("activity", 0, float("inf"), l1_strength=l1_strength, l2_strength=l2_strength)
    h = _features("activity", activations)
    values = l1_strength * jnp.abs(h).sum(-1) + l2_strength * jnp.square(h).sum(-1)
    return reduce("activity", values, where, weights, reduction)


def confidence(
    logits: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Penalises confident predictions by the negative entropy of the softmax: `sum_c p_c log p_c`.

    It lies between `-log(classes)` and 0. Add it to a loss, times 0.1 or so.

    Args:
      logits: unnormalised scores, with classes along `axis`.
      where, weights, reduction: as in every loss, see `jdl.losses`.
      axis: the axis of classes.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if `logits` is not floating point.
      ValueError: if `logits` is a scalar.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> [round(regularizers.confidence(jnp.array([[gap, 0.0]])).item(), 4) for gap in (0.0, 100.0)]
      [-0.6931, 0.0]

    Source: Pereyra et al., "Regularizing Neural Networks by Penalizing Confident Output Distributions",
    https://arxiv.org/abs/1701.06548.
    """
    logits = jnp.moveaxis(_features("confidence", logits), axis, -1)
    log_probabilities = jax.nn.log_softmax(logits, -1)
    return reduce("confidence", (jnp.exp(log_probabilities) * log_probabilities).sum(-1), where, weights, reduction)


def kl_sparsity(
    activations: jax.Array,
    rate: float | jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
) -> jax.Array:
    """Penalises units that are not active at a given rate: `sum_i KL(rate || mean of h_i)`, of Bernoulli distributions.

    This is the penalty of sparse autoencoders with sigmoid units. A mean of exactly 0 or 1 would cost infinitely much, so means
    `m` are first moved inwards to `1e-6 + (1 - 2e-6) m`.

    Args:
      activations: `(..., features)` in [0, 1], floating point.
      rate: how active a unit should be on average, in [0, 1]; may be traced.
      where, weights: as in every loss, see `jdl.losses`; they say which positions the means are over.

    Returns:
      A scalar of float32 at least.

    Raises:
      TypeError: if `activations` is not floating point.
      ValueError: if activations lie outside [0, 1] where the host can see them, or `rate` is a number outside.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> halves = jnp.array([[0.1, 1.0], [0.1, 0.0]])
      >>> round(regularizers.kl_sparsity(halves, 0.1).item(), 3)  # 0.1 log(0.1 / 0.5) + 0.9 log(0.9 / 0.5)
      0.368

    Source: Ng, "Sparse autoencoder", https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf.
    """
    _check.within("kl_sparsity", 0, 1, rate=rate)
    h = _features("kl_sparsity", activations)
    _check.report("kl_sparsity", "activations must lie in [0, 1]", h, lambda h: ~((h >= 0) & (h <= 1)))
    shape = h.shape[:-1]
    share = reduce("kl_sparsity", jnp.ones(shape, h.dtype), where, weights, "none")
    count = share.sum()
    mean = (h * jnp.expand_dims(share, -1)).sum(range(len(shape))) / divisor(count)
    mean = 1e-6 + (1 - 2e-6) * mean
    rate = jnp.broadcast_to(jnp.asarray(rate, mean.dtype), mean.shape)
    divergence = rel_entr(rate, mean) + rel_entr(1 - rate, 1 - mean)
    return jnp.where(count == 0, 0, divergence.sum())


def total_variation(
    images: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Penalises differences between neighbours, which makes images smooth in pieces: `sum |x[i + 1] - x[i]|` along each axis.

    Args:
      images: `(batch, *spatial, channels)`, floating point, with at least one spatial axis.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` one number for each image; of float32 at least.

    Raises:
      TypeError: if `images` is not floating point.
      ValueError: if `images` has no spatial axis.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> regularizers.total_variation(jnp.array([[0.0, 1.0], [0.0, 3.0]]).reshape(1, 2, 2, 1)).item()
      6.0

    Source: Rudin, Osher and Fatemi, "Nonlinear total variation based noise removal algorithms",
    https://doi.org/10.1016/0167-2789(92)90242-F.
    """
    images = _check.floating("total_variation", images, "images")
    _check.rank("total_variation", images, range(3, 65), "(batch, *spatial, channels)")
    x = widen(images)
    along = [jnp.abs(jnp.diff(x, axis=axis)).sum(range(1, x.ndim)) for axis in range(1, x.ndim - 1)]
    return reduce("total_variation", sum(along, jnp.zeros(x.shape[:1], x.dtype)), where, weights, reduction)


def _features(name: str, x: jax.Array) -> jax.Array:
    x = _check.floating(name, x)
    _check.rank(name, x, range(1, 65), "(..., features)")
    return widen(x)
