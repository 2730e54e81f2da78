"""Dropout layer."""

from typing import Any

import jax

from jdl import functional
from jdl.functional import _check
from jdl.layer import Layer


def dropout(rate: float | jax.Array) -> Layer:
    """Sets entries to zero at random in training, and does nothing in evaluation.

    Args:
      rate: probability of *dropping* an entry, in [0, 1]; may be traced.

    Returns:
      A Layer on floating-point arrays of any shape; in training it needs a key.

    Raises:
      ValueError: if `rate` is a number outside [0, 1], or no key is given in training.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> L.dropout(0.5).apply({}, {}, jnp.ones(3))[0].tolist()
      [1.0, 1.0, 1.0]

    Source: Srivastava et al., "Dropout", https://jmlr.org/papers/v15/srivastava14a.html.
    """
    _check.within("dropout", 0, 1, rate=rate)

    def apply(params: dict, state: dict, x: Any, *, key: Any = None, train: bool = False) -> tuple[Any, dict]:
        del params  # it has none
        x = _check.floating("dropout", x)
        if not train:
            return x, state
        if key is None:
            raise ValueError("dropout: needs a key in training; write model.apply(params, state, x, key=key, train=True)")
        return functional.dropout(key, x, rate), state

    return Layer(lambda key, x: ({}, {}), apply)
