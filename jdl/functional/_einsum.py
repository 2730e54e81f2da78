"""Einstein summation of an input and a kernel."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._bias import add_bias

_SOME = r"[A-Za-z]*(?:\.\.\.)?[A-Za-z]*"
_FORM = re.compile(rf"({_SOME}),([A-Za-z]+)->({_SOME})")


def einsum(equation: str, x: jax.Array, kernel: jax.Array, bias: jax.Array | None = None) -> jax.Array:
    """Sums products of `x` and a kernel, as `jnp.einsum` does: `"btd,dhk->bthk"` is `y[b, t, h, k] = sum_d x[b, t, d] W[d, h, k]`.

    Args:
      equation: axes of `x`, of the kernel and of the output, a letter each, as `"x,kernel->output"`. `...` in `x` and the output
        stands for any number of axes.
      x: input, floating point.
      kernel: weights, cast to the dtype of `x`.
      bias: any number of the last axes of the output, each of its length or 1; cast likewise.

    Returns:
      The output, of the dtype of `x`.

    Raises:
      TypeError: if `x` is not floating point.
      ValueError: if the equation is not of this form, or does not fit the arrays.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> functional.einsum("...gd,gdk->...gk", jnp.ones((8, 2, 3)), jnp.ones((2, 3, 5))).shape
      (8, 2, 5)
    """
    x = _check.floating("einsum", x)
    lengths(equation, x, kernel.shape)
    y = jnp.einsum(equation, x, kernel.astype(x.dtype))
    return y if bias is None else add_bias(y, bias)


class Terms(NamedTuple):
    """The terms of an equation."""

    x: str
    kernel: str
    output: str


def parse(equation: str, shape: Sequence[int]) -> Terms:
    """The terms of an equation whose kernel has this shape."""
    match = _FORM.fullmatch(equation.replace(" ", ""))
    if match is None:
        raise ValueError(f'einsum: equation must be like "btd,dhk->bthk" or "...d,dk->...k", got "{equation}"')
    terms = Terms(*match.groups())
    x, kernel, output = (term.replace("...", "") for term in terms)
    wrong = {
        "names an axis of one term twice": any(len(set(term)) < len(term) for term in (x, kernel, output)),
        "has ... on one side alone": ("..." in terms.x) != ("..." in terms.output),
        "has an axis of the output in neither x nor the kernel": not set(output) <= set(x + kernel),
        "has an axis of the kernel in neither x nor the output": not set(kernel) <= set(x + output),
        f"does not fit a kernel of shape {list(shape)}": len(kernel) != len(shape),
    }
    for fault in (fault for fault, found in wrong.items() if found):
        raise ValueError(f'einsum: "{equation}" {fault}')
    return terms


def lengths(equation: str, x: Any, shape: Sequence[int]) -> dict[str, int]:
    """How long every axis is that the equation names."""
    terms = parse(equation, shape)
    kernel = dict(zip(terms.kernel, shape))
    before, dots, after = terms.x.partition("...")
    found = kernel | dict(zip(before, x.shape)) | dict(zip(reversed(after), reversed(x.shape)))
    named = len(before + after)
    if (x.ndim < named if dots else x.ndim != named) or kernel.items() - found.items():
        axes = [*before, *[dots][: len(dots)], *after]
        takes = ", ".join(f"{axis}={kernel[axis]}" if axis in kernel else axis for axis in axes)
        raise ValueError(
            f'einsum: "{equation}" with a kernel of shape {list(shape)} takes x as ({takes}), got {_check.describe(x)}'
        )
    return found
