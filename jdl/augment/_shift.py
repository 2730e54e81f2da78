"""Random translation of images."""

import jax
import jax.numpy as jnp

from jdl.functional import _check


def shift(key: jax.Array, images: jax.Array, pixels: int) -> jax.Array:
    """Moves every image by up to `pixels` along each spatial axis, by whole pixels, each by its own; zeros come in at the edges.

    Args:
      key: a typed key.
      images: `(batch, *spatial, channels)`, one to three spatial axes.
      pixels: largest shift, at least 0.

    Returns:
      An array like `images`.

    Raises:
      ValueError: if the rank doesn't fit or `pixels` is negative.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import augment
      >>> augment.shift(jax.random.key(0), jnp.ones((2, 8, 8, 1)), 1).shape
      (2, 8, 8, 1)
    """
    _check.rank("shift", images, range(3, 6), "(batch, 1 to 3 spatial axes, channels)")
    _check.within("shift", 0, float("inf"), pixels=pixels)
    spatial = images.ndim - 2
    padded = jnp.pad(images, [(0, 0), *[(pixels, pixels)] * spatial, (0, 0)])
    starts = jax.random.randint(key, (len(images), spatial), 0, 2 * pixels + 1)

    def crop(image: jax.Array, start: jax.Array) -> jax.Array:
        return jax.lax.dynamic_slice(image, (*start, 0), images.shape[1:])

    return jax.vmap(crop)(padded, starts)
