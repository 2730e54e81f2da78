"""What notices that a run has stalled."""

import contextlib
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

EXIT_CODE = 124
_PATIENCE = 600.0  # seconds at least, where no limit is given
_LONGEST = 100  # times the longest phase so far

Watch = Callable[[str], AbstractContextManager[None]]


@contextlib.contextmanager
def watchdog(limit: float | None) -> Iterator[Watch]:
    """Gives what watches a phase: `with watch("step 3"):`. One that takes too long has the stacks of all threads printed.

    With a limit, in seconds, the process then ends with code 124. Without one it goes on, and phases are long if they take ten
    minutes and a hundred times the longest before. Time in which the whole process is stopped doesn't count.
    """
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
                _tell(phase, waited, ends=limit is not None)
                waited = -float("inf")  # once for each phase

    thread = threading.Thread(target=patrol, name="jdl watchdog", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        over.set()
        thread.join()


def _tell(phase: str, seconds: float, *, ends: bool) -> None:
    then = "the process ends; the same call goes on from its newest checkpoint" if ends else "it is not ended"
    print(f"fit: stalled, {phase} has taken {seconds:.0f} s; the stacks of all threads follow, {then}", file=sys.stderr)
    with contextlib.suppress(Exception):  # a stderr without a file descriptor, as in a notebook
        faulthandler.dump_traceback(all_threads=True)
    if ends:
        sys.stderr.flush()
        os._exit(EXIT_CODE)
