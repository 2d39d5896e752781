"""What the generators share: finding declarations, and the command line."""

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import kiro_operator


def run(
    parser: argparse.ArgumentParser,
    root: Path,
    generated: Callable[[Path], Iterable[tuple[Path, str]]],
    stale: Callable[[Path], list[str]],
    arguments: list[str] | None,
) -> int:
    """Write the files, or say which are stale; returns the exit status: 1 where one is."""
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


def declarations(name: str) -> Iterator[tuple[str, Any]]:
    """What modules of the package declare under a name, so that no list of them is kept anywhere."""
    for module in pkgutil.walk_packages(kiro_operator.__path__, f"{kiro_operator.__name__}."):
        if not module.name.endswith(".__main__"):
            found = getattr(importlib.import_module(module.name), name, None)
            if found is not None:
                yield module.name, found
