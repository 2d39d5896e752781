"""The sentences of a Markdown text, with what they stand under: headings, and the items they belong to."""

import re
from bisect import bisect_right
from collections.abc import Iterator

from msgspec import Struct

from kiro_operator.core.steering.references import without_code

LONGEST = 2000
"""Characters of a line; longer ones are not read."""

_ITEM = re.compile(r"(?P<indent>[ \t]*)(?:[-*+]|\d{1,3}[.)])[ \t]+(?:\[[ xX]\][ \t]+)?")
_HEADING = re.compile(r"\s{0,3}(?P<marks>#{1,6})\s+(?P<title>.*?)\s*#*\s*$")
_SETTING = re.compile(r"\s*\**[A-Za-z][\w /-]{0,40}:\**\s")
_END = re.compile(r"(?<=[.!?;])\s+")
_MARKS = re.compile('[*`"\u201c\u201d\u2018]|(?<!\\w)_|_(?!\\w)|<!--[^\n]*?-->')
_LINK = re.compile(r"\[([^\]]{0,200})\]\([^)]{0,400}\)")
_SPACE = re.compile(r"\s+")


class Sentence(Struct, frozen=True):
    """One sentence."""

    text: str
    line: int
    column: int
    """Where it begins."""
    headings: tuple[str, ...] = ()
    """The headings it stands under, plain."""
    parents: tuple[str, ...] = ()
    """The items, or the line that ends in a colon, that it belongs to, plain."""


class _Block(Struct):
    indent: int
    """-1: a paragraph."""
    headings: tuple[str, ...]
    lines: list[str] = []
    offsets: list[int] = []
    """Where each of its lines begins in the text."""
    places: list[tuple[int, int]] = []
    """Line and column of these."""

    @property
    def text(self) -> str:
        """Its lines as one."""
        return " ".join(self.lines)

    def add(self, line: str, number: int, begin: int) -> None:
        """Go on with what stands in a line from some offset."""
        words = line[begin:].strip()
        if words:
            self.offsets.append(self.offsets[-1] + len(self.lines[-1]) + 1 if self.lines else 0)
            self.places.append((number, len(line) - len(line[begin:].lstrip()) + 1))
            self.lines.append(words)

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset in the text."""
        number = bisect_right(self.offsets, offset) - 1
        line, column = self.places[number]
        return line, column + offset - self.offsets[number]


def plain(text: str) -> str:
    """A text in lower case without Markdown and without its full stop."""
    text = _LINK.sub(r"\1", text)
    text = _MARKS.sub("", text.replace("\u2019", "'"))
    return _SPACE.sub(" ", text).strip(" .!;").lower()


def sentences(text: str) -> Iterator[Sentence]:
    """The sentences of paragraphs and lists; code, quotes and tables are left out."""
    parents: list[tuple[int, str]] = []
    headings: tuple[str, ...] = ()
    for block in _blocks(text):
        if block.headings != headings or block.indent < 0:
            parents = []
        headings = block.headings
        parents = [one for one in parents if one[0] < block.indent]
        above = tuple(words for _, words in parents)
        text = block.text
        for begin, sentence in _split(text):
            yield Sentence(sentence, *block.place(begin), headings, above)
        if block.indent >= 0 or text.rstrip(" *_").endswith(":"):
            parents.append((block.indent, plain(text)))


def _split(text: str) -> Iterator[tuple[int, str]]:
    """The sentences of a block, each with its offset."""
    begin = 0
    for end in _END.finditer(text):
        yield begin, text[begin : end.start()]
        begin = end.end()
    if begin < len(text):
        yield begin, text[begin:]


def _blocks(text: str) -> Iterator[_Block]:
    headings: list[tuple[int, str]] = []
    block: _Block | None = None
    for number, line in enumerate(without_code(text).split("\n"), 1):
        heading, item = _HEADING.match(line), _ITEM.match(line)
        skipped = len(line) > LONGEST or line.lstrip().startswith((">", "|", "<"))
        ends = not line.strip() or skipped or heading or item or _SETTING.match(line)
        if ends and block is not None:
            yield block
            block = None
        if heading is not None:
            level = len(heading["marks"])
            headings = [one for one in headings if one[0] < level]
            headings.append((level, plain(heading["title"])))
        elif line.strip() and not skipped:
            if block is None:
                indent = len(item["indent"].expandtabs(4)) if item else -1
                block = _Block(indent, tuple(title for _, title in headings))
            block.add(line, number, item.end() if item else 0)
    if block is not None:
        yield block
