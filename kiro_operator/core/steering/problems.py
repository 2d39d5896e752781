"""Problems in a text, each with its place."""

from collections.abc import Iterable, Iterator, Sequence

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


def places(text: str, offsets: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Line and column of offsets within the text that ascend, in one pass over it."""
    line, start, done = 1, 0, 0
    for offset in offsets:
        line += text.count("\n", done, offset)
        start = text.rfind("\n", done, offset) + 1 or start
        done = offset
        yield line, offset - start + 1


def within(text: str, line: int, column: int) -> tuple[int, int]:
    """The place, brought back into the text where a parser pointed beyond its end."""
    return within_lines(text.split("\n"), line, column)


def within_lines(lines: Sequence[str], line: int, column: int) -> tuple[int, int]:
    """The same for a text that is split into lines already."""
    line = max(1, min(line, len(lines)))
    return line, max(1, min(column, len(lines[line - 1]) + 1))


def quoted(text: object) -> str:
    """Foreign text as it may stand in a message: short, on one line."""
    return repr(clip(" ".join(str(text).split()), WORDS))
