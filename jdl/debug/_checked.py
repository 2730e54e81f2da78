"""Checks of values that only the device sees."""

import functools
from collections.abc import Callable
from typing import Any

import jax
from jax.experimental import checkify

from jdl.functional import _check


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """Makes a compiled function that raises where a value that only the device sees is out of range.

    A label that is no class, a length beyond its array, a full cache, a rate above 1: where the host sees such values, jdl's
    functions raise; while they are being traced none is looked at, and what they lead to is NaN. In a function made by `checked`
    the program looks at all of them, and at every `jax.experimental.checkify.check`, inside `jit`, `vmap`, `grad` and `scan` too.
    It is for looking for a mistake: every call waits for the device.

    Args:
      function: of arrays, such as the `update` of a `train.step`; not yet transformed by `checked`.

    Returns:
      A function of the same arguments and results, to be called from outside of all transforms.

    Raises:
      ValueError: when it is called, with the message that the host would have given, of the first check that fails.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import debug, losses
      >>> loss = jax.jit(lambda logits, labels: losses.cross_entropy(logits, labels))
      >>> logits, labels = jnp.zeros((2, 3)), jnp.array([0, 3])
      >>> bool(jnp.isnan(loss(logits, labels)))
      True
      >>> debug.checked(loss)(logits, labels)
      Traceback (most recent call last):
      ValueError: cross_entropy: labels must lie in 0..2, found 3 at index [1]
    """
    program = jax.jit(checkify.checkify(function))

    @functools.wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        with _check.on_device(True):
            error, result = program(*arguments, **named)
        if message := error.get():
            raise ValueError(message.removesuffix(" (`check` failed)"))
        return result

    return call
