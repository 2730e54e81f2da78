"""A bilinear function whose gradients are written by hand, on which every JAX transform works.

Dense layers and convolutions are bilinear: linear in the input and linear in the kernel. Seen as one trilinear form
`T(x, kernel, y) = sum(y * f(x, kernel))`, the function and its two gradients are the three partial derivatives of T, each a
bilinear map from two of the operands to the third, and the gradients of these maps are again among the three. So three
functions are closed under differentiation of any order and mode.

`jax.custom_vjp` would do for reverse mode alone: it forbids `jvp`, `jacfwd`, `hessian` and `linearize`.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

X, KERNEL, Y = 0, 1, 2  # the operands of the form; a map takes the other two in this order

Maps = tuple[Callable[..., jax.Array], Callable[..., jax.Array], Callable[..., jax.Array]]


@dataclasses.dataclass(frozen=True)
class Bilinear:
    """A bilinear function of `(x, kernel)`, called like one.

    `x` and `y` may have any leading axes: the form sums over them. The operands share one dtype.

    Args:
      maps: `(kernel, y) -> x`, `(x, y) -> kernel` and `(x, kernel) -> y`, for every platform.
      cpu: the same three as they are fast on a CPU.
      in_turn: whether on a CPU, under `vmap` over kernels, members run one after the other: right where each fills all cores by
        itself, and its intermediate values fit the cache but not those of all.
      depth: how many times the kernel is mapped by `vmap`; these axes come first in every operand.
    """

    maps: Maps
    cpu: Maps | None = None
    in_turn: bool = False
    depth: int = 0

    def __call__(self, x: jax.Array, kernel: jax.Array) -> jax.Array:
        return _bind(x, kernel, form=self, to=Y)

    def transposed(self, kernel: jax.Array, y: jax.Array) -> jax.Array:
        """The transpose of the function in `x`, at this kernel: bilinear in `(kernel, y)`."""
        return _bind(kernel, y, form=self, to=X)


_bilinear = Primitive("bilinear")


def _bind(*operands: Any, form: Bilinear, to: int) -> jax.Array:
    return _bilinear.bind(*same_axes(*operands), form=form, to=to)


def same_axes(*arrays: Any) -> list[Any]:
    """Inside `shard_map`, the arrays made to vary over the same mesh axes; elsewhere as they are."""
    varying = [jax.typeof(a).manual_axis_type.varying for a in arrays]
    union = frozenset().union(*varying)
    return [jax.lax.pcast(a, tuple(sorted(union - v)), to="varying") if union - v else a for a, v in zip(arrays, varying)]


def _evaluate(*operands: Any, form: Bilinear, to: int) -> jax.Array:
    function = form.maps[to]
    for _ in range(form.depth):
        function = jax.vmap(function)
    return function(*operands)


def _evaluate_on_cpu(*operands: Any, form: Bilinear, to: int) -> jax.Array:
    function = (form.cpu or form.maps)[to]
    for _ in range(form.depth):
        function = _in_turn(function) if form.in_turn else jax.vmap(function)
    return function(*operands)


def _in_turn(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    return lambda *operands: jax.lax.map(lambda one: function(*one), operands)


@functools.cache
def _compiled(form: Bilinear, to: int) -> Callable[..., jax.Array]:
    return jax.jit(functools.partial(_bilinear.bind, form=form, to=to))


def _run(*operands: Any, form: Bilinear, to: int) -> jax.Array:
    disabled = jax.config.jax_disable_jit  # type: ignore[attr-defined]
    return _evaluate(*operands, form=form, to=to) if disabled else _compiled(form, to)(*operands)


def _transpose(operand: int) -> Callable[..., jax.Array]:
    """The rule for the first or second operand of a map: the map to that operand, from the cotangent and the other."""

    def rule(cotangent: Any, *operands: Any, form: Bilinear, to: int) -> jax.Array:
        slots = [slot for slot in (X, KERNEL, Y) if slot != to]
        known = {to: cotangent, slots[1 - operand]: operands[1 - operand]}
        return _bind(*(known[slot] for slot in sorted(known)), form=form, to=slots[operand])

    return rule


def _batch(operands: Any, axes: Any, *, form: Bilinear, to: int) -> tuple[jax.Array, int]:
    slots = [slot for slot in (X, KERNEL, Y) if slot != to]
    mapped = dict(zip(slots, axes))
    if to != KERNEL and mapped[KERNEL] is None:  # one kernel: the new axis is one more leading axis of x and y
        place = lambda a, slot: a if slot == KERNEL else jnp.moveaxis(a, mapped[slot], form.depth)
        return _bind(*map(place, operands, slots), form=form, to=to), form.depth
    size = next(a.shape[axis] for a, axis in zip(operands, axes) if axis is not None)
    spread = lambda a, axis: jnp.broadcast_to(a, (size, *a.shape)) if axis is None else jnp.moveaxis(a, axis, 0)
    return _bind(*map(spread, operands, axes), form=dataclasses.replace(form, depth=form.depth + 1), to=to), 0


def _abstract(*operands: Any, form: Bilinear, to: int) -> Any:
    return jax.make_jaxpr(functools.partial(_evaluate, form=form, to=to))(*operands).out_avals[0]


_bilinear.def_impl(_run)
_bilinear.def_abstract_eval(_abstract)
ad.defbilinear(_bilinear, _transpose(0), _transpose(1))
batching.primitive_batchers[_bilinear] = _batch
mlir.register_lowering(_bilinear, mlir.lower_fun(_evaluate, multiple_results=False))
mlir.register_lowering(_bilinear, mlir.lower_fun(_evaluate_on_cpu, multiple_results=False), platform="cpu")
