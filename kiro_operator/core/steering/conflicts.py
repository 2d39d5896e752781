"""Contradictions between steering documents.

Careful on purpose: a conflict that is none costs trust, so only what contradicts itself word for word
counts. Documents that Kiro never includes together cannot conflict, and one that is for some of the
other's files only may well be an exception to it.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from hashlib import sha256
from itertools import combinations, product

from msgspec import Struct
from msgspec.structs import replace

from kiro_operator.core.steering import claims, directives, front_matter
from kiro_operator.core.steering.claims import Claim
from kiro_operator.core.steering.directives import Directive, Setting
from kiro_operator.core.steering.front_matter import FrontMatter
from kiro_operator.core.steering.problems import place, quoted
from kiro_operator.core.steering.scopes import Meeting, Met, Scopes
from kiro_operator.core.steering.words import ACTIVITIES, ALTERNATIVES, GENERAL, NUMERALS, SCOPES, TOPICS

DOCUMENTS = 64
LARGEST = 131_072
ALTOGETHER = 131_072
"""Characters of a document; longer ones are not looked through."""
MOST = 128
"""Conflicts that are told."""
_HELD = 2 * MOST
"""What may be conflicts, before the files are looked at for which documents are included."""
REMEMBERED = 256
"""Sets of documents whose conflicts are remembered."""
_ALIKE = 8
"""Directives on one subject in one document that are looked at."""
_SAME = 80
"""Characters from which on two equal bodies are a copy."""


_WORD = re.compile(r"[a-z0-9_+#.-]*[a-z0-9_+#]")
_NUMBER = re.compile(r"(?<![\w.-])(\d{1,7}(?:\.\d{1,3})?)(?![\w-])\s?(\w*)")
_NAMED_BY_NUMBER = re.compile(
    r"\b(?:ports?|versions?|steps?|phases?|tiers?|levels?|priority|severity|stages?|parts?|sections?) \d"
)
_NUMERAL = re.compile(rf"\b(?:{'|'.join(NUMERALS)})\b")
_REGION = re.compile(r"\b(?:af|ap|ca|cn|eu|il|me|mx|sa|us)-[a-z]{4,9}-[1-9]\b")
_ROLE = re.compile(
    r"(?P<verb>use) (?P<what>[\w .+#-]{1,30}?) (?P<rest>as (?:the|our|your) .+|as package manager|as the .+)$"
)
_GROUPS = {word: number for number, words in enumerate(ALTERNATIVES) for word in words}
_ALTERNATIVE = re.compile(
    rf"(?<![\w-])(?:{'|'.join(map(re.escape, sorted(_GROUPS, key=len, reverse=True)))})(?![\w-])"
)


class Conflict(Struct, frozen=True):
    """Two documents that cannot both be followed."""

    first: str
    second: str
    reason: str
    """One CamelCase word."""
    message: str


class _Candidate(Struct, frozen=True):
    """What is a conflict if both documents are included together."""

    conflict: Conflict
    patterns: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    """Of both documents, where each is for some files only."""
    excepted: bool = False
    """It is none where one of them is an exception to the other."""


class _Read(Struct, frozen=True):
    path: str
    front: FrontMatter
    keys: Mapping[str, Sequence[Directive]]
    """The directives by what others may have in common with them."""
    settings: Sequence[Setting]
    claims: Mapping[str, Sequence[Claim]]
    """The claims by what they are about."""


def conflicts(documents: Mapping[str, str], workspace: Collection[str] | None = None) -> list[Conflict]:
    """The conflicts among documents by path, one for each pair and reason, and no more than ``MOST``.

    ``workspace`` are the files that patterns are held against; None: nobody knows them. What was found is
    remembered for the digest of the documents, since the same ones are judged again at each sample; their
    texts are not kept.
    """
    key = _Documents(documents)
    try:
        candidates = _judged(key)
    finally:
        key.texts = {}
    scopes = Scopes(workspace)
    found: dict[tuple[str, str, str], Conflict] = {}
    for candidate in candidates:
        one = candidate.conflict
        name = (one.first, one.second, one.reason)
        if name not in found and (told := _told(candidate, scopes)):
            found[name] = told
    return list(found.values())[:MOST]


def _told(candidate: _Candidate, scopes: Scopes) -> Conflict | None:
    """The conflict, if the documents are included together."""
    met = Met(Meeting.CROSSING) if candidate.patterns is None else scopes.meet(*candidate.patterns)
    if met.meeting is Meeting.NONE or (candidate.excepted and met.meeting is Meeting.NARROWER):
        return None
    if not met.path:
        return candidate.conflict
    words = f"{candidate.conflict.message}; both are included for {quoted(met.path)}"
    return replace(candidate.conflict, message=words)


class _Documents:
    """Documents as a key that stays small: equal when their digests are."""

    __slots__ = ("digest", "texts")

    def __init__(self, documents: Mapping[str, str]) -> None:
        self.texts = documents
        digest = sha256()
        for path in sorted(documents):
            for part in (path, documents[path]):
                data = part.encode("utf-8", "surrogatepass")
                digest.update(len(data).to_bytes(8))
                digest.update(data)
        self.digest = digest.digest()

    def __hash__(self) -> int:
        return hash(self.digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Documents) and self.digest == other.digest


def remembered() -> tuple[int, int]:
    """How often documents were judged that had been before, and how many sets are remembered."""
    now = _judged.cache_info()
    return now.hits, now.currsize


def compared(documents: Mapping[str, str]) -> list[str]:
    """The paths of the documents that are held against each other: the first that are not too much.

    Judging holds up everything else: what is compared must be done in about half a second.
    """
    paths: list[str] = []
    left = ALTOGETHER
    for path in sorted(documents):
        if len(documents[path]) <= min(LARGEST, left) and len(paths) < DOCUMENTS:
            paths.append(path)
            left -= len(documents[path])
    return paths


@lru_cache(maxsize=REMEMBERED)
def _judged(key: _Documents) -> tuple[_Candidate, ...]:
    documents = key.texts
    read = [_read(path, documents[path]) for path in compared(documents)]
    found: dict[tuple[int, str, str, bool], _Candidate] = {}
    for one, other in combinations(read, 2):
        for candidate in _between(one, other):
            reason = _ORDER.index(candidate.conflict.reason)
            found.setdefault((reason, one.path, other.path, candidate.excepted), candidate)
    return tuple(found[name] for name in sorted(found)[:_HELD])


_ORDER = ("NameDefinedTwice", "ContradictoryGuidance", "DuplicatedScope")


def _read(path: str, text: str) -> _Read:
    front = front_matter.read(text)
    keys: dict[str, list[Directive]] = {}
    said = directives.statements(front.body)
    for directive in directives.directives(said):
        for key in _keys(directive.core):
            keys.setdefault(key, []).append(directive)
    claimed: dict[str, list[Claim]] = {}
    for claim in claims.claims(said):
        for key in claim.keys:
            claimed.setdefault(key, []).append(claim)
    return _Read(path, front, keys, directives.settings(said), claimed)


def _between(one: _Read, other: _Read) -> Iterator[_Candidate]:
    first, second = one.front, other.front
    if first.name and first.name.casefold() == second.name.casefold():
        words = (
            f"the name {quoted(first.name)} is defined by both ({_named(first)}, and {_named(second)}), so "
            "it is left to chance which one it means"
        )
        yield _Candidate(Conflict(one.path, other.path, "NameDefinedTwice", words))
    if "manual" in {first.inclusion, second.inclusion}:
        return
    limited = [front.inclusion == "fileMatch" for front in (first, second)]
    patterns = (first.patterns, second.patterns) if all(limited) else None
    body = " ".join(first.body.split())
    if len(body) >= _SAME and body == " ".join(second.body.split()):
        words = (
            f"both have the same text ({_begin(first)}, and {_begin(second)}) and are included together, so "
            "that a change of one leaves the other behind"
        )
        yield _Candidate(Conflict(one.path, other.path, "DuplicatedScope", words), patterns)
        return
    # What holds for some files only may differ from what holds for all: that is what it is for.
    told: set[bool] = set()
    for mine, its, opposite in _pairs(one, other, special=any(limited) and not all(limited)):
        if opposite in told:
            continue
        told.add(opposite)
        words = f"{_said(first, mine)} contradicts {_said(second, its)}"
        conflict = Conflict(one.path, other.path, "ContradictoryGuidance", words)
        yield _Candidate(conflict, patterns, excepted=not opposite)
        if patterns is None or len(told) == 2:
            return  # one of each kind is enough: which kind counts is for the files to say


def _place(line: int, column: int) -> str:
    return f"line {line}, column {column}"


def _named(front: FrontMatter) -> str:
    """Where the name of a document stands."""
    return _place(*front.places.get("name", (2, 1)))


def _begin(front: FrontMatter) -> str:
    """Where the text of a document begins."""
    line, column = place(front.body, len(front.body) - len(front.body.lstrip()))
    return _place(front.body_line + line - 1, column)


def _said(front: FrontMatter, what: Directive | Setting | Claim) -> str:
    return f"{quoted(what.text)} ({_place(front.body_line + what.line - 1, what.column)})"


def _pairs(
    one: _Read, other: _Read, *, special: bool
) -> Iterator[tuple[Directive | Setting | Claim, Directive | Setting | Claim, bool]]:
    """What contradicts each other, and whether it is the very same that one wants and the other forbids."""
    for key in sorted(one.keys.keys() & other.keys.keys()):
        for mine, its in product(one.keys[key][:_ALIKE], other.keys[key][:_ALIKE]):
            if _contradict(mine, its, special=special) and _same_scope(one, mine, other, its):
                yield mine, its, mine.core == its.core
    if special:
        return
    by_subject = {its.subject: its for its in other.settings}
    for setting in one.settings:
        match = by_subject.get(setting.subject)
        if match and _differ(setting.value, match.value) and _same_scope(one, setting, other, match):
            yield setting, match, False
    yield from _claimed(one, other)


def _claimed(one: _Read, other: _Read) -> Iterator[tuple[Claim, Claim, bool]]:
    for key in sorted(one.claims.keys() & other.claims.keys()):
        ours, theirs = one.claims[key][:_ALIKE], other.claims[key][:_ALIKE]
        if not (claims.agreed(ours) and claims.agreed(theirs)):
            continue
        for mine, its in product(ours, theirs):
            if claims.contradict(mine, its) and _same_subject(one, mine, other, its):
                yield mine, its, False


def _keys(core: str) -> list[str]:
    """What two directives on one subject have in common: themselves, with what may differ masked."""
    keys = [core]
    digits = _NUMERAL.sub(lambda match: str(NUMERALS.index(match[0])), core)
    if len(_NUMBER.findall(digits)) == 1 and not _NAMED_BY_NUMBER.search(digits):
        keys.append("#" + _NUMBER.sub(lambda match: f"N {match[2].rstrip('s')}", digits))
    if len(_REGION.findall(core)) == 1:
        keys.append("region " + _REGION.sub("*", core))
    if role := _ROLE.match(core):
        keys.append(f"role {role['verb']} {role['rest']}")
    present = {word: _GROUPS[word] for word in _ALTERNATIVE.findall(core)}
    for word, group in present.items():
        if list(present.values()).count(group) == 1:
            keys.append(f"{group} {_ALTERNATIVE.sub(partial(_masked, word), core)}")
    return keys


def _masked(word: str, match: re.Match[str]) -> str:
    return "*" if match[0] == word else match[0]


def _contradict(mine: Directive, its: Directive, *, special: bool) -> bool:
    if mine.core == its.core:
        return mine.forbids != its.forbids
    # The same sentence with another number or alternative in its place.
    return not special and not mine.forbids and not its.forbids


def _differ(mine: str, its: str) -> bool:
    """Whether two values of one subject exclude each other; one that adds to the other does not."""
    return mine != its and mine not in its and its not in mine


def _same_scope(one: _Read, mine: Directive | Setting, other: _Read, its: Directive | Setting) -> bool:
    """Whether both speak of the same: neither path nor headings limit them to different things."""
    first, second = _scope(one.path, mine), _scope(other.path, its)
    if first & SCOPES != second & SCOPES:
        return False
    if isinstance(mine, Directive) and isinstance(its, Directive) and mine.core == its.core:
        return first <= second or second <= first
    return first == second


def _same_subject(one: _Read, mine: Claim, other: _Read, its: Claim) -> bool:
    """Whether neither path nor headings limit two claims of the same words to different things."""
    said = mine.words & its.words
    first, second = (
        {word for word in _scope(read.path, claim) - ACTIVITIES if claims.stem(word) not in said}
        for read, claim in ((one, mine), (other, its))
    )
    if len(said) >= claims.MANY:
        first, second = first - TOPICS, second - TOPICS
    return first == second


def _scope(path: str, of: Directive | Setting | Claim) -> frozenset[str]:
    """The words of path and headings that say of what a document speaks."""
    name = path.rpartition("/")[2].removesuffix(".md").lower()
    words = set(re.split(r"[-_. ]", name))
    for heading in of.headings:
        words.update(_WORD.findall(heading))
    limiting = (word for word in words if word not in GENERAL or word in SCOPES)
    return frozenset(word for word in limiting if len(word) > 1 or word.isdigit())
