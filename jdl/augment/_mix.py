"""Mixing of samples: each with another one of its batch."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import widen


def draw_mix(key: jax.Array, size: int, alpha: float | jax.Array) -> tuple[jax.Array, jax.Array]:
    """Draws what a batch is mixed by: a permutation, and a coefficient from the distribution `Beta(alpha, alpha)`.

    Args:
      key: a typed key.
      size: samples in the batch.
      alpha: at least 0; 0 is no mixing, 1 is uniform; may be traced.

    Returns:
      `(size,)` indices, and a scalar in [0, 1].

    Raises:
      ValueError: if `size` is not positive or `alpha` is a negative number.

    Example:
      >>> import jax
      >>> from jdl import augment
      >>> permutation, coefficient = augment.draw_mix(jax.random.key(0), 4, 0.0)
      >>> sorted(permutation.tolist()), coefficient.item()
      ([0, 1, 2, 3], 1.0)
    """
    _check.positive("draw_mix", size=size)
    _check.within("draw_mix", 0, float("inf"), alpha=alpha)
    first, second = jax.random.split(key)
    some = jnp.asarray(alpha) > 0
    drawn = jax.random.beta(second, jnp.where(some, alpha, 1.0), jnp.where(some, alpha, 1.0))
    return jax.random.permutation(first, size), jnp.where(some, drawn, 1)


def mix(x: jax.Array, permutation: jax.Array, coefficient: jax.Array) -> jax.Array:
    """Mixes every sample with another: `coefficient x + (1 - coefficient) x[permutation]`.

    Inside a model, at a layer drawn at random, it is manifold mixup: draw once by `draw_mix`, mix what the layer returns, and the
    targets by the same numbers.

    Args:
      x: floats, `(batch, ...)`: inputs, features of a layer, or targets as numbers or probabilities.
      permutation: `(batch,)` indices.
      coefficient: in [0, 1], a scalar or `(batch,)`; may be traced.

    Returns:
      An array like `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if shapes don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import augment
      >>> augment.mix(jnp.array([0.0, 8.0]), jnp.array([1, 0]), 0.75).tolist()
      [2.0, 6.0]

    Source: Verma et al., "Manifold Mixup: Better Representations by Interpolating Hidden States", https://arxiv.org/abs/1806.05236.
    """
    x = _check.floating("mix", x)
    if permutation.shape != x.shape[:1] or jnp.shape(coefficient) not in ((), x.shape[:1]):
        got = f"{_check.describe(permutation)} and {_check.describe(coefficient)}"
        raise ValueError(f"mix: permutation and coefficient must be of the first axis of {_check.describe(x)}, got {got}")
    wide = widen(x)
    share = jnp.asarray(coefficient, wide.dtype)
    share = jnp.expand_dims(share, range(share.ndim, x.ndim))
    return (share * wide + (1 - share) * wide[permutation]).astype(x.dtype)


def mixup(key: jax.Array, batch: tuple[Any, Any], alpha: float | jax.Array, *, classes: int | None = None) -> tuple[Any, Any]:
    """Mixes every sample and its target with another of the batch, by one coefficient from `Beta(alpha, alpha)`.

    Args:
      key: a typed key.
      batch: `(inputs, targets)`, trees of arrays `(batch, ...)`. Inputs are floats; targets are floats, or integer labels.
      alpha: at least 0, usually 0.1 to 0.4; 0 is no mixing; may be traced.
      classes: how many, where targets are labels: they become probabilities `(batch, ..., classes)`.

    Returns:
      `(inputs, targets)`, mixed.

    Raises:
      TypeError: if inputs are not floating point.
      ValueError: if targets are labels and `classes` is not given, or a number is out of range.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import augment
      >>> inputs, targets = augment.mixup(jax.random.key(0), (jnp.ones((2, 3)), jnp.array([0, 1])), 0.2, classes=4)
      >>> targets.shape
      (2, 4)

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization", https://arxiv.org/abs/1710.09412.
    """
    inputs, targets = batch
    size = len(jax.tree.leaves(inputs)[0])
    permutation, coefficient = draw_mix(key, size, alpha)
    targets = _shares("mixup", targets, classes)
    return jax.tree.map(lambda x: mix(x, permutation, coefficient), (inputs, targets))


def cutmix(
    key: jax.Array, batch: tuple[jax.Array, Any], alpha: float | jax.Array, *, classes: int | None = None
) -> tuple[jax.Array, Any]:
    """Puts a box of another image of the batch into every image, and mixes targets by the box's area.

    The area is a share from `Beta(alpha, alpha)` before the box, whose centre is uniform, is cut at the edges; targets are mixed by
    what is left of it.

    Args:
      key: a typed key.
      batch: `(images, targets)`: images `(batch, height, width, channels)`; targets floats or integer labels
        `(batch, ...)`, or trees of them.
      alpha: at least 0, usually 1; 0 is no mixing; may be traced.
      classes: how many, where targets are labels: they become probabilities `(batch, ..., classes)`.

    Returns:
      `(images, targets)`, mixed.

    Raises:
      ValueError: if images are of another rank, targets are labels and `classes` is not given, or a number is out of range.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import augment
      >>> images, labels = jnp.arange(2.0).repeat(16).reshape(2, 4, 4, 1), jnp.array([0, 1])
      >>> mix = jax.jit(lambda key, batch: augment.cutmix(key, batch, 1.0, classes=2))
      >>> images, shares = mix(jax.random.key(0), (images, labels))
      >>> (images.mean((1, 2, 3)) == shares[:, 1]).tolist()
      [True, True]

    Source: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features",
    https://arxiv.org/abs/1905.04899.
    """
    images, targets = batch
    _check.rank("cutmix", images, (4,), "(batch, height, width, channels)")
    size, *spatial, _ = images.shape
    mixing, *centres = jax.random.split(key, 3)
    permutation, coefficient = draw_mix(mixing, size, alpha)

    def inside(key: jax.Array, length: int) -> jax.Array:
        cut = jnp.floor(length * jnp.sqrt(1 - coefficient)).astype(jnp.int32)
        low = jax.random.randint(key, (), 0, length) - cut // 2
        return (jnp.arange(length) >= low) & (jnp.arange(length) < low + cut)

    rows, columns = (inside(key, length) for key, length in zip(centres, spatial))
    box = jnp.expand_dims(rows, 1) & jnp.expand_dims(columns, 0)
    mixed = jnp.where(jnp.expand_dims(box, (0, 3)), images[permutation], images)
    kept = 1 - box.mean()
    return mixed, jax.tree.map(lambda x: mix(x, permutation, kept), _shares("cutmix", targets, classes))


def _shares(name: str, targets: Any, classes: int | None) -> Any:
    """Targets with labels as probabilities."""

    def one(x: Any) -> jax.Array:
        x = _check.array(x)
        if jnp.issubdtype(x.dtype, jnp.floating):
            return jnp.asarray(x)
        if classes is None:
            raise ValueError(f"{name}: targets {_check.describe(x)} are labels, so classes must be given")
        _check.indices(name, "targets", x, classes)
        return jax.nn.one_hot(x, classes)

    return jax.tree.map(one, targets)
