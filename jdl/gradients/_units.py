"""Gradients of single output units, brought to a common scale. Kernels have their outputs on the last axis."""

import math

import jax
import jax.numpy as jnp
import optax

from jdl.functional import _check
from jdl.functional._numbers import root
from jdl.functional._units import input_axes, limited, norm
from jdl.gradients._leafwise import leafwise, leafwise_with_params


def standardize(deviation: float | jax.Array = 1.0, where: str | None = None) -> optax.GradientTransformation:
    """Brings the gradient of each output unit to mean 0 and a fixed standard deviation: `deviation * (g - mean(g)) / std(g)`.

    Moments are over all axes but the last. Vectors, scalars and kernels with one entry for each unit stay as they are. A gradient
    whose entries are equal up to rounding becomes zero.

    Args:
      deviation: the standard deviation, at least 0; may be traced.
      where: glob over paths, such as `"**/kernel"`; everything if not given.

    Returns:
      An Optax transformation, to be chained before an optimizer.

    Raises:
      ValueError: if `deviation` is a negative number; when called, if `where` matches nothing.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import gradients
      >>> gradient = {"kernel": jnp.array([[1.0, 5.0], [3.0, 5.0]])}
      >>> standardize = gradients.standardize(0.5)
      >>> updates, _ = standardize.update(gradient, standardize.init(gradient))
      >>> updates["kernel"].round(4).tolist()
      [[-0.5, 0.0], [0.5, 0.0]]
    """
    _check.within("standardize", 0, float("inf"), deviation=deviation)

    def change(g: jax.Array) -> jax.Array:
        if not _several(g):
            return g
        axes = input_axes(g)
        largest = jnp.abs(g).max(axes, keepdims=True, initial=0)
        centred = _centred(g / jnp.where(largest > 0, largest, 1))  # so that squares neither overflow nor vanish
        std = root(jnp.square(centred).mean(axes, keepdims=True))
        varies = std > 8 * jnp.finfo(g.dtype).eps
        return deviation * jnp.where(varies, centred / jnp.where(varies, std, 1), 0)

    return leafwise("standardize", where, change)


def centralize(where: str | None = None) -> optax.GradientTransformation:
    """Brings the gradient of each output unit to mean 0: `g - mean(g)` over all axes but the last.

    Vectors, scalars and kernels with one entry for each unit stay as they are. `optax.centralize` averages over all axes but the
    first, which is right for kernels whose first axis is the output; here it would take the mean over the outputs of each input.

    Args:
      where: glob over paths, such as `"**/kernel"`; everything if not given.

    Returns:
      An Optax transformation, to be chained before an optimizer.

    Raises:
      ValueError: when called, if `where` matches nothing.

    Example:
      >>> import jax.numpy as jnp, optax
      >>> from jdl import gradients
      >>> gradient = jnp.array([[1.0, 20.0], [3.0, 40.0]])  # (in, out)
      >>> gradients.centralize().update(gradient, optax.EmptyState())[0].tolist()
      [[-1.0, -10.0], [1.0, 10.0]]
      >>> optax.centralize().update(gradient, optax.EmptyState())[0].tolist()
      [[-9.5, 9.5], [-18.5, 18.5]]

    Source: Yong et al., "Gradient Centralization", https://arxiv.org/abs/2004.01461.
    """
    return leafwise("centralize", where, lambda g: _centred(g) if _several(g) else g)


def adaptive_clip(
    ratio: float | jax.Array, where: str | None = None, *, epsilon: float | jax.Array = 1e-3
) -> optax.GradientTransformation:
    """Clips the gradient of each output unit to a share of the norm of its weights: `|g| <= ratio * max(|w|, epsilon)`.

    Norms are over all axes but the last, and over all of a vector. `optax.adaptive_grad_clip` guesses the axes from the rank: of
    kernels of rank 3, such as those of convolutions over sequences, it takes the first axis only, and it refuses a rank above 5.

    Args:
      ratio: at least 0, such as 0.01; may be traced.
      where: glob over paths, such as `"**/kernel"`; everything if not given. The paper leaves out the last layer.
      epsilon: the least norm of weights, so that units of zeros can learn; may be traced.

    Returns:
      An Optax transformation, to be chained before an optimizer. It needs params.

    Raises:
      ValueError: if `ratio` or `epsilon` is a negative number; when called, if `where` matches nothing or params are not given.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import gradients
      >>> params, gradient = jnp.array([[3.0, 3.0], [4.0, 4.0]]), jnp.array([[6.0, 0.75], [8.0, 1.0]])
      >>> clip = gradients.adaptive_clip(0.5)
      >>> updates, _ = clip.update(gradient, clip.init(params), params)
      >>> [[f"{u:.2f}" for u in row] for row in updates]
      [['1.50', '0.75'], ['2.00', '1.00']]

    Source: Brock et al., "High-Performance Large-Scale Image Recognition Without Normalization", https://arxiv.org/abs/2102.06171.
    """
    _check.within("adaptive_clip", 0, float("inf"), ratio=ratio, epsilon=epsilon)

    def change(g: jax.Array, w: jax.Array) -> jax.Array:
        axes = input_axes(w)
        return limited(g, ratio * jnp.maximum(norm(w, axes), epsilon), axes)

    return leafwise_with_params("adaptive_clip", where, change)


def clip_by_norm(limit: float | jax.Array, where: str | None = None) -> optax.GradientTransformation:
    """Clips the norm of each array's gradient: `g min(1, limit / |g|)`.

    Optax has what else clips, handed on here: `clip` (values), `clip_by_global_norm` (all arrays together) and `clip_by_block_rms`.

    Args:
      limit: at least 0; may be traced.
      where: glob over paths, such as `"**/kernel"`; everything if not given.

    Returns:
      An Optax transformation, to be chained before an optimizer.

    Raises:
      ValueError: if `limit` is a negative number; when called, if `where` matches nothing.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import gradients
      >>> gradient = {"kernel": jnp.array([[3.0], [4.0]]), "bias": jnp.array([0.5])}
      >>> clip = gradients.clip_by_norm(1.25)
      >>> clip.update(gradient, clip.init(gradient))[0]["kernel"].tolist()
      [[0.75], [1.0]]
    """
    _check.within("clip_by_norm", 0, float("inf"), limit=limit)
    return leafwise("clip_by_norm", where, lambda g: limited(g, limit, tuple(range(g.ndim))))


def _centred(g: jax.Array) -> jax.Array:
    return g - g.mean(input_axes(g), keepdims=True)


def _several(g: jax.Array) -> bool:
    """Whether this is a kernel with several entries for each output unit."""
    return g.ndim > 1 and math.prod(g.shape[:-1]) > 1
