"""What README and docs say is true: code runs, printed output is as shown, paths exist, every public name is documented."""

import contextlib
import inspect
import io
import re
import runpy
from pathlib import Path

import pytest

import jdl

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted((ROOT / "docs").rglob("*.md"))
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
PATH = re.compile(r"`((?:jdl|tests|experiments|docs|\.ci)/[\w./-]*|[\w.-]+\.(?:md|toml|yml))`")

THROUGH_OTHERS = {"layer", "loop"}  # modules whose names users get from jdl and jdl.layers
PACKAGES = [jdl] + [
    value for name, value in vars(jdl).items() if inspect.ismodule(value) and name not in THROUGH_OTHERS and name[0] != "_"
]
WITHOUT_EXAMPLE = {  # they return figures, which an example cannot show
    "jdl.report.confusion",
    "jdl.report.curves",
    "jdl.report.images",
}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> list[tuple[str, str, int, bool]]:
    """The fenced blocks of a page: language, text, line of its first line, and whether only blank lines lie before it."""
    text, end, found = page.read_text(), 0, []
    for match in FENCE.finditer(text):
        adjacent = bool(found) and not text[end : match.start()].strip()
        found.append((match[1], match[2], text.count("\n", 0, match.start(2)) + 1, adjacent))
        end = match.end()
    return found


@pytest.mark.parametrize("page", [page for page in PAGES if "```python" in page.read_text()], ids=name_of)
def test_code_runs(page, tmp_path, monkeypatch):
    """Blocks of `python` run in order in one namespace; a block of `text` right after one is what it prints."""
    monkeypatch.chdir(tmp_path)
    namespace: dict = {"__name__": "__main__"}
    printed = ""
    for language, text, line, adjacent in blocks(page):
        if language == "python":
            padded = "\n" * (line - 1) + text  # so that a traceback points to the line of the page
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(padded, str(page), "exec"), namespace)
            printed = out.getvalue()
        elif language == "text" and adjacent:
            assert _trimmed(printed) == _trimmed(text), f"{name_of(page)}:{line} shows something else than is printed"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_and_paths_exist(page):
    text = FENCE.sub("", page.read_text())
    targets = [match[1] or match[2] for match in LINK.finditer(text)]
    local = [target.split("#")[0] for target in targets if not re.match(r"[a-z]+:|#", target)]
    missing = [target for target in local if not (page.parent / target).exists()]
    missing += [path for path in PATH.findall(text) if not (ROOT / path).exists()]
    assert not missing, f"{name_of(page)} names what does not exist: {missing}"


def public() -> list[tuple[str, object]]:
    """Every function and class of jdl that a public package hands on, by its shortest name."""
    found: dict[int, tuple[str, object]] = {}
    for package in PACKAGES:
        for name, value in vars(package).items():
            ours = inspect.isroutine(value) or inspect.isclass(value)
            if ours and not name.startswith("_") and getattr(value, "__module__", "").split(".")[0] == "jdl":
                found.setdefault(id(value), (f"{package.__name__}.{name}", value))
    return sorted(found.values(), key=lambda pair: pair[0])


@pytest.mark.parametrize("name, value", public(), ids=[name for name, _ in public()])
def test_is_documented(name, value):
    """Functions have a docstring with an example; classes (pairs and records, made by functions) a docstring of their own."""
    text = inspect.getdoc(value) or ""
    generated = inspect.isclass(value) and text.startswith(f"{value.__name__}(")  # by NamedTuple or dataclass
    assert text and not generated, f"{name} has no docstring"
    shows = inspect.isclass(value) or name in WITHOUT_EXAMPLE or "\nExample:\n  >>> " in text
    assert shows, f"{name} has no Example: with >>> lines"


def test_table_of_objectives_is_current():
    """`python docs/objectives.py` writes it from the docstrings."""
    script = runpy.run_path(str(ROOT / "docs" / "objectives.py"))
    assert script["page"]() == script["PAGE"].read_text()


def test_exemptions_are_needed():
    documented = dict(public())
    assert all(">>>" not in (inspect.getdoc(documented[name]) or "") for name in WITHOUT_EXAMPLE)


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
