"""Writes docs/objectives.md, the table of all losses, metrics, penalties and what works on gradients, from their docstrings.

python docs/objectives.py
"""

import inspect
import re
from pathlib import Path
from types import ModuleType

import jdl

PAGE = Path(__file__).parent / "objectives.md"
PACKAGES = (jdl.losses, jdl.metrics, jdl.regularizers, jdl.constraints, jdl.gradients, jdl.optimizers, jdl.curvature)
HEAD = """---
hide:
  - toc
---

# Losses, metrics, penalties and gradients

Every function of these packages in one table: what it computes, what else there is to know before choosing it, and where it comes
from. Arguments and examples are in the reference, one click away. `python docs/objectives.py` writes this page.
"""


def page() -> str:
    """The text of the page."""
    return HEAD + "".join(map(section, PACKAGES))


def section(package: ModuleType) -> str:
    """A table of what a package hands on, by name."""
    functions = [(name, value) for name, value in sorted(vars(package).items()) if inspect.isfunction(value) and name[0] != "_"]
    ours = [row(package, name, value) for name, value in functions if value.__module__.startswith("jdl.")]
    others = [f"`{name}`" for name, value in functions if not value.__module__.startswith("jdl.")]
    text = f"\n## {package.__name__}\n\n| name | what it is, and its source |\n|---|---|\n" + "".join(ours)
    return text + (f"\nHanded on from Optax: {', '.join(others)}.\n" if others else "")


def row(package: ModuleType, name: str, function: object) -> str:
    """A function's line: what its docstring says before the arguments, and its source."""
    text = inspect.getdoc(function) or ""
    about = re.split(r"\n(?:Args|Returns|Raises|Example):\n", text)[0]
    paragraphs = [" ".join(paragraph.split()) for paragraph in about.split("\n\n") if not paragraph.startswith("    ")]
    source = re.search(r"\nSource: (.*)", text, re.DOTALL)
    cited = re.sub(r"(https?://[^\s,;]+[^\s,;.])", r"<\1>", " ".join(source[1].split()).rstrip(".")) if source else ""
    short = package.__name__.removeprefix("jdl.")
    cited = f"<br>{cited}." if cited else ""
    return f"| [`{name}`](api/{short}.md#{package.__name__}.{name}) | {' '.join(paragraphs)}{cited} |\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"{PAGE}: {PAGE.read_text().count('| [`')} functions")
