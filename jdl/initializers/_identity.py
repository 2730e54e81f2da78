"""Kernels that pass their input on."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check


def identity(scale: float | jax.Array = 1.0) -> Callable[..., jax.Array]:
    """Makes a multiple of the identity, for the kernel of a dense layer: `kernel[i, j] = scale where i = j, 0 elsewhere`.

    Args:
      scale: the entries of the diagonal; may be traced.

    Returns:
      An initializer of matrices, `(in, out)`, square or not; it draws nothing.

    Raises:
      ValueError: when called, if the shape is not that of a matrix.

    Example:
      >>> import jax
      >>> from jdl import initializers
      >>> initializers.identity(2.0)(jax.random.key(0), (2, 3)).tolist()
      [[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]]

    Source: Le, Jaitly and Hinton, "A Simple Way to Initialize Recurrent Networks of Rectified Linear Units",
    https://arxiv.org/abs/1504.00941.
    """

    def init(key: Any, shape: Any, dtype: Any = None) -> jax.Array:
        del key  # nothing is drawn
        if len(shape) != 2:
            raise ValueError(f"identity: the shape must be (in, out), got {tuple(shape)}")
        eye = jnp.eye(*shape, dtype=dtype)
        return eye * jnp.asarray(scale, eye.dtype)

    return init


def dirac(groups: int = 1) -> Callable[..., jax.Array]:
    """Makes the kernel of a convolution that passes channel i on to output i, in each group.

    With `SAME` padding and no stride the convolution is the identity, as far as there are channels: further outputs are 0.

    Args:
      groups: how many groups the channels are split into.

    Returns:
      An initializer of kernels, `(*window, in // groups, out)`; it draws nothing.

    Raises:
      ValueError: if `groups` is not a positive integer; when called, if the shape has no window, or `groups` does not divide `out`.

    Example:
      >>> import jax
      >>> from jdl import initializers
      >>> initializers.dirac()(jax.random.key(0), (3, 1, 2)).tolist()
      [[[0.0, 0.0]], [[1.0, 0.0]], [[0.0, 0.0]]]

    Source: Zagoruyko and Komodakis, "DiracNets", https://arxiv.org/abs/1706.00388.
    """
    _check.positive("dirac", groups=groups)

    def init(key: Any, shape: Any, dtype: Any = None) -> jax.Array:
        del key  # nothing is drawn
        if len(shape) < 3:
            raise ValueError(f"dirac: the shape must be (*window, in, out), got {tuple(shape)}")
        *window, inputs, outputs = shape
        if outputs % groups:
            raise ValueError(f"dirac: {outputs} outputs can't be split into {groups} groups")
        eye = jnp.tile(jnp.eye(inputs, outputs // groups, dtype=dtype), (1, groups))
        centre = tuple((size - 1) // 2 for size in window)  # SAME pads an even window more at its end
        return jnp.zeros(shape, eye.dtype).at[centre].set(eye)

    return init
