"""A program computed operation by operation, and where in it numbers stop being finite."""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend import core, source_info_util

from jdl.functional import _check

_INLINED = {"jit", "pjit", "closed_call", "checkpoint", "remat2", "custom_jvp_call", "custom_vjp_call"}


class Origin(NamedTuple):
    """Where numbers that are not finite come from: an input, or an operation.

    Attributes:
      place: path of the input; or the pass and the path of the layer.
      operation: with what it was given; empty for an input.
      found: how many are NaN or infinite.
      line: of the source.
      before: the origin of what it was given that is infinite; None if that was finite, or a constant.
    """

    place: str
    operation: str
    found: str
    line: str
    before: "Origin | None" = None


class Value(NamedTuple):
    """An array of the program; `origin` is None if it is finite, or a constant."""

    array: Any
    origin: Origin | None


def count(array: Any) -> tuple[int, int]:
    """How many entries are NaN, and how many are infinite."""
    if not jnp.issubdtype(array.dtype, jnp.inexact):
        return 0, 0
    array = np.asarray(array)
    return int(np.isnan(array).sum()), int(np.isinf(array).sum())


def found(array: Any) -> str:
    """Says how many entries are not finite; nothing if there are none."""
    parts = [f"{number} {name}" for number, name in zip(count(array), ("NaN", "infinite")) if number]
    return f"{', '.join(parts)} of {np.size(array)}" if parts else ""


def compute(program: core.ClosedJaxpr, inputs: Sequence[Value]) -> tuple[list[Value], list[Origin]]:
    """The outputs of a program, each with where it stopped being finite; and all operations that gave such, in order."""
    seen: list[Origin] = []
    outputs = _evaluate(program.jaxpr, [Value(a, _of_input("a constant", a)) for a in program.consts], inputs, "", seen)
    return outputs, seen


def _of_input(path: str, array: Any) -> Origin | None:
    return Origin(path, "", text, "") if (text := found(array)) else None


def inputs_of(tree: Any) -> list[Value]:
    """The leaves of a tree, by their paths."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return [Value(a, _of_input(jax.tree_util.keystr(path, simple=True, separator="/"), a)) for path, a in leaves]


def _evaluate(jaxpr: Any, consts: Sequence[Value], inputs: Sequence[Value], scope: str, seen: list[Origin]) -> list[Value]:
    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *inputs)))
    read = lambda atom: Value(np.asarray(atom.val), None) if isinstance(atom, core.Literal) else values[atom]
    for equation in jaxpr.eqns:
        given, names = [read(atom) for atom in equation.invars], f"{scope}/{equation.source_info.name_stack}"
        inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
        if equation.primitive.name in _INLINED and inner is not None:
            own = [Value(a, None) for a in getattr(inner, "consts", ())]
            results = _evaluate(getattr(inner, "jaxpr", inner), own, given, names, seen)
        else:
            arrays = _result(jaxpr, equation, given)
            results = [Value(a, _origin(equation, names, given, a, seen)) for a in arrays]
        values.update(zip(equation.outvars, results))
    return [read(atom) for atom in jaxpr.outvars]


def _result(jaxpr: Any, equation: Any, given: Sequence[Value]) -> Sequence[Any]:
    variables = {atom: value.array for atom, value in zip(equation.invars, given) if not isinstance(atom, core.Literal)}
    unnamed = jaxpr.debug_info.with_unknown_names()
    alone = jaxpr.replace(constvars=[], invars=[*variables], outvars=equation.outvars, eqns=[equation], debug_info=unnamed)
    return core.jaxpr_as_fun(core.ClosedJaxpr(alone, ()))(*variables.values())


def _origin(equation: Any, names: str, given: Sequence[Value], array: Any, seen: list[Origin]) -> Origin | None:
    """Where a result stopped being finite: NaN goes back to an operand with NaN, infinity to an infinite one, or it is here."""
    if not (text := found(array)):
        return None
    nan = count(array)[0] > 0
    alike = [value.origin for value in given if value.origin and bool(count(value.array)[0]) == nan]
    others = [value.origin for value in given if value.origin]
    operands = " and ".join(_range(value.array) for value in given)
    line = source_info_util.summarize(equation.source_info)
    here = Origin(place_of(names), f"{equation.primitive.name} of {operands}", text, line, next(iter(others), None))
    seen.append(here)
    return alike[0] if alike else here


def place_of(names: str) -> str:
    """The pass and the path of a layer, from the scopes that `jax.named_scope` and JAX's transforms leave."""
    once = re.sub(r"transpose\(([^/]+)\)/\1(?=/|$)", r"transpose(\1)", names)  # rematerialised: the scope is there twice
    path = re.sub(r"rematted_computation|\w+\(|\)", "", once)
    layer = "/".join(name for name in path.split("/") if name)
    return f"{'backward' if 'transpose(' in names else 'forward'} {layer}".strip()


def _range(array: Any) -> str:
    real = any(jnp.issubdtype(array.dtype, kind) for kind in (jnp.integer, jnp.floating))
    if not real or not np.size(array):
        return _check.describe(array)
    known = np.asarray(array)[np.isfinite(array)]
    ends = sorted({f"{known.min():.4g}", f"{known.max():.4g}"}, key=float) if known.size else []
    parts = [f"from {' to '.join(ends)}" if len(ends) > 1 else f"of {ends[0]}"] if ends else []
    return f"{_check.describe(array)} ({', '.join([*parts, *filter(None, [found(array)])])})"
