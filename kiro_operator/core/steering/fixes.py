"""What can be mended in a steering document without knowing what its author meant.

Each mend leaves every word of the guidance where it is, and makes Kiro read the front matter that is
there. What would take a guess, such as a bracket that is missing, is left.
"""

import re

from kiro_operator.core.steering.front_matter import INCLUSIONS, LOOKED_AT
from kiro_operator.core.steering.syntax import passes

_FENCE = "---"
_DASHES = re.compile(r"-{3,}[ \t]*\r?$")
_INCLUSION = re.compile(
    r"(?P<key>inclusion[ \t]*:[ \t]*)(?P<quote>['\"]?)(?P<word>[A-Za-z_-]+)(?P=quote)[ \t]*\r?$"
)


def mended(text: str) -> str | None:
    """The document with its front matter as Kiro reads it; None where nothing safe makes it pass."""
    lines = text.removeprefix("\ufeff").split("\n")
    found = _front(lines)
    if found is None:
        return None
    begin, end = found
    front = [_inclusion(line) for line in lines[begin + 1 : end]]
    made = "\n".join([_FENCE, *front, _FENCE, *_without_blank(lines[:begin]), *lines[end + 1 :]])
    return made if made != text and passes(made) else None


def _front(lines: list[str]) -> tuple[int, int] | None:
    """The lines that open and close what is meant for front matter; None where there is none."""
    begin = None
    for number, line in enumerate(lines[:LOOKED_AT]):
        if line.lstrip().startswith(("```", "~~~")):
            return None
        if not _DASHES.match(line):
            continue
        if begin is not None and any(line.startswith("inclusion") for line in lines[begin + 1 : number]):
            return begin, number
        begin = number
    return None


def _inclusion(line: str) -> str:
    """A line with the word that Kiro knows, where it is merely written otherwise."""
    match = _INCLUSION.match(line)
    if match is None:
        return line
    plain = {word.lower(): word for word in INCLUSIONS}
    word = plain.get(re.sub("[-_]", "", match["word"].lower()))
    return f"{match['key']}{word}" if word is not None else line


def _without_blank(lines: list[str]) -> list[str]:
    return lines if any(line.strip() for line in lines) else []
