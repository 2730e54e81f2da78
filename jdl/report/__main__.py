"""`python -m jdl.report runs/a runs/b` writes a page that compares runs."""

import argparse
from collections.abc import Sequence

from jdl.report._page import html


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the page and says where it is; what goes wrong ends the program with a message."""
    parser = argparse.ArgumentParser("python -m jdl.report", description="Writes one page about runs, which needs no network.")
    parser.add_argument("runs", nargs="+", help="folders of jdl.fit or jdl.sweep")
    parser.add_argument("--path", help="of the page; by default report.html in the first folder")
    parser.add_argument("--metric", help="by which settings are ranked; by default the first one evaluated")
    given = parser.parse_args(arguments)
    try:
        print(html(*given.runs, path=given.path, metric=given.metric))
    except (OSError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
