"""The command line that the generators share: write the files, or say which are stale."""

import argparse
import sys
from collections.abc import Callable, Iterable
from pathlib import Path


def run(
    parser: argparse.ArgumentParser,
    root: Path,
    generated: Callable[[Path], Iterable[tuple[Path, str]]],
    stale: Callable[[Path], list[str]],
    arguments: list[str] | None,
) -> int:
    """Returns the exit status: 1 when asked to check and a file is stale."""
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is stale")
    parser.add_argument("--root", type=Path, default=root, help="top of the source tree")
    options = parser.parse_args(arguments)
    if options.check:
        problems = stale(options.root)
        print("\n".join(problems), end="\n" if problems else "", file=sys.stderr)
        return 1 if problems else 0
    for path, text in generated(options.root):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0
