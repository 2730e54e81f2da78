"""Learning from another model's scores."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.functional._reduce import Reduction, reduce
from jdl.losses._divergence import relative_entropy


def distillation(
    logits: jax.Array,
    teacher_logits: jax.Array,
    *,
    temperature: float | jax.Array = 2.0,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    axis: int = -1,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Kullback-Leibler divergence of softened predictions from a teacher's: `T^2 KL(softmax(teacher / T) || softmax(student / T))`.

    The factor keeps gradients as large as those of cross-entropy, to which it is usually added, whatever the temperature `T`. It
    has the gradient of cross-entropy with soft targets, and is 0 where both agree. Gradients reach the teacher too, if it is part
    of what
    is differentiated: `jax.lax.stop_gradient` holds them.

    Args:
      logits: unnormalised scores of the student, with classes along `axis`.
      teacher_logits: those of the teacher, of the same shape.
      temperature: above 0; the higher, the more the small probabilities count; may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`.
      axis: the axis of classes.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      ValueError: if shapes differ or the temperature is not positive.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.distillation(jnp.array([[1.0, 2.0]]), jnp.array([[0.0, 1.0]])).item()
      0.0

    Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", https://arxiv.org/abs/1503.02531.
    """
    _check.above_zero("distillation", temperature=temperature)
    teacher_logits = _check.array(teacher_logits)
    _check.same_shape("distillation", logits=logits, teacher_logits=teacher_logits)
    logits = widen(logits)
    student = jax.nn.log_softmax(logits / temperature, axis)
    teacher = jax.nn.log_softmax(jnp.asarray(teacher_logits, logits.dtype) / temperature, axis)
    values = jnp.square(temperature) * relative_entropy(jnp.exp(teacher), teacher, student).sum(axis)
    return reduce("distillation", values, where, weights, reduction)
