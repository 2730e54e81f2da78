"""A layer that multiplies along any axes."""

from collections.abc import Sequence
from typing import Any

import jax
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.functional._einsum import lengths, parse
from jdl.layer import Layer, stateless
from jdl.layers._fan import fan_in
from jdl.layers._parameter import parameter


def einsum(
    equation: str,
    shape: Sequence[int],
    *,
    bias_axes: str = "",
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """Sums products of the input and a kernel: `"btd,dhk->bthk"` is `y[b, t, h, k] = sum_d x[b, t, d] W[d, h, k]`.

    Args:
      equation: axes of the input, of the kernel and of the output, a letter each, as `"x,kernel->output"`. `...` in the input and
        the output stands for any number of axes.
      shape: of the kernel.
      bias_axes: axes of the output along which the bias varies; without any there is none.
      kernel_init: makes the kernel as a matrix, whose rows are the axes that are summed over, that is then reshaped. Axes that the
        input, the kernel and the output share have a matrix for each entry.
      bias_init: makes the bias. Its axes are those of the output from the first of `bias_axes` on, of length 1 where not named.

    Returns:
      A Layer with params `kernel` and `bias`.

    Raises:
      ValueError: if the equation is not of this form, or does not fit the shape of the kernel, the input or `bias_axes`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> heads = L.einsum("btd,dhk->bthk", (32, 4, 8), bias_axes="hk")
      >>> params, state = heads.init(jax.random.key(0), jnp.ones((2, 7, 32)))
      >>> params["bias"].shape, heads.apply(params, state, jnp.ones((2, 7, 32)))[0].shape
      ((4, 8), (2, 7, 4, 8))
    """
    _check.all_positive("einsum", shape=tuple(shape))
    terms = parse(equation, shape)
    if not set(bias_axes) <= set(terms.output) - {"."}:
        raise ValueError(f'einsum: bias_axes "{bias_axes}" must be axes of the output of "{equation}"')
    inputs = [i for i, axis in enumerate(terms.kernel) if axis not in terms.output]
    shared = [i for i, axis in enumerate(terms.kernel) if axis in terms.output and axis in terms.x]

    def init(key: jax.Array, x: Any) -> dict:
        x = _check.floating("einsum", x)
        found = lengths(equation, x, shape)
        params = {"kernel": parameter(key, "kernel", fan_in(kernel_init, inputs, shared), tuple(shape), x)}
        if not bias_axes:
            return params
        unnamed = x.ndim - len(terms.x.replace("...", ""))
        output = terms.output.replace("...", "." * unnamed)
        varying = [found[axis] if axis in bias_axes else 1 for axis in output[min(map(output.index, bias_axes)) :]]
        return params | {"bias": parameter(key, "bias", bias_init, tuple(varying), x)}

    return stateless(init, lambda params, x: functional.einsum(equation, x, params["kernel"], params.get("bias")))
