"""Directives of a steering document: sentences that tell Kiro what to do, in a form that compares.

A directive is read only where it is plain: one short sentence or list item that begins with what to do.
Whatever depends on a condition of its own, or is an example, is left out.
"""

import re
from collections.abc import Iterator

from msgspec import Struct

from kiro_operator.core.steering.references import without_code
from kiro_operator.core.steering.words import VERBS

LONGEST = 160
"""Characters of a directive; longer sentences say more than one thing."""
MOST = 512
"""Directives of one document."""

_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?")
_HEADING = re.compile(r"\s{0,3}(#{1,6})\s+(?P<title>.*?)\s*#*\s*$")
_MARKS = re.compile('[*`"\u201c\u201d\u2018]|(?<!\\w)_|_(?!\\w)|<!--[^\n]*?-->')
_LINK = re.compile(r"\[([^\]]{0,200})\]\([^)]{0,400}\)")
_END = re.compile(r"(?<=[.!?;])\s+")
_SPACE = re.compile(r"\s+")

_NEGATIVE = re.compile(
    r"^(?:please )?(?:you )?(?:never|do not|don't|must not|mustn't|should not|shouldn't|may not|cannot|"
    r"avoid|no longer)(?: ever)? (?P<rest>.+)$"
)
_POSITIVE = re.compile(
    r"^(?:please )?(?:you )?(?:always|must|only|exclusively|should|shall|do)(?: always| only)? (?P<rest>.+)$"
)
_CONDITION = re.compile(
    r"\b(?:if|when|unless|except|until|while|where|otherwise|without|instead|rather|outside|but|however|"
    r"before|after|during|other than|as long as|whenever|once|because|since|may|can|could|might|e\.g|"
    r"prefer|preferably|ideally|typically|usually|generally|optionally|sometimes|consider|legacy|old|former|"
    r"deprecated|existing|previously)\b"
)


class Directive(Struct, frozen=True):
    """One directive."""

    core: str
    """What to do or not to do, in lower case, without the words that say how strictly."""
    line: int
    """Within the text given."""
    headings: tuple[str, ...]
    """The headings it stands under, in lower case."""
    text: str
    forbids: bool = False


class Setting(Struct, frozen=True):
    """One line of the form ``subject: value``."""

    subject: str
    value: str
    line: int
    headings: tuple[str, ...]
    text: str


def directives(text: str) -> list[Directive]:
    """The directives of a document's body."""
    found: list[Directive] = []
    for line, headings, sentence in _sentences(text):
        directive = _directive(sentence, line, headings)
        if directive is not None:
            found.append(directive)
            if len(found) >= MOST:
                break
    return found


def settings(text: str) -> list[Setting]:
    """The lines of the form ``subject: value``."""
    found: list[Setting] = []
    for line, headings, sentence in _sentences(text):
        subject, colon, value = plain(sentence).partition(": ")
        if colon and 0 < len(subject) <= 40 and 0 < len(value) <= 60 and len(found) < MOST:
            found.append(Setting(subject, value.strip(" ."), line, headings, sentence))
    return found


def plain(sentence: str) -> str:
    """A sentence in lower case without Markdown and without its full stop."""
    text = _LINK.sub(r"\1", sentence)
    text = _MARKS.sub("", text.replace("\u2019", "'"))
    return _SPACE.sub(" ", text).strip(" .!;").lower()


def _directive(sentence: str, line: int, headings: tuple[str, ...]) -> Directive | None:
    text = plain(sentence)
    if not 8 <= len(text) <= LONGEST or "?" in text or "/" in text[:4] or _CONDITION.search(text):
        return None
    if negative := _NEGATIVE.match(text):
        core = _imperative(negative["rest"])
        return Directive(core, line, headings, sentence, forbids=True) if core else None
    if positive := _POSITIVE.match(text):
        text = positive["rest"]
    core = _imperative(text)
    return Directive(core, line, headings, sentence) if core else None


def _imperative(text: str) -> str:
    """The text with its verb in the basic form; empty when it does not begin with one."""
    first, _, rest = text.partition(" ")
    if not rest:
        return ""
    for verb in _gerund(first):
        if verb in VERBS:
            if rest.startswith("only "):
                rest = rest.removeprefix("only ")
            return f"{verb} {rest}"
    return ""


def _gerund(word: str) -> Iterator[str]:
    yield word
    if word.endswith("ing"):
        stem = word[:-3]
        yield stem
        yield stem + "e"
        if len(stem) > 2 and stem[-1] == stem[-2]:
            yield stem[:-1]


def _sentences(text: str) -> Iterator[tuple[int, tuple[str, ...], str]]:
    """Line, headings and sentence, for each sentence that stands on one line of its own."""
    headings: list[tuple[int, str]] = []
    for number, line in enumerate(without_code(text).split("\n"), 1):
        if len(line) > 2000 or not line.strip() or line.lstrip().startswith((">", "|", "<")):
            continue
        if heading := _HEADING.match(line):
            level = len(heading[1])
            headings = [one for one in headings if one[0] < level]
            headings.append((level, plain(heading["title"])))
            continue
        under = tuple(title for _, title in headings)
        item = _ITEM.match(line)
        for sentence in _END.split(line[item.end() if item else 0 :].strip()):
            if sentence:
                yield number, under, sentence
