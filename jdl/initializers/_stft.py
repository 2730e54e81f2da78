"""Convolutions that begin as a spectrogram."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jdl.functional import _check

_COSINES = {"hann": (0.5, 0.5), "hamming": (0.54, 0.46), "blackman": (0.42, 0.5, 0.08)}


def stft(
    part: Literal["real", "imaginary"] = "real",
    *,
    window: str | Sequence[float] | np.ndarray | None = "hann",
    scaling: Literal["density", "spectrum"] | None = "density",
    periodic: bool = False,
) -> Callable[..., jax.Array]:
    """Makes the kernel of a convolution over time that is a short-time Fourier transform: `w_t exp(-2 pi i t f / size) / scale`.

    A kernel of `n` outputs has the frequencies f of 0..n-1 of a transform of `size = 2 (n - 1)`, of which the others are the
    conjugates; time t begins with the window. One convolution gives the real part, `w_t cos(...)`, another the imaginary part.

    Args:
      part: `"real"` or `"imaginary"`.
      window: `"hann"`, `"hamming"` or `"blackman"`, numbers of the length of the kernel, or None for no window and no scale.
      scaling: whether to divide by the root of the window's sum of squares, `"density"`, by the sum of its absolute values,
        `"spectrum"`, or by nothing, None.
      periodic: whether a named window is one period, without the last of its symmetric numbers.

    Returns:
      An initializer of kernels, `(time, 1, frequencies)`; it draws nothing.

    Raises:
      ValueError: if an option is unknown; when called, if the shape is another, or the window has another length.

    Example:
      >>> import jax
      >>> from jdl import initializers
      >>> init = initializers.stft("real", window=[1.0, 2.0, 1.0], scaling="spectrum")
      >>> init(jax.random.key(0), (3, 1, 2))[:, 0].T.tolist()
      [[0.25, 0.5, 0.25], [0.25, -0.5, 0.25]]

    Source: Allen, "Short term spectral analysis, synthesis, and modification by discrete Fourier transform",
    https://doi.org/10.1109/TASSP.1977.1162950.
    """
    _check.choice("stft", "part", part, ("real", "imaginary"))
    if isinstance(window, str):
        _check.choice("stft", "window", window, tuple(_COSINES))
    if scaling is not None:
        _check.choice("stft", "scaling", scaling, ("density", "spectrum"))

    def init(key: Any, shape: Any, dtype: Any = None) -> jax.Array:
        del key  # nothing is drawn
        if len(shape) != 3 or shape[1] != 1 or shape[2] < 2:
            raise ValueError(f"stft: the shape must be (time, 1, frequencies), with 2 frequencies or more, got {tuple(shape)}")
        length, _, frequencies = shape
        size = 2 * (frequencies - 1)
        turns = np.outer(np.arange(length), np.arange(frequencies)) % size / size  # whole ones would cost digits
        wave = np.cos(2 * np.pi * turns) if part == "real" else -np.sin(2 * np.pi * turns)
        if window is not None:
            shown = _named(window, length, periodic) if isinstance(window, str) else np.asarray(window, np.float64)
            if shown.shape != (length,):
                raise ValueError(f"stft: window must have the length of the kernel, {length}, got {_check.describe(shown)}")
            wave = wave * shown[:, None] / _scale(shown, scaling)
        return jnp.asarray(wave.reshape(shape), jax.dtypes.canonicalize_dtype(float if dtype is None else dtype))

    return init


def _named(name: str, length: int, periodic: bool) -> np.ndarray:
    """A sum of cosines with signs in turn, over one period."""
    if length == 1:
        return np.ones(1)
    turns = np.arange(length) / (length if periodic else length - 1)
    return sum(((-1) ** k * share * np.cos(2 * np.pi * k * turns) for k, share in enumerate(_COSINES[name])), np.zeros(length))


def _scale(window: np.ndarray, scaling: str | None) -> float:
    if scaling is None:
        return 1.0
    return float(np.sqrt(np.square(window).sum()) if scaling == "density" else np.abs(window).sum())
