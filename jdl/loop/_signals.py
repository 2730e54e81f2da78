"""Signals that ask a run to stop."""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import NoReturn

Caught = Callable[[], int | None]


@contextlib.contextmanager
def caught_signals(*, active: bool) -> Iterator[Caught]:
    """Notes the first SIGTERM or SIGINT instead of ending, and gives what tells its number; a second one acts as it did before.

    Python lets only the main thread handle signals; elsewhere, and where they are ignored, nothing changes.
    """
    caught: list[int] = []
    previous: dict[int, signal._HANDLER] = {}

    def restore() -> None:
        for number, handler in previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def note(number: int, frame: object) -> None:
        restore()
        caught.append(number)

    try:
        if active and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    previous[number] = signal.signal(number, note)
        yield lambda: caught[0] if caught else None
    finally:
        restore()


def stop(number: int, message: str) -> NoReturn:
    """Ends as the signal would have, but in order: KeyboardInterrupt for SIGINT, SystemExit with code 143 for SIGTERM."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt(message)
    print(message, file=sys.stderr)
    raise SystemExit(128 + number)
