"""What Rich would print, as text."""

from typing import Any


def text(renderable: Any, *, width: int = 120) -> str:
    """A table or anything else that Rich prints, in lines of `width` characters at most."""
    from rich.console import Console

    console = Console(width=width)
    with console.capture() as capture:
        console.print(renderable)
    return capture.get()
