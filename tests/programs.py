"""Functions as programs: eagerly, every operation is compiled by itself, which is most of the time that a small test takes."""

import functools
import types

import jax
import numpy as np

from jdl.layer import Layer


@functools.partial(jax.jit, static_argnums=(0, 1, 2))
def _program(function, tree, constants, arrays):
    args, kwargs = tree.unflatten([constant if a is None else a for constant, a in zip(constants, arrays)])
    return function(*args, **kwargs)


def one_program(function):
    """The function, or `apply` of a layer it makes, with one program for each call; arguments that are not arrays are constants.

    `init` stays as it is: what draws is a program already, which all layers share.
    """
    makes_layers = getattr(function, "__annotations__", {}).get("return") is Layer

    @functools.wraps(function)
    def call(*args, **kwargs):
        if makes_layers:
            made = function(*args, **kwargs)
            return made._replace(apply=one_program(made.apply))
        leaves, tree = jax.tree.flatten((args, kwargs))
        arrays = [leaf if isinstance(leaf, jax.Array | np.ndarray) else None for leaf in leaves]
        if any(a is not None for a in arrays):
            constants = tuple(leaf if a is None else None for leaf, a in zip(leaves, arrays))
            return _program(function, tree, constants, arrays)
        return function(*args, **kwargs)

    return call


def one_program_each(module):
    """A module with functions each of which is one program when called with arrays."""
    names = {name: one_program(value) if isinstance(value, types.FunctionType) else value for name, value in vars(module).items()}
    return types.SimpleNamespace(**names)
