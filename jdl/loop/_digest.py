"""What tells one program from another, wherever they run."""

import hashlib
import itertools
import re
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, Var

from jdl.checkpoint._together import fetched

_HOW = re.compile("name|debug_info|.*(sharding|mesh|layout|donated|_fun|thunk).*")  # parameters that don't say what is computed
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def digest(program: ClosedJaxpr) -> str:
    """SHA-256 of what a program computes, but not where: sharding constraints count for nothing, nor do names."""
    return _Digests().of(program)


class _Digests:
    """Digests of programs within one; one that is called again is computed once."""

    def __init__(self):
        self._known: dict[int, tuple[Any, str]] = {}  # with the program, so that no other gets its id

    def of(self, program: ClosedJaxpr | Jaxpr) -> str:
        if id(program) not in self._known:
            found = hashlib.sha256()
            for line in self._lines(program):
                found.update(line.encode() + b"\n")
            self._known[id(program)] = program, found.hexdigest()
        return self._known[id(program)][1]

    def _lines(self, program: ClosedJaxpr | Jaxpr) -> Iterator[str]:
        jaxpr = getattr(program, "jaxpr", program)
        names, free = dict[Var, str](), map(str, itertools.count())
        shown = lambda atom: f"{self._value(atom.val)}:{_type(atom)}" if isinstance(atom, Literal) else names[atom]

        def new(variables: list[Var]) -> str:
            names.update(zip(variables, free))
            return " ".join(map(_type, variables))

        yield new([*jaxpr.constvars, *jaxpr.invars])
        yield from map(self._value, getattr(program, "consts", ()))
        for equation in jaxpr.eqns:
            if equation.primitive.name in ("sharding_constraint", "reshard"):
                names[equation.outvars[0]] = shown(equation.invars[0])
                continue
            parameters = sorted(equation.params.items())
            given = [f"{name}={self._value(value)}" for name, value in parameters if not _HOW.fullmatch(name)]
            atoms = " ".join(map(shown, equation.invars))
            yield f"{equation.primitive.name} {given} {atoms} -> {new(equation.outvars)}"
        yield " ".join(map(shown, jaxpr.outvars))

    def _value(self, value: Any) -> str:
        if isinstance(value, ClosedJaxpr | Jaxpr):
            return self.of(value)
        if isinstance(value, jax.Array | np.ndarray):
            numbers = fetched(value)
            return f"{numbers.dtype}{numbers.shape} {hashlib.sha256(np.ascontiguousarray(numbers).tobytes()).hexdigest()}"
        if isinstance(value, tuple | list) and not hasattr(value, "_fields"):
            return f"({', '.join(map(self._value, value))})"
        if isinstance(value, dict | set | frozenset):
            parts = [(name, value[name]) for name in value] if isinstance(value, dict) else value
            return f"{{{', '.join(sorted(map(self._value, parts)))}}}"
        return _ADDRESS.sub("", getattr(value, "__qualname__", "") or repr(value))


def _type(atom: Any) -> str:
    return f"{atom.aval.dtype}{list(atom.aval.shape)}{'*' * atom.aval.weak_type}" if hasattr(atom.aval, "shape") else str(atom.aval)
