"""References from a steering document to files: ``#[[file:path]]``, and the fences of its code."""

import posixpath
import re
from collections.abc import Collection, Iterator
from itertools import islice

from msgspec import Struct

from kiro_operator.core.steering.problems import Problem, places, quoted

MOST = 256
"""References of one document that are judged."""

_REFERENCE = re.compile(r"#\[\[(?P<kind>file|folder):(?P<path>[^\[\]\r\n]{1,512})\]\]")
_OPEN = re.compile(r"#\[\[(?:file|folder):[^\[\]\r\n]{0,512}(?=[\r\n]|\Z)")
_LINES = re.compile(r":\d{1,7}(?:-\d{1,7})?$")
_FENCE = re.compile(r"[ ]{0,3}(?P<marks>`{3,}|~{3,})(?P<info>[^\r\n]*)")


class Reference(Struct, frozen=True):
    """One reference."""

    path: str
    """Relative to the workspace; empty for one that leads out of it."""
    written: str
    folder: bool
    line: int
    column: int


def references(text: str) -> Iterator[Reference]:
    """The references of a document, in order. Kiro follows those in code as well."""
    matches = list(islice(_REFERENCE.finditer(text), MOST))
    for match, where in zip(matches, places(text, (one.start() for one in matches)), strict=True):
        written = match["path"].strip()
        path = posixpath.normpath(_LINES.sub("", written)) if written else ""
        if path.startswith(("/", "..")):
            path = ""
        yield Reference(path, written, match["kind"] == "folder", *where)


def broken(text: str, workspace: Collection[str] | None) -> list[Problem]:
    """References that are not finished, and those to files that are not there.

    Without a list of the workspace's files nothing is said of the latter.
    """
    opened = list(islice(_OPEN.finditer(text), MOST))
    problems = [
        Problem(*where, "BrokenReference", f"{quoted(match[0])} is never closed by ]]")
        for match, where in zip(opened, places(text, (one.start() for one in opened)), strict=True)
    ]
    if workspace is None:
        return problems
    folders: set[str] | None = None
    lines = without_code(text).split("\n")
    for reference in references(text):
        if not reference.path or reference.path == ".":
            continue  # what lies outside of the workspace cannot be seen
        if reference.path in workspace:
            continue
        if reference.folder:
            folders = _folders(workspace) if folders is None else folders
            if reference.path in folders:
                continue
        words = f"{quoted(reference.written)} is not in the workspace"
        line = lines[reference.line - 1]
        # Code may well be an example of how to write a reference.
        example = not line or line[: reference.column - 1].count("`") % 2 == 1
        problems.append(Problem(reference.line, reference.column, "BrokenReference", words, warning=example))
    return problems


def unclosed_fence(text: str, first_line: int = 1) -> Problem | None:
    """A block of code that nothing ends, so that all that follows is code."""
    marks, where = "", (1, 1)
    for number, line in enumerate(text.split("\n"), first_line):
        fence = _FENCE.match(line)
        if fence is None:
            continue
        if not marks:
            if fence["marks"][0] == "`" and "`" in fence["info"]:
                continue  # code within a line
            marks, where = fence["marks"], (number, fence.start("marks") + 1)
        elif fence["marks"].startswith(marks) and not fence["info"].strip():
            marks = ""
    if not marks:
        return None
    return Problem(*where, "UnclosedCode", f"no {quoted(marks)} ends the block of code", warning=True)


def without_code(text: str) -> str:
    """The text with fenced blocks of code made empty lines, so that places stay."""
    kept: list[str] = []
    marks = ""
    for line in text.split("\n"):
        fence = _FENCE.match(line)
        if marks:
            if fence and fence["marks"].startswith(marks) and not fence["info"].strip():
                marks = ""
            kept.append("")
        elif fence and not (fence["marks"][0] == "`" and "`" in fence["info"]):
            marks = fence["marks"]
            kept.append("")
        else:
            kept.append(line)
    return "\n".join(kept)


def _folders(workspace: Collection[str]) -> set[str]:
    found: set[str] = set()
    for path in workspace:
        while (path := posixpath.dirname(path)) and path not in found:
            found.add(path)
    return found
