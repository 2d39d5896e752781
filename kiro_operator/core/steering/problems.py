"""Problems in a text, each with its place."""

from msgspec import Struct

from kiro_operator.core.findings import clip

WORDS = 80
"""Characters of a text that are repeated in a message."""


class Problem(Struct, frozen=True):
    """What is wrong, and where. Lines and columns count from 1."""

    line: int
    column: int
    reason: str
    """One CamelCase word."""
    message: str
    """What was found and what was expected, without the place."""
    warning: bool = False
    """Kiro copes with it, but surely not as meant."""


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset."""
    offset = max(0, min(offset, len(text)))
    start = text.rfind("\n", 0, offset) + 1
    return text.count("\n", 0, start) + 1, offset - start + 1


def within(text: str, line: int, column: int) -> tuple[int, int]:
    """The place, brought back into the text where a parser pointed beyond its end."""
    lines = text.split("\n")
    line = max(1, min(line, len(lines)))
    return line, max(1, min(column, len(lines[line - 1]) + 1))


def quoted(text: object) -> str:
    """Foreign text as it may stand in a message: short, on one line."""
    return repr(clip(" ".join(str(text).split()), WORDS))
