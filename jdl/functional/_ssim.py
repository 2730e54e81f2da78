"""The structural similarity of images, and that at several scales."""

from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._avg_pool import avg_pool
from jdl.functional._numbers import widen
from jdl.functional._window import spatial_axes

SHARES = 0.0448, 0.2856, 0.3001, 0.2363, 0.1333  # of the scales, from the finest; what people found equally good


def similarity(name: str, predictions: Any, targets: Any, data_range: Any, window: int, sigma: Any) -> jax.Array:
    """One number for each image, the mean over places and channels."""
    predictions, targets = _images(name, predictions, targets, window, 1)
    luminance, contrast = _maps(predictions, targets, data_range, _gaussian(name, window, sigma, data_range))
    return (luminance * contrast).mean(range(1, predictions.ndim))


def multiscale(name: str, predictions: Any, targets: Any, data_range: Any, window: int, sigma: Any) -> jax.Array:
    """One number for each image, the mean over channels of the product over scales."""
    predictions, targets = _images(name, predictions, targets, window, 2 ** (len(SHARES) - 1))
    taps = _gaussian(name, window, sigma, data_range)
    product = jnp.ones((), predictions.dtype)
    for scale, share in enumerate(SHARES):
        if scale:
            predictions, targets = avg_pool(predictions, 2), avg_pool(targets, 2)
        luminance, contrast = _maps(predictions, targets, data_range, taps)
        value = (luminance * contrast if scale == len(SHARES) - 1 else contrast).mean(range(1, predictions.ndim - 1))
        some = ~(value <= 0)  # NaN stays NaN
        product = product * jnp.where(some, jnp.where(some, value, 1) ** share, 0)  # at 0 the slope of a power is infinite
    return product.mean(-1)


def _images(name: str, predictions: Any, targets: Any, window: int, shrinks: int) -> tuple[jax.Array, jax.Array]:
    targets = _check.array(targets)
    _check.same_shape(name, predictions=predictions, targets=targets)
    spatial_axes(name, predictions)
    _check.positive(name, window=window)
    if min(predictions.shape[1:-1]) // shrinks < window:
        needs = f"a window of {window} needs at least {window * shrinks} pixels along each axis"
        raise ValueError(f"{name}: {needs}, predictions is {_check.describe(predictions)}")
    return widen(jnp.asarray(predictions)), widen(jnp.asarray(targets))


def _gaussian(name: str, window: int, sigma: Any, data_range: Any) -> jax.Array:
    _check.above_zero(name, sigma=sigma, data_range=data_range)
    taps = jnp.exp(-0.5 * jnp.square((jnp.arange(window) - (window - 1) / 2) / sigma))
    return taps / taps.sum()


def _maps(x: jax.Array, y: jax.Array, data_range: Any, taps: jax.Array) -> tuple[jax.Array, jax.Array]:
    """What luminance and what contrast and structure say, at every place where the window fits.

    With `d = x - y`, the published `2 mean(x) mean(y) / (mean(x)^2 + mean(y)^2)` is `1 - mean(d)^2 / (mean(x)^2 + mean(y)^2)`, and
    `2 cov(x, y) / (var(x) + var(y))` is `1 - var(d) / (var(x) + var(y))`: equal images give exactly 1. Variances don't depend on
    the mean of an image, so it is taken away before anything is squared.
    """
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    shift_x, shift_y = (jax.lax.stop_gradient(a.mean(range(1, a.ndim - 1), keepdims=True)) for a in (x, y))
    x, y = x - shift_x, y - shift_y
    moments = jnp.concatenate([x, y, jnp.square(x) + jnp.square(y), jnp.square(x - y)], -1)
    mean_x, mean_y, both, apart = jnp.split(_blur(moments, taps), 4, -1)
    variance = jnp.maximum(both - jnp.square(mean_x) - jnp.square(mean_y), 0)
    variance_apart = jnp.clip(apart - jnp.square(mean_x - mean_y), 0, 2 * variance)
    mean_x, mean_y = mean_x + shift_x, mean_y + shift_y
    luminance = 1 - jnp.square(mean_x - mean_y) / (jnp.square(mean_x) + jnp.square(mean_y) + c1)
    return luminance, 1 - variance_apart / (variance + c2)


def _blur(x: jax.Array, taps: jax.Array) -> jax.Array:
    """Weighted means along every spatial axis; in full precision, since differences of them are variances."""
    spatial = x.ndim - 2
    planes = jnp.moveaxis(x, -1, 1).reshape(-1, 1, *x.shape[1:-1])  # a convolution in groups would be slow on a CPU
    for axis in range(spatial):
        kernel = jnp.expand_dims(taps.astype(x.dtype), [other for other in range(spatial + 2) if other != axis + 2])
        planes = jax.lax.conv(planes, kernel, (1,) * spatial, "VALID", precision=jax.lax.Precision.HIGHEST)
    return jnp.moveaxis(planes.reshape(x.shape[0], x.shape[-1], *planes.shape[2:]), 1, -1)
