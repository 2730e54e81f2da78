"""What notices that a run has stalled."""

import contextlib
import faulthandler
import functools
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

EXIT_CODE = 124
_PATIENCE = 600.0  # seconds at least, where no limit is given
_LONGEST = 100  # times the longest phase so far
_LAST = 2.0  # seconds for the last words of a process

Watch = Callable[[str], AbstractContextManager[None]]


@contextlib.contextmanager
def watchdog(limit: float | None, *, saves: bool = False) -> Iterator[Watch]:
    """Gives what watches a phase: `with watch("step 3"):`. One that takes too long has the stacks of all threads printed.

    With a limit, in seconds, the process then ends with code 124, and says that it goes on from its newest checkpoint if it saves
    any. Without one it goes on, and phases are long if they take ten minutes and a hundred times the longest before. Time in which
    the whole process is stopped doesn't count.
    """
    then = "it is not ended"
    if limit is not None:
        then = "the process ends" + "; the same call goes on from its newest checkpoint" * saves
    phase, longest, over = "", 0.0, threading.Event()
    changed = 0

    @contextlib.contextmanager
    def watch(name: str) -> Iterator[None]:
        nonlocal phase, longest, changed
        start, phase, changed = time.perf_counter(), name, changed + 1
        try:
            yield
        finally:
            phase, longest = "", max(longest, time.perf_counter() - start)

    def patrol() -> None:
        seen, waited, tick = 0, 0.0, min(1.0, (limit or _PATIENCE) / 4)
        while not over.wait(tick):
            waited = waited + tick if phase and seen == changed else 0.0
            seen = changed
            if waited >= (limit or max(_PATIENCE, _LONGEST * longest)):
                _within(_LAST, functools.partial(_tell, phase, waited, then))
                if limit is not None:
                    _within(_LAST, sys.stdout.flush)
                    os._exit(EXIT_CODE)
                waited = -float("inf")  # once for each phase

    thread = threading.Thread(target=patrol, name="jdl watchdog", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


def _tell(phase: str, seconds: float, then: str) -> None:
    print(f"fit: stalled, {phase} has taken {seconds:.0f} s; the stacks of all threads follow, {then}", file=sys.stderr, flush=True)
    with contextlib.suppress(Exception):  # a stderr without a file descriptor, as in a notebook
        faulthandler.dump_traceback(all_threads=True)


def _within(seconds: float, act: Callable[[], object]) -> None:
    """Does something that may stall, too: a thread that did may hold the lock of what is written to, or nobody reads it."""
    thread = threading.Thread(target=act, name="jdl last words", daemon=True)
    thread.start()
    thread.join(seconds)
