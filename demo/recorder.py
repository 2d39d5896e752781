"""The kubectl session that the demo can leave behind, command by command as it really ran."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

BEGIN, END = "<!-- session: recorded by `make readme-picture` -->", "<!-- end of session -->"


class Recorder:
    """Collects commands and what they printed."""

    def __init__(self, file: Path | None) -> None:
        if file is not None and file.suffix == ".md":
            _place(file)
        self._file = file
        self._parts: list[str] = []

    @property
    def wanted(self) -> bool:
        """Whether anybody wants a record, so that commands which only show something are worth running."""
        return self._file is not None

    def comment(self, text: str) -> None:
        """A line of explanation."""
        line = f"# {text}"
        if self._parts and self._parts[-1].startswith("#"):
            line = f"{self._parts.pop().rstrip()}\n{line}"
        self._parts.append(f"{line}\n")

    def add(self, arguments: Sequence[str], output: str) -> None:
        """One kubectl command and its output."""
        self.add_line(f"kubectl {shlex.join(arguments)}", output)

    def add_line(self, command: str, output: str) -> None:
        """One command line and its output."""
        lines = (line.rstrip() for line in output.splitlines())
        self._parts.append("\n".join((f"$ {command}", *lines)).rstrip() + "\n")

    def save(self) -> None:
        """Write the session: into the marked place of a Markdown file, or as a file of its own."""
        if self._file is None:
            return
        text = "\n".join(self._parts)
        if self._file.suffix == ".md":
            before, after = _place(self._file)
            text = f"{before}{BEGIN}\n```console\n{text}```\n{END}{after}"
        self._file.write_text(text, encoding="utf-8")


def _place(file: Path) -> tuple[str, str]:
    """What stands before and after the place for a session.

    Raises:
        ValueError: There is no such place.
    """
    before, begin, rest = file.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{file} has no place for a session: put in {BEGIN} and {END}")
    return before, after
