"""Steps that have the gradient of something smooth."""

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen


def straight_through(hard: jax.Array, soft: jax.Array) -> jax.Array:
    """Has the value of one array, exactly, and the gradient of the other.

    Args:
      hard: the value; whatever made it gets no gradient.
      soft: the gradient, of the same shape, floating point and finite.

    Returns:
      `hard`, in the dtype of `soft`.

    Raises:
      TypeError: if `soft` is not floating point.
      ValueError: if the shapes differ.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> value, gradient = jax.value_and_grad(lambda x: functional.straight_through(jnp.round(x), x))(jnp.array(2.75))
      >>> value.item(), gradient.item()
      (3.0, 1.0)

    Source: Bengio, Léonard and Courville, "Estimating or Propagating Gradients Through Stochastic Neurons",
    https://arxiv.org/abs/1308.3432.
    """
    soft = _check.floating("straight_through", soft)
    hard = jnp.asarray(hard, soft.dtype)
    _check.same_shape("straight_through", hard=hard, soft=soft)
    return jax.lax.stop_gradient(hard) + (soft - jax.lax.stop_gradient(soft))


def binarize(x: jax.Array) -> jax.Array:
    """Rounds to -1 or 1: `y = 1 where x >= 0, -1 elsewhere`, with a gradient of 1 where `|x| <= 1` and 0 elsewhere.

    Args:
      x: input of any shape, floating point.

    Returns:
      An array like `x`.

    Raises:
      TypeError: if `x` is not floating point.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> x = jnp.array([-3.0, -0.5, 0.0])
      >>> functional.binarize(x).tolist(), jax.grad(lambda x: functional.binarize(x).sum())(x).tolist()
      ([-1.0, -1.0, 1.0], [0.0, 1.0, 1.0])

    Source: Hubara et al., "Binarized Neural Networks", https://arxiv.org/abs/1602.02830.
    """
    x = _check.floating("binarize", x)
    return straight_through(jnp.where(x >= 0, 1, -1), jnp.where(jnp.abs(x) <= 1, x, jnp.zeros((), x.dtype)))


def gumbel_softmax(
    key: jax.Array, logits: jax.Array, *, temperature: float | jax.Array = 1.0, hard: bool = False, axis: int = -1
) -> jax.Array:
    """Draws from a categorical distribution, relaxed: `y = softmax((logits + gumbel noise) / temperature)`.

    The largest entry is that of a draw from `softmax(logits)`, at any temperature.

    Args:
      key: a typed key.
      logits: of any shape, floating point.
      temperature: above 0, may be traced; the smaller, the nearer to one-hot.
      hard: whether to return the draw itself, one-hot, with the gradient of the relaxed one.
      axis: the axis of the categories.

    Returns:
      An array like `logits` that sums to 1 along `axis`; computed in float32 at least.

    Raises:
      TypeError: if `logits` are not floating point.
      ValueError: if `temperature` is a number that is not above 0.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.gumbel_softmax(jax.random.key(0), jnp.array([0.0, 50.0]), hard=True).tolist()
      [0.0, 1.0]

    Source: Jang, Gu and Poole, "Categorical Reparameterization with Gumbel-Softmax", https://arxiv.org/abs/1611.01144;
    Maddison, Mnih and Teh, "The Concrete Distribution", https://arxiv.org/abs/1611.00712.
    """
    logits = _check.floating("gumbel_softmax", logits)
    _check.rank("gumbel_softmax", logits, range(1, 65), "at least one axis")
    _check.above_zero("gumbel_softmax", temperature=temperature)
    wide = widen(logits)
    noisy = (wide + jax.random.gumbel(key, wide.shape, wide.dtype)) / jnp.asarray(temperature, wide.dtype)
    soft = jax.nn.softmax(noisy, axis)
    if hard:
        one_hot = jax.nn.one_hot(noisy.argmax(axis), noisy.shape[axis], axis=axis, dtype=wide.dtype)
        soft = straight_through(one_hot, soft)
    return soft.astype(logits.dtype)
