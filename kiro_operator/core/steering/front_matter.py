"""The front matter of a steering document, by the rules that Kiro reads it by.

It counts only when ``---`` opens the very first line. What cannot be read makes Kiro include the whole
file always, front matter and all; that is never what its author meant.
"""

import re
from typing import Any, Literal

from msgspec import Struct

from kiro_operator.core.steering import yaml_text
from kiro_operator.core.steering.problems import Problem, quoted

Inclusion = Literal["always", "fileMatch", "manual", "auto"]
INCLUSIONS: tuple[Inclusion, ...] = ("always", "fileMatch", "manual", "auto")
IGNORED = frozenset({"globs", "applyTo", "filePatterns"})
"""Keys of other tools, which Kiro passes over."""
LOOKED_AT = 40
"""Lines among which front matter that came too late is looked for."""

_ONLY = re.compile(r"---[ \t]*\r?$")
_MEANT = re.compile(r"inclusion[ \t]*:")


class FrontMatter(Struct, frozen=True):
    """What the front matter makes of the document."""

    inclusion: Inclusion = "always"
    patterns: tuple[str, ...] = ()
    name: str = ""
    description: str = ""
    body_line: int = 1
    """The line at which the body begins."""
    body: str = ""
    problems: tuple[Problem, ...] = ()
    places: dict[str, tuple[int, int]] = {}
    """Line and column of the values, by key."""


def read(text: str) -> FrontMatter:
    """Read a document; whatever is wrong is a problem of it."""
    text = text.removeprefix("\ufeff")
    lines = text.split("\n")
    if not _ONLY.match(lines[0]):
        wrong = _longer(lines) or _late(lines)
        return FrontMatter(body=text, problems=(wrong,) if wrong else ())
    end = next((number for number, line in enumerate(lines[1:], 1) if _ONLY.match(line)), None)
    if end is None:
        problem = Problem(1, 1, "UnclosedFrontMatter", "no line --- closes the front matter")
        return FrontMatter(body=text, problems=(problem,))
    # An empty line stands for the first one, so that places are those of the document.
    loaded = yaml_text.load("\n" + "\n".join(lines[1:end]))
    body = "\n".join(lines[end + 1 :])
    if loaded.problem is not None:
        return FrontMatter(body=text, problems=(loaded.problem,))
    if loaded.value is None:
        return FrontMatter(body=body, body_line=end + 2)
    if not isinstance(loaded.value, dict):
        problem = Problem(2, 1, "InvalidYaml", "the front matter is no mapping such as inclusion: always")
        return FrontMatter(body=text, problems=(problem,))
    return _of(loaded, body, end + 2)


def _of(loaded: yaml_text.Loaded, body: str, body_line: int) -> FrontMatter:
    fields: dict[Any, Any] = loaded.value
    problems: list[Problem] = []

    def at(key: str, *, value: bool = False) -> tuple[int, int]:
        return (loaded.values if value else loaded.keys).get(key, (2, 1))

    given = fields.get("inclusion")
    inclusion: Inclusion = "always"
    if given in INCLUSIONS:
        inclusion = given
    elif given is not None:
        words = f"inclusion is {quoted(given)}: write one of {', '.join(INCLUSIONS)}"
        problems.append(Problem(*at("inclusion", value=True), "InvalidInclusion", words))
    patterns = _patterns(fields.get("fileMatchPattern"))
    if patterns is None:
        words = "fileMatchPattern is neither a text nor a list of texts"
        problems.append(Problem(*at("fileMatchPattern", value=True), "InvalidPattern", words, warning=True))
    if inclusion == "fileMatch" and not patterns and patterns is not None:
        words = "inclusion fileMatch without a fileMatchPattern: Kiro never includes the document"
        problems.append(Problem(*at("inclusion"), "MissingPattern", words))
    description = _text(fields.get("description"))
    if inclusion == "auto" and not description:
        words = "inclusion auto without a description: Kiro never includes the document by itself"
        problems.append(Problem(*at("inclusion"), "MissingDescription", words))
    for key in fields:
        if isinstance(key, str) and key in IGNORED:
            words = f"the key {key} is ignored: write fileMatchPattern"
            problems.append(Problem(*at(key), "IgnoredKey", words, warning=True))
    return FrontMatter(
        inclusion,
        patterns or (),
        _text(fields.get("name")),
        description,
        body_line,
        body,
        tuple(problems),
        dict(loaded.values),
    )


def _patterns(given: Any) -> tuple[str, ...] | None:
    """The patterns; None for what is none."""
    if given is None or given == "":
        return ()
    if isinstance(given, str):
        return (given,)
    if isinstance(given, list) and all(isinstance(item, str) for item in given):
        return tuple(item for item in given if item)
    return None


def _text(given: Any) -> str:
    return given.strip() if isinstance(given, str) else ""


def _longer(lines: list[str]) -> Problem | None:
    """Front matter between lines of more than three dashes."""
    if not lines[0].startswith("---"):
        return None
    for number, line in enumerate(lines[1:LOOKED_AT], 1):
        if line.startswith("---") and any(_MEANT.match(one) for one in lines[1:number]):
            return Problem(1, 1, "InvalidYaml", f"the first line is {quoted(lines[0])}, not ---")
    return None


def _late(lines: list[str]) -> Problem | None:
    """Front matter that something stands before; a rule between paragraphs is none."""
    begin = None
    for number, line in enumerate(lines[:LOOKED_AT]):
        if line.lstrip().startswith(("```", "~~~")):
            return None
        if not _ONLY.match(line):
            continue
        if begin is not None and any(_MEANT.match(one) for one in lines[begin + 1 : number]):
            words = "the front matter is not on the first line, so Kiro reads it as text and includes all"
            return Problem(begin + 1, 1, "FrontMatterNotFirst", words)
        begin = number
    return None
