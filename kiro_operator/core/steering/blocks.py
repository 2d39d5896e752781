"""The sentences of a Markdown text, with what they stand under: headings, and the items they belong to."""

import re
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
    """Where its paragraph or item begins."""
    headings: tuple[str, ...] = ()
    """The headings it stands under, plain."""
    parents: tuple[str, ...] = ()
    """The items, or the line that ends in a colon, that it belongs to, plain."""


class _Block(Struct):
    line: int
    indent: int
    """-1: a paragraph."""
    text: str
    headings: tuple[str, ...]


def plain(text: str) -> str:
    """A text in lower case without Markdown and without its full stop."""
    text = _LINK.sub(r"\1", text)
    text = _MARKS.sub("", text.replace("\u2019", "'"))
    return _SPACE.sub(" ", text).strip(" .!;").lower()


def sentences(text: str) -> Iterator[Sentence]:
    """The sentences of paragraphs and lists; code, quotes and tables are left out."""
    parents: list[_Block] = []
    headings: tuple[str, ...] = ()
    for block in _blocks(text):
        if block.headings != headings or block.indent < 0:
            parents = []
        headings = block.headings
        parents = [one for one in parents if one.indent < block.indent]
        above = tuple(plain(one.text) for one in parents)
        for sentence in _END.split(block.text.strip()):
            if sentence:
                yield Sentence(sentence, block.line, headings, above)
        if block.indent >= 0 or block.text.rstrip(" *_").endswith(":"):
            parents.append(block)


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
            if block is not None:
                block.text += f" {line.strip()}"
                continue
            titles = tuple(title for _, title in headings)
            indent = len(item["indent"].expandtabs(4)) if item else -1
            block = _Block(number, indent, line[item.end() if item else 0 :].strip(), titles)
    if block is not None:
        yield block
