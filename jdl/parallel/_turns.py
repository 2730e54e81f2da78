"""How often each computation of a compiled program runs."""

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

_HEAD = re.compile(r"^(?P<entry>ENTRY )?%?(?P<name>[^\s(]+) \(.*\{\s*$", re.MULTILINE)
_CALLED = re.compile(r"(condition|body|calls|to_apply|true_computation|false_computation)=%?([^\s,{}()]+)")
_BRANCHES = re.compile(r"(branch_computations|called_computations)=\{(.*?)\}")
_LENGTH = re.compile(r'"known_trip_count":\{"n":"(\d+)"')


class Part(NamedTuple):
    """A computation: its lines, how often they run in one run of the program, and whether the lengths of all loops are known."""

    text: str
    turns: int
    known: bool


def parts(program: str) -> Iterator[Part]:
    """The computations of HLO. One turn stands for a loop whose length the compiler doesn't know, and every branch is taken."""
    heads = list(_HEAD.finditer(program))
    ends = [head.start() for head in heads[1:]] + [len(program)]
    texts = {head["name"]: program[head.end() : end] for head, end in zip(heads, ends)}
    callers: dict[str, list[tuple[str, int | None]]] = {name: [] for name in texts}
    for caller, text in texts.items():
        for name, length in _calls(text):
            callers.setdefault(name, []).append((caller, length))
    entries = {head["name"] for head in heads if head["entry"]}

    @functools.cache
    def runs(name: str) -> tuple[int, bool]:
        found = [(runs(caller), length) for caller, length in callers[name]]
        own = name in entries
        turns = sum(times * (1 if length is None else length) for (times, _), length in found)
        return own + turns, all(known and length is not None for (_, known), length in found)

    return (Part(text, *runs(name)) for name, text in texts.items())


def _calls(text: str) -> Iterator[tuple[str, int | None]]:
    """What a computation calls, and how often each time; None if that is not known."""
    for line in text.splitlines():
        names = [name for _, name in _CALLED.findall(line)]
        names += [name.strip().removeprefix("%") for _, listed in _BRANCHES.findall(line) for name in listed.split(",")]
        length = _LENGTH.search(line)
        loop = " while(" in line
        for name in names:
            yield name, (int(length[1]) if length else None) if loop else 1
