"""Losses that compare every sample of a batch with every other: what is a pair is told from what is not.

Embeddings are (batch, features), and made as long as 1 here. A sample that `where` leaves out is nobody's candidate and counts
nowhere; what its embedding holds, even NaN, changes nothing. `weights` weigh what a sample loses itself, not how others see it.
"""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._reduce import Reduction, reduce
from jdl.losses import _similarity


def nt_xent(
    first: jax.Array,
    second: jax.Array,
    *,
    temperature: float | jax.Array = 0.5,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """SimCLR's loss: `-log softmax(cos / temperature)` of a sample's other view among all other views of the batch.

    It is the mean over both views; an embedding is not compared with itself.

    Args:
      first: embeddings (batch, features) of one view of each sample, floating point.
      second: those of another view, in the same order.
      temperature: above 0; may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`; a sample that `where` leaves out is not seen by others either.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if embeddings are not floating point.
      ValueError: if they are not both (batch, features), or `temperature` is a number that is not above 0.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import losses
      >>> loss = jax.jit(losses.nt_xent)(jnp.eye(2), jnp.eye(2), temperature=0.1)
      >>> loss.round(4).item() == jnp.log(1 + 2 * jnp.exp(-10.0)).round(4).item()
      True

    Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations",
    https://arxiv.org/abs/2002.05709.
    """
    _check.above_zero("nt_xent", temperature=temperature)
    some, views = _similarity.batch("nt_xent", where, first=first, second=second)
    both, some, samples = jnp.concatenate(views), jnp.tile(some, 2), len(some)
    itself = jnp.eye(2 * samples, dtype=bool)
    other = jnp.roll(itself, samples, 1)
    values = _choice(_similarity.cosines(both, both) / temperature, other & _column(some), _row(some) & ~itself)
    return reduce("nt_xent", values.reshape(2, samples).mean(0), where, weights, reduction)


def info_nce(
    queries: jax.Array,
    keys: jax.Array,
    negatives: jax.Array | None = None,
    *,
    temperature: float | jax.Array = 0.07,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Finds each query's own key: `-log softmax(cos / temperature)` of it among all keys of the batch, or among given negatives.

    Args:
      queries: embeddings (batch, features), floating point.
      keys: each query's own, in the same order.
      negatives: instead of the other keys of the batch: (count, features) for all queries, such as a queue of earlier keys, or
        (batch, count, features), for each its own.
      temperature: above 0; may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`; a sample that `where` leaves out is not seen by others either.

    Returns:
      A scalar, or for `"none"` one number for each query; of float32 at least.

    Raises:
      TypeError: if embeddings are not floating point.
      ValueError: if shapes don't fit, or `temperature` is a number that is not above 0.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import losses
      >>> queries, keys, queue = jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 1.0]]), jnp.array([[0.0, 1.0], [0.0, -1.0]])
      >>> jax.jit(losses.info_nce)(queries, keys, queue).round(4).item() == jnp.log(3.0).round(4).item()
      True

    Source: van den Oord et al., "Representation Learning with Contrastive Predictive Coding", https://arxiv.org/abs/1807.03748;
    with a queue, He et al., "Momentum Contrast for Unsupervised Visual Representation Learning", https://arxiv.org/abs/1911.05722.
    """
    _check.above_zero("info_nce", temperature=temperature)
    some, (query, key) = _similarity.batch("info_nce", where, queries=queries, keys=keys)
    if negatives is None:
        logits = _similarity.cosines(query, key) / temperature
        values = _choice(logits, _pairs(some), _row(some))
    else:
        own = (_similarity.unit(query) * _similarity.unit(key)).sum(-1, keepdims=True)
        logits = jnp.concatenate([own, _to_negatives(query, negatives)], 1) / temperature
        values = jax.nn.logsumexp(logits, 1) - logits[:, 0]
    return reduce("info_nce", values, where, weights, reduction)


def clip(
    images: jax.Array,
    texts: jax.Array,
    *,
    logit_scale: float | jax.Array = 1 / 0.07,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """CLIP's loss: the mean of `-log softmax(scale cos)` of an image's text among texts, and of a text's image among images.

    Args:
      images: embeddings (batch, features), floating point.
      texts: those of the other kind, in the same order.
      logit_scale: what cosines are multiplied with, above 0; may be traced. The paper learns its logarithm, and clips it at 100.
      where, weights, reduction: as in every loss, see `jdl.losses`; a pair that `where` leaves out is not seen by others either.

    Returns:
      A scalar, or for `"none"` one number for each pair; of float32 at least.

    Raises:
      TypeError: if embeddings are not floating point.
      ValueError: if they are not both (batch, features), or `logit_scale` is a number that is not above 0.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import losses
      >>> jax.jit(losses.clip)(jnp.eye(3), jnp.ones((3, 3))).round(4).item() == jnp.log(3.0).round(4).item()
      True

    Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", https://arxiv.org/abs/2103.00020.
    """
    _check.above_zero("clip", logit_scale=logit_scale)
    some, (image, text) = _similarity.batch("clip", where, images=images, texts=texts)
    logits = _similarity.cosines(image, text) * logit_scale
    values = _choice(logits, _pairs(some), _row(some)) + _choice(logits.T, _pairs(some), _row(some))
    return reduce("clip", values / 2, where, weights, reduction)


def siglip(
    images: jax.Array,
    texts: jax.Array,
    *,
    logit_scale: float | jax.Array = 10.0,
    logit_bias: float | jax.Array = -10.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """SigLIP's loss: `sum_j -log sigmoid(z_ij (scale cos_ij + bias))`, with `z` 1 for an image's own text and -1 for others.

    Each pair is judged by itself, so it needs no large batch.

    Args:
      images: embeddings (batch, features), floating point.
      texts: those of the other kind, in the same order.
      logit_scale: what cosines are multiplied with, above 0; may be traced. It is learnt, as a logarithm, from 10.
      logit_bias: what is added, since most pairs don't match; may be traced. It is learnt, from -10.
      where, weights, reduction: as in every loss, see `jdl.losses`; a pair that `where` leaves out is not seen by others either.

    Returns:
      A scalar, or for `"none"` one number for each image; of float32 at least.

    Raises:
      TypeError: if embeddings are not floating point.
      ValueError: if they are not both (batch, features), or `logit_scale` is a number that is not above 0.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.siglip(jnp.eye(2), jnp.eye(2)).round(3).item() == jnp.log(2.0).round(3).item()
      True

    Source: Zhai et al., "Sigmoid Loss for Language Image Pre-Training", https://arxiv.org/abs/2303.15343.
    """
    _check.above_zero("siglip", logit_scale=logit_scale)
    some, (image, text) = _similarity.batch("siglip", where, images=images, texts=texts)
    logits = _similarity.cosines(image, text) * logit_scale + logit_bias
    surprise = jax.nn.softplus(jnp.where(jnp.eye(len(some), dtype=bool), -logits, logits))
    return reduce("siglip", jnp.where(_row(some), surprise, 0).sum(1), where, weights, reduction)


def sup_con(
    embeddings: jax.Array,
    labels: jax.Array,
    *,
    temperature: float | jax.Array = 0.1,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Supervised contrastive: the mean of `-log softmax(cos / temperature)` over all others of a sample's class, among all others.

    Views of one sample are samples of one class: concatenate them, and their labels, along the batch.

    Args:
      embeddings: (batch, features), floating point.
      labels: integers (batch,), of any values. A sample that is alone in its class costs 0.
      temperature: above 0; may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`; a sample that `where` leaves out is not seen by others either.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if embeddings are not floating point or labels not integers.
      ValueError: if shapes don't fit, or `temperature` is a number that is not above 0.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.sup_con(jnp.ones((3, 2)), jnp.array([7, 7, 9]), reduction="none").round(4).tolist()
      [0.6930999755859375, 0.6930999755859375, 0.0]

    Source: Khosla et al., "Supervised Contrastive Learning", https://arxiv.org/abs/2004.11362.
    """
    _check.above_zero("sup_con", temperature=temperature)
    some, (embedding,) = _similarity.batch("sup_con", where, embeddings=embeddings)
    labels = _check.array(labels)
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(f"sup_con: labels must be integers, got {_check.describe(labels)}")
    _check.same_shape("sup_con", samples=some, labels=labels)
    others = _row(some) & ~jnp.eye(len(some), dtype=bool)
    labels = jnp.asarray(labels)
    of_a_kind = jnp.expand_dims(labels, 1) == jnp.expand_dims(labels, 0)
    values = _choice(_similarity.cosines(embedding, embedding) / temperature, of_a_kind & others & _column(some), others)
    return reduce("sup_con", values, where, weights, reduction)


def _choice(logits: jax.Array, right: jax.Array, candidates: jax.Array) -> jax.Array:
    """For each row the mean of `-log softmax(logits)` over what is right, among the candidates; 0 where nothing is right."""
    count = right.sum(1)
    total = jax.nn.logsumexp(jnp.where(candidates | _column(count == 0), logits, -jnp.inf), 1)
    return jnp.where(count == 0, 0, total - jnp.where(right, logits, 0).sum(1) / jnp.maximum(count, 1))


def _pairs(some: jax.Array) -> jax.Array:
    """That each sample that is there has what has the same place."""
    return jnp.eye(len(some), dtype=bool) & _column(some)


def _to_negatives(queries: jax.Array, negatives: jax.Array) -> jax.Array:
    """The cosines of each query with all negatives, or with its own."""
    wide, (samples, features) = _check.floating("info_nce", negatives, "negatives").astype(queries.dtype), queries.shape
    if wide.ndim not in (2, 3) or wide.shape[-1] != features or (wide.ndim == 3 and len(wide) != samples):
        takes = f"(count, {features}) or ({samples}, count, {features})"
        raise ValueError(f"info_nce: negatives must be {takes}, got {_check.describe(negatives)}")
    if wide.ndim == 2:
        return _similarity.cosines(queries, wide)
    return jax.vmap(lambda query, negatives: _similarity.cosines(query[None], negatives)[0])(queries, wide)


def _row(some: jax.Array) -> jax.Array:
    return jnp.expand_dims(some, 0)


def _column(some: jax.Array) -> jax.Array:
    return jnp.expand_dims(some, 1)
