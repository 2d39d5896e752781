"""What steering documents say of their environment: its name, hosts, namespaces and regions."""

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct

from kiro_operator.core.steering.problems import place
from kiro_operator.core.steering.references import without_code

MOST = 256
"""Statements of one kind that are judged in one document."""
KNOWN: tuple[frozenset[str], ...] = (
    frozenset({"production", "prod"}),
    frozenset({"staging", "stage", "stg"}),
    frozenset({"pre-production", "preproduction", "preprod"}),
    frozenset({"development", "dev"}),
    frozenset({"test", "testing"}),
    frozenset({"qa"}),
    frozenset({"uat"}),
)
"""Environments, each with the words for it."""

_IN_NAMES = frozenset({"production", "prod", "staging", "stg", "preprod", "preproduction", "qa", "uat"})
"""Words that mean an environment as part of a file's name; others often mean an activity."""
_PLACEHOLDERS = re.compile(
    r"^(?:my|your|some|example|foo|bar|baz|name|namespace|service|svc|host|app)(?:-.*)?$|example|placeholder"
)
_HOST = re.compile(
    r"(?<![\w.@<{$-])(?P<service>[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?)\."
    r"(?P<namespace>[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)\.svc(?:\.cluster\.local)?(?![\w-])"
)
_NAMESPACE = re.compile(
    r"(?:\b(?:kubectl|helm|oc|stern|k9s|flux)\b[^\r\n|;&]{0,200}?\s(?:-n|--namespace)[ =]"
    r"|^\s*(?:[-*]\s+)?\**namespace\**:\**\s+)"
    r"`?(?P<namespace>[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)(?![\w.<{$/*-])",
    re.MULTILINE,
)
_REGION = re.compile(
    r"(?<![\w-])(?:af|ap|ca|cn|eu|il|me|mx|sa|us)-(?:gov-|iso[a-z]?-)?"
    r"(?:north|south|east|west|central|northeast|northwest|southeast|southwest)-[1-9](?![\w-])"
)
_ENVIRONMENT = "(?P<name>[a-z0-9][a-z0-9-]{0,62})"
_STATED = (
    re.compile(
        rf"^\s*(?:[-*]\s+)?\**(?:target )?environment\**:\**\s*`?{_ENVIRONMENT}`?\s*(?:environment)?[.]?\s*$"
    ),
    re.compile(
        r"\b(?:this|these) (?:document|file|guide|guidance|rules?|steering)\b[^.]{0,40}?"
        r"\b(?:applies|apply|is|are)(?: only)? (?:to|for) (?:the |our )?"
        rf"\**`?{_ENVIRONMENT}`?\**(?: environment| cluster)\b(?! and| or)"
    ),
    re.compile(rf"^#\s+(?:the )?{_ENVIRONMENT} environment\b"),
)


class Statement(Struct, frozen=True):
    """One thing said, and where."""

    value: str
    line: int
    column: int


def same(one: str, other: str) -> bool:
    """Whether two names mean one environment."""
    one, other = one.lower(), other.lower()
    return one == other or any(one in words and other in words for words in KNOWN)


def stated(path: str, text: str, others: Iterable[str] = ()) -> Statement | None:
    """The environment that a document is for, by its own words or its name; None when it does not say."""
    names = {word for words in KNOWN for word in words}.union(name.lower() for name in others)
    body = without_code(text)
    for number, line in enumerate(body.split("\n"), 1):
        if len(line) > 1000:
            continue
        for pattern in _STATED:
            match = pattern.search(line.lower())
            if match and match["name"] in names:
                return Statement(match["name"], number, match.start("name") + 1)
    name = path.rpartition("/")[2].removesuffix(".md").lower()
    words = re.split(r"[-_.]", name)
    if name in names and (name in _IN_NAMES or name not in {word for known in KNOWN for word in known}):
        return Statement(name, 1, 1)
    found = [word for word in words if word in (names if {"env", "environment"} & set(words) else _IN_NAMES)]
    return Statement(found[0], 1, 1) if len(found) == 1 else None


def hosts(text: str) -> Iterator[tuple[str, str, Statement]]:
    """Service, namespace and place of each ``service.namespace.svc``."""
    for number, match in enumerate(_HOST.finditer(text)):
        if number >= MOST:
            return
        if not (_PLACEHOLDERS.search(match["service"]) or _PLACEHOLDERS.search(match["namespace"])):
            yield match["service"], match["namespace"], Statement(match[0], *place(text, match.start()))


def namespaces(text: str) -> Iterator[Statement]:
    """Namespaces that commands and statements name."""
    for number, match in enumerate(_NAMESPACE.finditer(text)):
        if number >= MOST:
            return
        if not _PLACEHOLDERS.search(match["namespace"]):
            yield Statement(match["namespace"], *place(text, match.start("namespace")))


def regions(text: str) -> Iterator[Statement]:
    """Regions of AWS."""
    for number, match in enumerate(_REGION.finditer(text)):
        if number >= MOST:
            return
        yield Statement(match[0], *place(text, match.start()))
