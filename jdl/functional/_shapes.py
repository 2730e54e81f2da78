"""Trees of arrays without their values, and what a function would return for them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.extend


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
        return jax.eval_shape(self._of_arrays(fn), *self._arrays)

    def lower(self, fn: Callable[..., Any]) -> jax.stages.Lowered:
        """The program of `fn(*tree)`, not compiled, with every `scan` unrolled (XLA counts the body of a loop once)."""
        with jax.disable_jit():
            unrolled = jax.make_jaxpr(self._of_arrays(fn))(*self._arrays)
        return jax.jit(jax.extend.core.jaxpr_as_fun(unrolled)).lower(*self._arrays)

    @property
    def _arrays(self) -> list[jax.ShapeDtypeStruct]:
        return [x for x in self.leaves if isinstance(x, jax.ShapeDtypeStruct)]

    def _of_arrays(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        def of_arrays(*arrays):
            rest = iter(arrays)
            leaves = [next(rest) if isinstance(x, jax.ShapeDtypeStruct) else x for x in self.leaves]
            return fn(*jax.tree.unflatten(self.structure, leaves))

        return of_arrays
