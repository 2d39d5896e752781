"""Claims of steering documents: sentences reduced to their words, so that wording may differ.

Two claims of the same words contradict each other when one has another number of the same unit, another
word of a group of which only one can be meant, or forbids what the other one asks for. Order, inflection,
synonyms and remarks behind the main clause do not count; every word that may limit the sense does.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from math import inf

from msgspec import Struct

from kiro_operator.core.steering.blocks import Sentence, plain
from kiro_operator.core.steering.words import (
    ALTERNATIVES,
    EMPTY,
    NOMINAL,
    NUMERALS,
    SCOPES,
    SYNONYMS,
    UNITS,
    VAGUE,
    VERBS,
)

SHORTEST, LONGEST = 8, 240
"""Characters of a claim; longer sentences say more than one thing."""
MOST = 256
"""Claims of one document."""
FEWEST = 2
"""Words without which a claim has no subject that could be compared."""
MANY = 3
"""Words from which on a claim names its subject itself."""

_UNCLEAR = re.compile(
    r"\b(?:other than|more than once|one of|(?<!at )most|(?<!\d )second|"
    r"or(?! (?:not|more|higher|above|longer|less|fewer|lower|below|shorter)\b))\b|"
    r"\?|\d\s?[-\u2013]\s?\d|\.\.\.|\u2026"
)
_BRACKETS = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_TAIL = re.compile(
    r"\s+\u2013\s+|\s+\u2014\s*|\s--?\s|[;,:]\s+|"
    r"\s(?=(?:so that|because|since|as (?:it|they|we|this|that|the)|"
    r"until|which|that|who|to (?:avoid|keep|save|make|spare)|in order to)\s)"
)
_LEADS = re.compile(r"(?:in|on|at|for|during|before|after|with|within|under|from|to|by)\s")
_CLAIMED = re.compile(r"[a-z0-9_%\u20ac$][a-z0-9_./%+#\u20ac$-]*")
_EVERYTHING = re.compile(
    r"\b(?:to|of|from|for|between|by|in|on) (?:every|each|all|any|other) (?P<what>[a-z]+)(?=$|[ ,;])"
    r"(?= (?:is|are|has|have|must|should|shall|to|in|on|by|with|for|and)\b|$|[,;])"
)
_ACTOR = re.compile(
    r"^(?:the |an? |our |each |every )?(?:[a-z-]+ ){0,2}?(?:lead|engineer|person|team|owner|author|assistant|"
    r"operator|developer|commander|manager|reviewer|maintainer|approver)s?(?: on[ -]call)? "
)
"""Who is to do it, where a command says what is to be done."""
_OR_NOT = re.compile(r" or not\b")
_CLOCK = re.compile(r"\bat \d{1,2}:\d\d(?: utc)?\b")
_ENOUGH = re.compile(r"\b(?:enough|sufficient|suffices?)\b")
_BRINGS = re.compile(
    r"^(?:always )?(?:create|open|file|have|get|obtain|write|provide|add|attach|set|use|run|make|keep|"
    r"require) "
)
_JOINED = re.compile(r" and [a-z-]+$")
_LEAST = re.compile(
    r"\b(?:at least|at minimum|a minimum of|minimum|(?<!\d )min|no (?:fewer|less|lower) than|"
    r"not (?:fewer|less) than)\b"
    r"|\bor (?:more|higher|above|longer)\b"
)
_MOST = re.compile(
    r"\b(?:at most|at maximum|a maximum of|up to|no (?:more|longer|later|higher|greater) than|"
    r"not (?:more|longer|later) than|maximum|max|limit(?:ed)?(?: (?:of|is|to))?|within|under|below|"
    r"not exceed)\b"
    r"|\bor (?:less|fewer|lower|below|shorter)\b"
)
_EVERY = re.compile(
    r"\b(?:(?P<each>every|each|once an?|once every|once per) )(?:(?P<count>\d+(?:\.\d+)?) )?"
    r"(?P<unit>second|minute|hour|day|week|month|quarter|year)s?\b"
)
_PER = re.compile(r"\b(?:an?|per|each|every) (?P<unit>hour|day|week|month|quarter|year)\b")
_NAMED = {"hourly": "hour", "daily": "day", "nightly": "day", "weekly": "week", "monthly": "month"}
_NAMED_PERIOD = re.compile(rf"\b(?:{'|'.join(_NAMED)}|quarterly|yearly|annually)\b")
_NUMERAL = re.compile(rf"\b(?:{'|'.join((*NUMERALS[1:], 'twelve', 'fifteen', 'twenty', 'thirty'))})\b")
_WORTH = {word: str(number) for number, word in enumerate(NUMERALS)} | {
    "twelve": "12",
    "fifteen": "15",
    "twenty": "20",
    "thirty": "30",
}
_AMOUNT = re.compile(
    r"(?<![\w.:/#-])(?P<before>[$\u20ac]\s?)?(?P<number>\d{1,9}(?:[.]\d{1,6})?)(?![\d.:/]*\d)"
    r"(?P<unit>\s?%|\s?\u20ac|\s?[a-z]+(?![a-z]))?"
)
_COUNTS = re.compile(rf"\d|{_EVERY.pattern}|{_NAMED_PERIOD.pattern}")
_NUMBERED = frozenset(
    ("version", "release", "page", "test", "track", "call", "patch", "run", "build", "report")
)
"""Verbs that are nouns as well, which a number behind them names."""
_DIGIT = re.compile(r"\d")
_NOT = re.compile(
    r"\b(?:never|not|don't|doesn't|mustn't|shouldn't|isn't|aren't|cannot|can't|no|nobody|none|without|avoid|"
    r"forbidden|prohibited|disallowed|disabled?|forbid|prohibit|deny|nor)\b"
)
_UNNEEDED = re.compile(r"\b(?:not|isn't|aren't|no\b.*) (?:required|needed|necessary|mandatory)\b")
_LIMITS = re.compile(r"\bn(?:o|ot) (?:more|less|fewer|longer|later|higher|lower|greater|exceed)\b")
_TITLE = re.compile(r"[a-z -]{3,30}")
_ALLOWED = re.compile(r"\b(?:may|can|allowed|permitted|optional|acceptable|fine|enough)\b")
_GROUPS = {word: number for number, words in enumerate(ALTERNATIVES) for word in words if " " not in word}


class Claim(Struct, frozen=True):
    """One claim."""

    keys: tuple[str, ...]
    """What it is about; claims with a key in common are about the same."""
    words: frozenset[str]
    """Its words, unified."""
    line: int
    column: int
    headings: tuple[str, ...]
    text: str
    force: str
    """must, may, need-not or must-not."""
    value: str | float = 0.0
    """The number in its smallest unit, or the word of a group."""
    bound: str = ""
    """least, most, or nothing for an exact number."""
    actor: str = ""
    """Who is to do it, if that is said."""


def claims(said: Iterable[Sentence]) -> list[Claim]:
    """The claims among the statements of a document's body."""
    found: list[Claim] = []
    for sentence in said:
        if len(found) >= MOST:
            break
        if SHORTEST <= len(sentence.text) <= LONGEST:
            found += _claims(sentence)
    return found


def contradict(one: Claim, other: Claim) -> bool:
    """Whether two claims with a key in common cannot both hold."""
    forces = {one.force, other.force}
    if isinstance(one.value, str) or isinstance(other.value, str):
        return forces == {"must"} and one.value != other.value
    if not one.keys[0].startswith("N"):
        return forces in ({"must", "must-not"}, {"may", "must-not"}, {"must", "need-not"})
    if (one.actor and other.actor) or forces not in ({"must"}, {"may"}):
        return False
    if one.bound == other.bound:
        return one.value != other.value
    mine, its = _range(one.bound, one.value), _range(other.bound, other.value)
    return max(mine[0], its[0]) > min(mine[1], its[1])


def _range(bound: str, value: float) -> tuple[float, float]:
    """From where to where a number may be."""
    return (-inf if bound == "most" else value), (inf if bound == "least" else value)


def agreed(alike: Sequence[Claim]) -> bool:
    """Whether claims of one document about the same say one thing; several, such as steps, are no rule."""
    return len({(claim.value, claim.bound, claim.force) for claim in alike}) == 1


def stem(word: str) -> str:
    """The word without inflection, and for its synonyms one word."""
    if word in SCOPES or len(word) > 40 or not word.isalpha():
        return SYNONYMS.get(word, word)
    word = NOMINAL.get(word, word)
    if word in SYNONYMS:
        return SYNONYMS[word]
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    for ending in ("ments", "ment", "ations", "ation", "ings", "ing", "ed", "es", "s", "als", "al", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)]
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "sl":
        word = word[:-1]
    word = word.removesuffix("e") if len(word) > 3 else word
    if word.endswith("y") and len(word) > 3:
        word = word[:-1] + "i"
    return SYNONYMS.get(word, word)


def _claims(sentence: Sentence) -> Iterator[Claim]:
    text = _BRACKETS.sub("", plain(sentence.text)).strip(" .,:")
    if not VAGUE.isdisjoint(_CLAIMED.findall(text)) or _UNCLEAR.search(text):
        return
    text = _NUMERAL.sub(lambda match: _WORTH[match[0]], _OR_NOT.sub("", text))
    main, rest = _parts(text)
    force = _force(main)
    rest = _CLOCK.sub("", rest)
    if len(main) < SHORTEST or force is None or _DIGIT.search(rest):
        return
    if _NOT.search(rest):
        if not SCOPES.isdisjoint(_CLAIMED.findall(rest)):
            return
        rest = ""
    if _COUNTS.search(main):
        yield from _counted(sentence, main, rest, force)
    else:
        bare = _MOST.sub(" ", _LEAST.sub(" ", main))
        variants = _variants(bare, rest)
        yield from _stated(sentence, bare, variants, force)
        if force == "must":
            yield from _chosen(sentence, bare, variants)


def _counted(sentence: Sentence, main: str, rest: str, force: str) -> Iterator[Claim]:
    """The claim of a clause with one number, if it tells how much or how often."""
    measures = list(_measures(main))
    if len(measures) != 1 or _names_one(main):
        return
    bare = _without(main, measures)
    if _DIGIT.search(bare):
        return
    bound = "least" if _LEAST.search(main) else "most" if _MOST.search(main) else ""
    bare = _MOST.sub(" ", _LEAST.sub(" ", bare)).strip()
    variants = _variants(bare, rest)
    [(kind, value)] = measures
    actor = ""
    if acting := _ACTOR.match(bare):
        actor = acting[0]
        variants += _variants(bare[acting.end() :], rest)
    elif verb := _BRINGS.match(bare):
        variants += _variants(bare[verb.end() :], rest)
    keys = _named(f"N {kind}", variants)
    if keys:
        force = "must" if _ENOUGH.search(main) else force
        yield _claim(sentence, keys, variants[0], force, value=value, bound=bound, actor=actor)


def _stated(sentence: Sentence, bare: str, variants: Sequence[frozenset[str]], force: str) -> Iterator[Claim]:
    """The claim that something is to be so or not."""
    keys = _named("P", variants)
    if not keys:
        return
    if force == "need-not":
        keys += _named("Q", variants)
    elif force == "must" and (verb := _BRINGS.match(bare)):
        # What need not be there need not be created either.
        keys += _named("Q", [_content(bare[verb.end() :])])
    yield _claim(sentence, keys, variants[0], force)


def _chosen(sentence: Sentence, bare: str, variants: Sequence[frozenset[str]]) -> Iterator[Claim]:
    """The claim that one of a group of words is meant."""
    present = [word for word in _CLAIMED.findall(bare) if word in _GROUPS]
    if len(present) != 1:
        return
    gone = {stem(present[0])}
    others = [words - gone for words in variants]
    keys = _named(f"A {_GROUPS[present[0]]}", others)
    if keys:
        yield _claim(sentence, keys, others[0], "must", value=present[0])


def _named(kind: str, variants: Sequence[frozenset[str]]) -> tuple[str, ...]:
    return tuple(f"{kind} {' '.join(sorted(words))}" for words in variants if len(words) >= FEWEST)


def _claim(
    sentence: Sentence,
    keys: tuple[str, ...],
    words: frozenset[str],
    force: str,
    *,
    value: str | float = 0.0,
    bound: str = "",
    actor: str = "",
) -> Claim:
    return Claim(
        tuple(dict.fromkeys(keys)),
        words,
        sentence.line,
        sentence.column,
        sentence.headings,
        sentence.text,
        force,
        value,
        bound,
        actor,
    )


def _parts(text: str) -> tuple[str, str]:
    """The clause that says it, with what leads to it, and what is remarked behind it."""
    parts = _TAIL.split(text)
    main = parts.pop(0)
    if parts and _LEADS.match(main) and "," in text[: len(main) + 2]:
        main = f"{main} {parts.pop(0)}"
    if _TITLE.fullmatch(main) and parts and text.startswith(f"{main}: "):
        main = f"{main} {parts.pop(0)}"
    return main, " ".join(parts)


def _force(main: str) -> str | None:
    """How strictly it is meant; None where that is not plain."""
    if _UNNEEDED.search(main):
        return "need-not" if len(_NOT.findall(main)) == 1 else None
    denied = len(_NOT.findall(main)) - len(_LIMITS.findall(main))
    if denied > 1:
        return None
    if denied == 1:
        return "must-not"
    return "may" if _ALLOWED.search(main) and not _MOST.search(main) else "must"


def _measures(text: str) -> Iterator[tuple[str, float]]:
    """The numbers of a clause with their units, in the smallest unit of each kind."""
    periods = list(_EVERY.finditer(text))
    rest = _EVERY.sub(" ", text)
    named = [match[0] for match in _NAMED_PERIOD.finditer(rest)]
    amounts = list(_AMOUNT.finditer(rest))
    for match in amounts:
        yield _amount(match)
    for match in periods:
        # With an amount, it tells what the amount is for.
        if not amounts or match["count"]:
            yield "every", float(match["count"] or 1) * UNITS[match["unit"]][1]
    if not amounts and not periods:
        for name in named:
            if name in _NAMED:
                yield "every", UNITS[_NAMED[name]][1]


def _names_one(text: str) -> bool:
    """Whether a number tells which one is meant, as in version 2 or port 80, and not how many."""
    text = _EVERY.sub(" ", text)
    for match in _AMOUNT.finditer(text):
        unit = (match["unit"] or "").strip()
        if match["before"] or _measured(unit):
            continue
        before = _CLAIMED.findall(text[: match.start()])[-1:]
        counted = unit and unit not in EMPTY
        for word in before:
            verb = word in VERBS or word.removesuffix("s") in VERBS or word.removesuffix("es") in VERBS
            limit = word in EMPTY or _LEAST.fullmatch(word) or _MOST.fullmatch(word)
            if not limit and not (counted and verb and word not in _NUMBERED):
                return True
    return False


def _measured(unit: str) -> bool:
    return unit in UNITS or unit.removesuffix("s") in UNITS


def _amount(match: re.Match[str]) -> tuple[str, float]:
    number, unit = float(match["number"]), (match["unit"] or "").strip()
    if match["before"]:
        unit = match["before"].strip()
    kind, factor = UNITS.get(unit) or UNITS.get(unit.removesuffix("s")) or ("", 1.0)
    return kind, number * factor


def _without(text: str, measures: list[tuple[str, float]]) -> str:
    """The clause without its measures; a noun that is counted stays."""
    amounts = any(kind != "every" for kind, _ in measures)
    text = _EVERY.sub(lambda match: f" {match['unit']}ly " if amounts and not match["count"] else " ", text)
    if not amounts:
        return _NAMED_PERIOD.sub(" ", text)
    text = _PER.sub(lambda match: f" {match['unit']}ly ", text)

    def counted(match: re.Match[str]) -> str:
        unit = (match["unit"] or "").strip()
        return " " if _measured(unit) else f" {unit} "

    return _AMOUNT.sub(counted, text)


def _variants(main: str, rest: str) -> list[frozenset[str]]:
    """The words of the main clause, of it without what restricts nothing, and of the whole sentence."""
    general = _EVERYTHING.sub(" ", _JOINED.sub("", main))
    words, plainly, remarked = _content(main), _content(general), _content(rest)
    return list(dict.fromkeys((words, plainly, words | remarked, plainly | remarked)))


def _content(text: str) -> frozenset[str]:
    found: set[str] = set()
    for word in _CLAIMED.findall(text):
        found.update(_unified(word))
    return frozenset(found)


@lru_cache(maxsize=8192)
def _unified(word: str) -> tuple[str, ...]:
    """What a word, or each part of one with hyphens, tells of the subject."""
    parts = (part for part in word.strip("./-").split("-") if part and part not in EMPTY)
    return tuple(stemmed for stemmed in map(stem, parts) if stemmed not in EMPTY)
