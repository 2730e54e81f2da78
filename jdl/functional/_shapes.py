"""Trees of arrays without their values, and what a function would return for them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax


class Shapes(NamedTuple):
    """A tree of inputs without values: arrays by shape and dtype, anything else as it is. Hashable."""

    leaves: tuple[Any, ...]
    structure: Any

    @classmethod
    def of(cls, tree: Any) -> "Shapes":
        """The shapes of a tree of arrays, tracers or `jax.ShapeDtypeStruct`s."""

        def shape(x: Any) -> Any:
            if not hasattr(x, "dtype") or isinstance(x, jax.ShapeDtypeStruct):
                return x
            return jax.ShapeDtypeStruct(jax.typeof(x).shape, jax.typeof(x).dtype)

        leaves, structure = jax.tree.flatten(tree)
        return cls(tuple(shape(x) for x in leaves), structure)

    @property
    def tree(self) -> Any:
        """The inputs as they were given."""
        return jax.tree.unflatten(self.structure, self.leaves)

    def evaluate(self, fn: Callable[..., Any]) -> Any:
        """The shapes that `fn(*tree)` returns; nothing is computed."""
        is_array = [isinstance(x, jax.ShapeDtypeStruct) for x in self.leaves]

        def of_arrays(*arrays):
            rest = iter(arrays)
            leaves = [next(rest) if array else x for x, array in zip(self.leaves, is_array)]
            return fn(*jax.tree.unflatten(self.structure, leaves))

        return jax.eval_shape(of_arrays, *(x for x, array in zip(self.leaves, is_array) if array))
