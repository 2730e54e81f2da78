"""Initializers of kernels whose fan-in is not the last axis but one."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np


def fan_in(initializer: Any, inputs: Sequence[int], each: Sequence[int] = ()) -> Callable[..., jax.Array]:
    """An initializer of kernels in which each output sums over the axes `inputs`.

    It makes a matrix, `(prod(inputs), prod(outputs))`, from which every initializer tells the fans rightly, and reshapes it.

    Args:
      initializer: makes the matrix.
      inputs: axes of the kernel that are summed over.
      each: axes of the kernel for each entry of which there is a matrix of its own.
    """

    def init(key: jax.Array, shape: Sequence[int], dtype: Any) -> jax.Array:
        outputs = [axis for axis in range(len(shape)) if axis not in (*inputs, *each)]
        rows, columns, matrices = (math.prod(shape[axis] for axis in axes) for axes in (inputs, outputs, each))
        matrix = lambda key: initializer(key, (rows, columns), dtype)
        kernel = jax.vmap(matrix)(jax.random.split(key, matrices)) if each else matrix(key)
        order = (*each, *inputs, *outputs)
        return kernel.reshape([shape[axis] for axis in order]).transpose(np.argsort(order))

    return init
