"""Directives of a steering document: sentences that tell Kiro what to do, in a form that compares.

A directive is read only where it is plain: one short sentence or list item that begins with what to do,
or says what must be. What is an example, or stands under something that may turn its sense, is left out.
"""

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from kiro_operator.core.steering.blocks import Sentence, plain, sentences
from kiro_operator.core.steering.words import OPPOSITES, SUBJECTS, VERBS

LONGEST = 160
"""Characters of a directive; longer sentences say more than one thing."""
MOST = 512
"""Directives of one document."""

_NEGATIVE = re.compile(
    r"^(?:please )?(?:you )?(?:never|do not|don't|must not|mustn't|must never|should not|shouldn't|"
    r"should never|may not|avoid|no longer)(?: ever)? (?P<rest>.+)$"
)
_POSITIVE = re.compile(
    r"^(?:please )?(?:you )?(?:always|must|only|exclusively|should|shall|do)(?: always| only)? (?P<rest>.+)$"
)
_MODAL = re.compile(
    r"^(?P<subject>[a-z][^,;:]{2,60}?) (?:must|should|shall)(?P<not> not| never)?(?: always)? (?P<rest>.+)$"
)
_STATED = re.compile(
    r"^(?P<subject>[a-z][^,;:]{2,60}?) (?:is|are) (?:always )?(?P<not>not |never )?"
    r"(?P<rest>required|allowed|permitted|mandatory|forbidden|prohibited)(?P<more> .*)?$"
)
_VALUE = re.compile(
    r"^(?:the |our )?(?P<subject>[a-z][a-z -]{2,40}?) (?:is|must be|should be) (?P<value>.+)$"
)
_HEDGED = re.compile(
    r"\b(?:instead|rather|however|other than|may|can|could|might|e\.g|prefer|preferably|ideally|typically|"
    r"usually|generally|optionally|sometimes|consider|legacy|old|former|deprecated|existing|previously)\b"
)
_TURNED = re.compile(
    r"\b(?:don't|do not|don'ts|avoid|never|not|no|anti-?patterns?|bad|wrong|incorrect|forbidden|prohibited|"
    r"examples?|mistakes?|pitfalls?|instead of|questions?|alternatives?|options?|pros|cons|todo|history)\b"
)
_PLAIN_PARENT = re.compile(
    r"^(?:please )?(?:follow |observe |these |the |our |general |important |key |basic |following )*"
    r"(?:rules?|guidelines?|conventions?|requirements?|standards?|principles?|general|important)"
    r"(?: apply| always apply)?:?$"
)


class Directive(Struct, frozen=True):
    """One directive."""

    core: str
    """What to do or not to do, in lower case, without the words that say how strictly."""
    line: int
    column: int
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
    column: int
    headings: tuple[str, ...]
    text: str


def directives(said: Iterable[Sentence]) -> list[Directive]:
    """The directives among the statements of a document's body."""
    found: list[Directive] = []
    for sentence in said:
        read = _directive(plain(sentence.text))
        if read is not None and len(found) < MOST:
            core, forbids = read
            where = (sentence.line, sentence.column)
            found.append(Directive(core, *where, sentence.headings, sentence.text, forbids))
    return found


def settings(said: Iterable[Sentence]) -> list[Setting]:
    """The lines of the form ``subject: value`` for subjects that have one value."""
    found: list[Setting] = []
    for sentence in said:
        if len(sentence.text) > LONGEST:
            continue
        words = plain(sentence.text)
        subject, colon, value = words.partition(": ")
        if not colon and (stated := _VALUE.match(words)):
            subject, value = stated["subject"], stated["value"]
        if subject in SUBJECTS and 0 < len(value) <= 40 and not re.search(r"[(,:]| for | in | or ", value):
            where = (sentence.line, sentence.column)
            found.append(Setting(subject, value.strip(" ."), *where, sentence.headings, sentence.text))
    return found[:MOST]


def statements(text: str) -> list[Sentence]:
    """The sentences of a document's body whose sense nothing above them may turn."""
    return [
        sentence
        for sentence in sentences(text)
        if not any(_TURNED.search(title) for title in sentence.headings)
        and all(_PLAIN_PARENT.match(parent) for parent in sentence.parents)
    ]


def _directive(text: str) -> tuple[str, bool] | None:
    """The core and whether it is forbidden; None for what is no plain directive."""
    if not 8 <= len(text) <= LONGEST or "?" in text or text.endswith(":") or _HEDGED.search(text):
        return None
    if negative := _NEGATIVE.match(text):
        return _imperative(negative["rest"], forbids=True)
    if positive := _POSITIVE.match(text):
        return _imperative(positive["rest"], forbids=False)
    return _imperative(text, forbids=False) or _about(text)


def _about(text: str) -> tuple[str, bool] | None:
    """What must be, of some subject."""
    if modal := _MODAL.match(text):
        return f"{modal['subject']} must {modal['rest']}", bool(modal["not"])
    if stated := _STATED.match(text):
        denied = stated["rest"] in {"forbidden", "prohibited"}
        kind = "required" if stated["rest"] in {"required", "mandatory"} else "allowed"
        return f"{stated['subject']} is {kind}{stated['more'] or ''}", bool(stated["not"]) != denied
    return None


def _imperative(text: str, *, forbids: bool) -> tuple[str, bool] | None:
    """The text with its verb in the basic form; None when it does not begin with one."""
    first, _, rest = text.partition(" ")
    rest = rest.removeprefix("only ")
    if not rest:
        return None
    for verb in _gerund(first):
        if verb in OPPOSITES:
            return f"{OPPOSITES[verb]} {rest}", not forbids
        if verb in VERBS:
            return f"{verb} {rest}", forbids
    return None


def _gerund(word: str) -> Iterator[str]:
    yield word
    if word.endswith("ing"):
        stem = word[:-3]
        yield stem
        yield stem + "e"
        if len(stem) > 2 and stem[-1] == stem[-2]:
            yield stem[:-1]
